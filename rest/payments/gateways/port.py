"""The port to a payment company. An adapter implements `Gateway`; nothing else knows the company.

Adapters translate, they do not decide: what an event means for a payment and its wallet is settled
in one place for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol
from uuid import UUID

import msgspec

Found = Literal["paid", "failed", "cancelled", "open"]


class Order(msgspec.Struct, frozen=True):
    """What the gateway is asked to collect. `reference` is ours and unguessable."""

    payment_id: UUID
    reference: str
    amount_minor: int
    currency: str
    description: str | None = None


class Checkout(msgspec.Struct, frozen=True):
    """`ref` is the gateway's own name of the payment; the payer pays at `url`."""

    ref: str
    url: str


class GatewayStatus(msgspec.Struct, frozen=True):
    """What the gateway says now; `open` is still to be paid. The amount is what was paid."""

    found: Found
    amount_minor: int
    currency: str


class GatewayEvent(msgspec.Struct, frozen=True):
    """An event whose signature holds. `id` is the gateway's and the same in every delivery."""

    id: str
    kind: str
    reference: str
    status: GatewayStatus


class GatewayDown(Exception):
    """The gateway did not answer, or made no sense."""


class Gateway(Protocol):
    @property
    def name(self) -> str:
        """The word for it in `method`, `?provider=` and the database."""
        ...

    async def create(self, order: Order) -> Checkout:
        """Open a checkout; the same reference twice is the same checkout.

        Raises:
            GatewayDown: nothing can be paid.
        """
        ...

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, now_s: int) -> GatewayEvent:
        """Check the signature over the raw bytes and the age, then read the event. Pure.

        Raises:
            rest.http.signature.Forged: signature, age or form is wrong.
        """
        ...

    async def query(self, ref: str) -> GatewayStatus:
        """The truth about a payment, by the gateway's own name of it.

        Raises:
            GatewayDown: it cannot be known now.
        """
        ...
