"""Shapes of the routes about calls of everybody. Amounts are minor units, times ISO 8601."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Moment, Page, PageQuery
from signalling.codes import By, Reason, State
from signalling.events import Shape, TariffView

ReasonText = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Value = str | int | float | bool


class CallsQuery(PageQuery, frozen=True):
    """`since` counts, `until` does not. Without a user, a time or `live` it is the last 30 days."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "state": "INVALID_FILTER",
        "userId": "INVALID_FILTER",
        "reason": "INVALID_FILTER",
        "since": "INVALID_FILTER",
        "until": "INVALID_FILTER",
    }

    state: Literal["live", "ended"] | None = None
    user_id: UUID | None = None
    reason: Reason | None = None
    since: Moment | None = None
    until: Moment | None = None


class EndBody(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"reason": "INVALID_REASON"}

    reason: ReasonText


class PartyView(Shape, frozen=True):
    id: UUID
    name: str


class QualityView(Shape, frozen=True):
    """good, poor or lost; null before a leg had media."""

    caller: str | None
    callee: str | None


class CallView(Shape, frozen=True):
    """A call as an operator sees it.

    `node` runs it, or ran it last; null if it could not even ring. `elapsedSeconds` since the
    connection, or else since the request, of a live call. `quality` is null for a call that has
    ended, and when its node does not answer in time; then the figures are those of its row.
    """

    id: UUID
    state: State
    kind: str
    caller: PartyView
    callee: PartyView
    node: str | None
    created_at: datetime
    ringing_at: datetime | None
    accepted_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    reason: Reason | None
    ended_by: By | None
    talk_seconds: int
    elapsed_seconds: int | None
    units: int
    charged: int
    earned: int
    refunded: int
    currency: str
    quality: QualityView | None


class CallList(Page, frozen=True):
    """`total` is 10 000 when there are more."""

    items: list[CallView]


class LegView(Shape, frozen=True):
    """But for the device, null when the call has ended or its node does not answer in time."""

    device: str | None
    here: bool | None
    media: bool | None
    quality: str | None
    relay: bool | None
    audio: bool | None
    video: bool | None
    hold: bool | None


class LegsView(Shape, frozen=True):
    caller: LegView
    callee: LegView


class MeterView(Shape, frozen=True):
    """Of a live call. `balance` is what the caller's wallet holds, `held` included; it and
    `fundedUntil` are null when the node does not answer, the latter also when nothing is due."""

    running: bool
    billable_ms: int
    held: int
    balance: int | None
    funded_until: datetime | None


class UnitView(Shape, frozen=True):
    """The `n`th posting, from 1, and the call's total after it."""

    n: int
    amount: int
    total: int
    at: datetime


class CallDetail(CallView, frozen=True):
    """`owners` is how many nodes have run the call, one after the other."""

    connect_on: str
    tariff: TariffView
    legs: LegsView
    meter: MeterView | None
    billing_units: list[UnitView]
    refunded_at: datetime | None
    owners: int


class CallAnswer(Shape, frozen=True):
    call: CallDetail


class ItemView(Shape, frozen=True):
    """One thing that happened. `lane` is whose it is, `details` small values by wire name.

    `kind`: state (of the call's row), input and event and effect (of the journal), gap (entries
    left out), tick (a posting), transfer (of the ledger), audit (by an operator).
    """

    at: datetime
    lane: Literal["caller", "callee", "server", "money", "operator"]
    kind: Literal["state", "input", "event", "effect", "gap", "tick", "transfer", "audit"]
    name: str
    details: dict[str, Value]


class JournalView(Shape, frozen=True):
    """What one owner noted; `live`: it runs the call. `reports` of media changed nothing and have
    no items."""

    claim: int
    node: str
    live: bool
    left_out: int
    reports: int


class TimelineAnswer(Shape, frozen=True):
    """`missing` owners have left no journal: they were killed, or it is not written yet, or older
    than 30 days. `truncated`: there are more transfers than are shown."""

    call_id: UUID
    items: list[ItemView]
    journals: list[JournalView]
    missing: int
    truncated: bool
