"""Shapes of payments. Amounts are integers in the currency's smallest unit."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body, Query
from rest.http.pages import Page
from signalling.events import Shape

AMOUNT_MAX = 1_000_000_000


class PaymentBody(Body, frozen=True):
    """`method` names a gateway. `currency` may be left out; it is the deployment's."""

    CODES: ClassVar[dict[str, str]] = {"amount": "INVALID_AMOUNT", "method": "INVALID_METHOD"}

    amount: Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
    method: Annotated[str, Meta(min_length=1, max_length=20)]
    purpose: Literal["topup"] = "topup"
    description: Annotated[str, Meta(max_length=200)] | None = None
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")] | None = None


class WebhookQuery(Query, frozen=True):
    provider: Annotated[str, Meta(min_length=1, max_length=20)] | None = None


class PaymentView(Shape, frozen=True):
    """`status`: pending, processing, completed, failed, cancelled or refunded. A failed payment can
    still be completed at its checkout."""

    id: UUID
    reference: str
    amount: int
    currency: str
    status: str
    method: str
    purpose: str
    description: str | None
    checkout_url: str | None
    created_at: datetime
    completed_at: datetime | None


class PaymentAnswer(Shape, frozen=True):
    payment: PaymentView


class PaymentOpened(Shape, frozen=True):
    """Where to pay: at `payment.checkoutUrl`, or in the app with the gateway's own library.

    `clientSecret` is for the payer's device alone, and is never shown again.
    """

    payment: PaymentView
    client_secret: str | None
    publishable_key: str | None


class PaymentList(Page, frozen=True):
    items: list[PaymentView]


class WebhookAnswer(Shape, frozen=True):
    """`outcome`: completed, failed, cancelled, unchanged, mismatch, refunded, disputed,
    refund_failed, unknown, ignored or seen."""

    outcome: str
