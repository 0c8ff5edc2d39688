"""Which currencies the gateways take, with their decimals, and amounts in major units as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

# Stripe's smallest units: https://docs.stripe.com/currencies. Left out are ISK and UGX, which it
# counts in hundredths that do not exist, and the three-decimal ones, whose last digit must be 0.
_NO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_TWO_DECIMALS = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF
    CHF CNY COP CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF
    IDR ILS INR JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN
    MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP
    SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH USD UYU UZS WST XCD YER ZAR ZMW
"""
STRIPE: Mapping[str, int] = dict.fromkeys(_NO_DECIMALS.split(), 0) | dict.fromkeys(
    _TWO_DECIMALS.split(), 2
)
MONNIFY: Mapping[str, int] = {"NGN": 2}

# A number or a text with a number in it, as JSON; nothing that a float could have blurred.
_major = re.compile(rb'("?)([0-9]{1,13}(?:\.[0-9]{1,8})?)\1')


def to_major(amount_minor: int, exponent: int) -> Decimal:
    return Decimal(amount_minor).scaleb(-exponent)


def to_minor(raw: msgspec.Raw, exponent: int) -> int:
    """The smallest units in a JSON amount of major units.

    Raises:
        ValueError: it is no plain amount, or has more decimals than the currency.
    """
    found = _major.fullmatch(bytes(raw))
    if found is None:
        raise ValueError("not an amount")
    scaled = Decimal(found[2].decode()).scaleb(exponent)
    if scaled != scaled.to_integral_value():
        raise ValueError("more decimals than the currency has")
    return int(scaled)
