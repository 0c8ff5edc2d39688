"""The port to a payment company. An adapter implements `Gateway`; nothing else knows the company.

Adapters translate, they do not decide: what an event means for a payment and its wallet is settled
in one place for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol
from uuid import UUID

import msgspec

# `mispaid`: money came, but not what was asked for. `refunded`, `disputed` and `refund_failed` are
# news about money that had come before.
Found = Literal[
    "open", "paid", "mispaid", "failed", "cancelled", "refunded", "disputed", "refund_failed"
]


class Order(msgspec.Struct, frozen=True):
    """What the gateway is asked to collect. `reference` is ours and unguessable."""

    payment_id: UUID
    reference: str
    amount_minor: int
    currency: str
    description: str | None = None
    payer_name: str = ""
    payer_email: str | None = None


class Checkout(msgspec.Struct, frozen=True):
    """`ref` is the gateway's own name of the payment.

    The payer pays at `url`, or in the app, which hands `client_secret` and `publishable_key` to the
    gateway's own library. The secret is for the payer alone: not kept with the payment, not logged.
    """

    ref: str
    url: str | None = None
    client_secret: str | None = None
    publishable_key: str | None = None


class GatewayStatus(msgspec.Struct, frozen=True):
    """What the gateway says now; `open` is still to be paid. The amount is what was paid."""

    found: Found
    amount_minor: int
    currency: str


class GatewayEvent(msgspec.Struct, frozen=True):
    """An event whose signature holds. `id` is the same in every delivery.

    `reference` is ours, and empty where the event does not say it; `ref` is the gateway's own name
    of the payment. Neither is known when the event is about something else: its status is `open`.
    """

    id: str
    kind: str
    reference: str
    status: GatewayStatus
    ref: str | None = None


class GatewayDown(Exception):
    """The gateway did not answer, or made no sense."""


class GatewayRefused(Exception):
    """The gateway answered no, and would say so again. The text is one word for clients."""


class Gateway(Protocol):
    @property
    def name(self) -> str:
        """The word for it in `method`, `?provider=` and the database."""
        ...

    @property
    def signature_header(self) -> str:
        """The header by which its webhooks are known."""
        ...

    async def create(self, order: Order) -> Checkout:
        """Open a checkout.

        Raises:
            GatewayDown: nothing can be paid.
            GatewayRefused: not this order.
        """
        ...

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, now_s: int) -> GatewayEvent:
        """Check the signature over the raw bytes and the age, then read the event. Pure.

        Raises:
            rest.http.signature.Forged: signature, age or form is wrong.
        """
        ...

    async def confirm(self, event: GatewayEvent) -> GatewayEvent:
        """The event with what its bytes alone do not prove or say, asked of the gateway itself.

        Raises:
            GatewayDown: it cannot be known now; the gateway will deliver the event again.
            GatewayRefused: the gateway knows of no such payment.
        """
        ...

    async def query(self, ref: str) -> GatewayStatus:
        """The truth about a payment, by the gateway's own name of it.

        Raises:
            GatewayDown: it cannot be known now.
            GatewayRefused: the gateway knows of no such payment.
        """
        ...

    async def refund(self, ref: str, amount_minor: int, currency: str, key: str) -> None:
        """Give money back to the payer, once, however often the same `key` is sent.

        Raises:
            GatewayDown: it may be tried again, under the same key.
            GatewayRefused: the money does not go back this way.
        """
        ...

    async def close(self) -> None:
        """Let go of its connections."""
        ...
