"""Shapes of the routes about adjustments of wallets by hand."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Page, PageQuery
from rest.operators.people_bodies import SOMEBODY, Reason
from signalling.events import Shape
from storage.adjustments import AMOUNT_MAX, Status, Wallet


class AdjustmentBody(Body, frozen=True):
    """`amount` is what comes into the wallet, below 0 what is taken; never 0."""

    CODES: ClassVar[dict[str, str]] = {
        "wallet": "INVALID_WALLET",
        "amount": "INVALID_AMOUNT",
        "reason": "INVALID_REASON",
    }

    user_id: UUID
    wallet: Wallet
    amount: Annotated[int, Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    reason: Reason


class AdjustmentQuery(PageQuery, frozen=True):
    CODES: ClassVar[dict[str, str]] = {**PageQuery.CODES, "status": "INVALID_FILTER"}

    status: Status | None = None


class AdjustmentView(Shape, frozen=True):
    """Whoever asked is `requestedBy`. `decidedBy` is null while it is pending, and for what was
    small enough to be approved at once; `decision` is why it was decided so."""

    id: UUID
    user_id: UUID
    user_name: str
    wallet: Wallet
    amount: int
    currency: str
    reason: str
    status: Status
    requested_by: UUID
    requested_by_name: str
    requested_at: datetime
    decided_by: UUID | None
    decided_by_name: str | None
    decided_at: datetime | None
    decision: str | None


class AdjustmentAnswer(Shape, frozen=True):
    adjustment: AdjustmentView


class AdjustmentList(Page, frozen=True):
    items: list[AdjustmentView]


BODY_EXAMPLE = AdjustmentBody(
    user_id=SOMEBODY, wallet="call_credits", amount=500, reason="The call of yesterday was bad."
)
ADJUSTMENT_EXAMPLE = AdjustmentView(
    id=UUID("0198f2a0-0000-7000-8000-000000000004"),
    user_id=SOMEBODY,
    user_name="Kai",
    wallet="call_credits",
    amount=500,
    currency="PTS",
    reason="The call of yesterday was bad.",
    status="approved",
    requested_by=UUID("0198f2a0-0000-7000-8000-000000000005"),
    requested_by_name="Ada",
    requested_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
    decided_by=None,
    decided_by_name=None,
    decided_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
    decision=None,
)
