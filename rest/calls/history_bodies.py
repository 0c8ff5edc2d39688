"""Shapes of call history, receipts and refunds. Amounts are minor units, times ISO 8601 in UTC."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from rest.calls.bodies import CallView, OtherUser, UnitView
from rest.http.body import Body
from rest.http.pages import Page, Sort, SpanQuery
from signalling.codes import By, Party, Reason
from signalling.commands import Kind
from signalling.events import Shape, TariffView

Status = Literal["initiated", "ringing", "answered", "completed", "cancelled", "failed", "missed"]


class HistoryQuery(SpanQuery, frozen=True):
    """`receiver` is another word for `callee`, `type` for `kind`. `missed`: it came in, and nobody
    talked."""

    CODES: ClassVar[dict[str, str]] = {
        **SpanQuery.CODES,
        "role": "INVALID_FILTER",
        "status": "INVALID_FILTER",
        "kind": "INVALID_FILTER",
        "type": "INVALID_FILTER",
        "withUser": "INVALID_FILTER",
        "sort": "INVALID_SORT",
    }

    role: Literal["caller", "callee", "receiver"] | None = None
    status: Status | None = None
    kind: Kind | None = None
    type: Kind | None = None
    with_user: UUID | None = None
    sort: Sort = "newest"


class CallDetail(CallView, frozen=True):
    billing_units: list[UnitView]


class CallDetailAnswer(Shape, frozen=True):
    call: CallDetail


class CallList(Page, frozen=True):
    """`calls` is `items` under its older name."""

    page: int
    items: list[CallView]
    calls: list[CallView]


class BillingView(Shape, frozen=True):
    """What the ledger says. `refunded` of `totalCharged` was given back. `earned` is told to the
    callee only."""

    call_id: UUID
    billing_units: list[UnitView]
    units: int
    total_charged: int
    refunded: int
    billed_seconds: int
    talk_seconds: int
    currency: str
    settled: bool
    earned: int | UnsetType = UNSET


class RefundLine(Shape, frozen=True):
    amount: int
    at: datetime


class Receipt(Shape, frozen=True):
    """A call as one would print it. Until it is `settled` the call goes on and sums may grow.

    `total` is what the call cost, `paid` what is left of that after `refunds`. What the callee
    earned and the platform kept, before refunds, is told to the callee only.
    """

    call_id: UUID
    role: Party
    caller: OtherUser
    callee: OtherUser
    kind: str
    status: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    talk_seconds: int
    billed_seconds: int
    billed_units: int
    tariff: TariffView
    tariff_text: str
    currency: str
    total: int
    refunds: list[RefundLine]
    paid: int
    settled: bool
    earned: int | UnsetType = UNSET
    platform_share: int | UnsetType = UNSET


class ReceiptAnswer(Shape, frozen=True):
    receipt: Receipt


class EventView(Shape, frozen=True):
    """`type`: created, ringing, accepted, connected, charged, ended, refunded. `amount` of what was
    charged or refunded, `total` charged so far; `reason` and `by` of the end."""

    type: str
    at: datetime
    amount: int | UnsetType = UNSET
    total: int | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    by: By | UnsetType = UNSET


class EventList(Shape, frozen=True):
    call_id: UUID
    items: list[EventView]


class RefundBody(Body, frozen=True):
    """`houseBears`: what the provider has been paid out already is the house's loss."""

    CODES: ClassVar[dict[str, str]] = {"reason": "INVALID_REASON"}

    reason: Annotated[str, Meta(max_length=500, pattern=r"\S")]
    house_bears: bool = False


class RefundAnswer(Shape, frozen=True):
    """`houseBore` of `refunded` was the house's own money; `recalled` had been released."""

    call_id: UUID
    refunded: int
    recalled: int
    house_bore: int
    currency: str
