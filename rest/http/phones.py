"""Phone numbers as people write them, and what a number is good for.

The rules are libphonenumber's; each country's are read from disk at its first number.
"""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

TEXT_CHARS_MAX = 40
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
# Of some countries (the USA) the plan does not tell mobile phones from others.
TAKES_TEXT = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)

# What the database takes.
_e164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


def e164(text: str, region: str | None) -> str | None:
    """A number in its one international spelling (`+12025550123`), or None if it cannot be one.

    A national number is read as one of `region` (two letters); without a region only international
    numbers are taken. Whether anybody has the number is not asked.
    """
    if len(text) > TEXT_CHARS_MAX:
        return None
    number = _parse(re.sub(r"^\s*00", "+", text) if region is None else text, region)
    if number is None or number.extension or not phonenumbers.is_possible_number(number):
        return None
    plain = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return plain if _e164.fullmatch(plain) else None


def texting_region(phone: str) -> str | None:
    """The country (two letters) of an E.164 number that can get text messages; None if it cannot.

    Landlines, premium-rate, satellite and unassigned numbers cannot.
    """
    number = _parse(phone, None)
    if number is None or phonenumbers.number_type(number) not in TAKES_TEXT:
        return None
    region: str | None = phonenumbers.region_code_for_number(number)
    return region if region in REGIONS else None


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
