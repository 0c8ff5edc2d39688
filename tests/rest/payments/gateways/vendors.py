"""The three companies behind one face: each lets something happen and tells of it its own way."""

from __future__ import annotations

from typing import Protocol

import msgspec

from rest.http.signature import sign as sign_as_sandbox
from rest.payments.gateways.sandbox import SIGNATURE_HEADER
from storage.ids import new_id
from tests.rest.harness import CURRENCY
from tests.rest.payments.gateways import fake_monnify, fake_stripe
from tests.rest.payments.gateways.fake_monnify import FakeMonnify
from tests.rest.payments.gateways.fake_stripe import FakeStripe
from tests.rest.payments.shop import SECRET, Shop

VENDORS = ("sandbox", "stripe", "monnify")
TIMED = ("sandbox", "stripe")


class Vendor(Protocol):
    name: str

    def tell(
        self, reference: str, found: str = "paid", amount: int = 1000, currency: str = CURRENCY
    ) -> bytes:
        """Let the payment be paid, or fail, and give the body of a new event about it."""
        ...

    def headers(self, raw: bytes, at_s: int, *, stranger: bool = False) -> dict[str, str]:
        """What it sends with a body; a `stranger` signs with a secret of its own."""
        ...


class SandboxVendor:
    name = "sandbox"

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def tell(
        self, reference: str, found: str = "paid", amount: int = 1000, currency: str = CURRENCY
    ) -> bytes:
        kind = f"payment.{found}"
        return self._shop.event(reference, kind=kind, amount=amount, currency=currency)

    def headers(self, raw: bytes, at_s: int, *, stranger: bool = False) -> dict[str, str]:
        secret = b"another secret of 32 bytes or more" if stranger else SECRET
        return {SIGNATURE_HEADER: sign_as_sandbox(secret, raw, at_s)}


class StripeVendor:
    name = "stripe"

    def __init__(self, fake: FakeStripe) -> None:
        self._fake = fake

    def tell(
        self, reference: str, found: str = "paid", amount: int = 1000, currency: str = CURRENCY
    ) -> bytes:
        intent = self._fake.intent_of(reference)
        intent |= {"currency": currency.lower()}
        if found == "paid":
            intent |= {"status": "succeeded", "amount_received": amount}
            return self._fake.event("payment_intent.succeeded", intent)
        intent |= {"last_payment_error": {"code": "card_declined"}, "amount_received": 0}
        return self._fake.event("payment_intent.payment_failed", intent)

    def headers(self, raw: bytes, at_s: int, *, stranger: bool = False) -> dict[str, str]:
        secret = "whsec_of_another_endpoint" if stranger else fake_stripe.WEBHOOK_SECRET
        return {"Stripe-Signature": fake_stripe.sign(raw, at_s, secret)}


class MonnifyVendor:
    name = "monnify"

    def __init__(self, fake: FakeMonnify) -> None:
        self._fake = fake

    def tell(
        self, reference: str, found: str = "paid", amount: int = 1000, currency: str = CURRENCY
    ) -> bytes:
        self._fake.transaction(reference).update(
            paymentStatus="PAID" if found == "paid" else "FAILED",
            amountPaid=f"{amount // 100}.{amount % 100:02}",
            currency=currency,
        )
        return self._fake.event(reference, mark=new_id().hex)

    def headers(self, raw: bytes, at_s: int, *, stranger: bool = False) -> dict[str, str]:
        secret = "KEYOFANOTHERCONTRACT" if stranger else fake_monnify.SECRET_KEY
        return {"monnify-signature": fake_monnify.sign(raw, secret)}


def reserialised(raw: bytes) -> bytes:
    """The same JSON in other bytes."""
    again = msgspec.json.format(raw, indent=7)
    assert again != raw
    return again
