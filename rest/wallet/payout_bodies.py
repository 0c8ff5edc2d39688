"""Shapes of earnings and payouts. Amounts are integers in the currency's smallest unit."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Page, PageQuery
from signalling.events import Shape

AMOUNT_MAX = 1_000_000_000

Status = Literal["requested", "approved", "paid", "rejected", "cancelled"]
# No line breaks and no blank text: people read it on one line.
Line = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^\S([^\x00-\x1f\x7f]*\S)?$")]
Reason = Annotated[str, Meta(max_length=500, pattern=r"\S")]


class EarningsView(Shape, frozen=True):
    """`pending` becomes `available` after a delay, the first of it at `nextReleaseAt`. `inPayout`
    is asked for and not paid yet. `totalEarned` is all four together: what was given back by
    refunds is not in it."""

    pending: int
    available: int
    in_payout: int
    paid_out: int
    total_earned: int
    currency: str
    next_release_at: datetime | None


class PayoutBody(Body, frozen=True):
    """`destination` says where the money goes, as the operator's bank understands it."""

    CODES: ClassVar[dict[str, str]] = {
        "amount": "INVALID_AMOUNT",
        "destination": "INVALID_DESTINATION",
    }

    amount: Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
    destination: Line
    note: Annotated[str, Meta(max_length=200)] | None = None


class PayoutView(Shape, frozen=True):
    """`status`: requested, approved, paid; or rejected or cancelled, and the money is back."""

    id: UUID
    amount: int
    currency: str
    status: Status
    destination: str
    note: str | None
    requested_at: datetime
    decided_at: datetime | None
    reason: str | None
    reference: str | None


class PayoutAnswer(Shape, frozen=True):
    payout: PayoutView


class PayoutList(Page, frozen=True):
    items: list[PayoutView]


class LineQuery(PageQuery, frozen=True):
    CODES: ClassVar[dict[str, str]] = {**PageQuery.CODES, "status": "INVALID_STATUS"}

    status: Status = "requested"


class ApproveBody(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"reason": "INVALID_REASON"}

    reason: Reason | None = None


class RefuseBody(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"reason": "INVALID_REASON"}

    reason: Reason


class PaidBody(Body, frozen=True):
    """`reference` is the bank's."""

    CODES: ClassVar[dict[str, str]] = {"reference": "INVALID_REFERENCE"}

    reference: Line


class DeskPayoutView(PayoutView, frozen=True):
    """A payout as operators see it."""

    user_id: UUID
    decided_by: UUID | None


class DeskPayoutAnswer(Shape, frozen=True):
    payout: DeskPayoutView


class DeskPayoutList(Page, frozen=True):
    items: list[DeskPayoutView]
