"""Shapes of calls over REST. Amounts are minor units, times of day ISO 8601 in UTC."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta, field

from rest.http.body import Body
from signalling.codes import By, Party, Reason, State
from signalling.commands import ConnectOn, Count, Kind, ShortText
from signalling.events import IceServer, Shape, TariffView

PhoneText = Annotated[str, Meta(min_length=3, max_length=32)]
Name = Annotated[str, Meta(max_length=100)]


class CallBody(Body, frozen=True):
    """Whom to call: exactly one of `toUserId` and `recipientPhone` (also `recipient_phone`).

    The recipient's name is taken and ignored. `type` is another word for `kind`.
    `maxPricePerMinute` refuses the call if the price is higher by now.
    """

    CODES: ClassVar[dict[str, str]] = {
        "recipientPhone": "INVALID_PHONE",
        "recipient_phone": "INVALID_PHONE",
    }

    to_user_id: UUID | None = None
    recipient_phone: PhoneText | None = None
    recipient_phone_snake: PhoneText | None = field(default=None, name="recipient_phone")
    recipient_name: Name | None = None
    recipient_name_snake: Name | None = field(default=None, name="recipient_name")
    kind: Kind | None = None
    type: Kind | None = None
    connect_on: ConnectOn = "answer"
    max_price_per_minute: Count | None = None
    note: ShortText | None = None
    call_id: UUID | None = None


class MediaBody(Body, frozen=True):
    audio: bool = True
    video: bool = False


class AnswerBody(Body, frozen=True):
    media: MediaBody = MediaBody()


class RejectBody(Body, frozen=True):
    reason: Literal["declined", "busy", "away"] = "declined"
    note: ShortText | None = None


class DebugEndBody(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"callId": "INVALID_CALL_ID"}

    call_id: UUID


class OtherUser(Shape, frozen=True):
    id: UUID
    name: str
    avatar: str | None


class CallView(Shape, frozen=True):
    """A call as one of its two users sees it.

    `state`, `reason` and `by` are the protocol's words; `status` (initiated, ringing, answered,
    completed, failed, cancelled) and `shownReason` (user_end, otomo_end, no_point, network_lost,
    timeout, system_error) say the same for people. `startedAt` is when the talking began.
    """

    id: UUID
    call_id: UUID
    role: Party
    with_user: OtherUser
    kind: str
    type: str
    state: State
    status: str
    reason: Reason | None
    by: By | None
    shown_reason: str | None
    connect_on: str
    note: str | None
    created_at: datetime
    ringing_at: datetime | None
    accepted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: int
    billed_units: int
    billed_points: int
    cost: int
    currency: str
    price_per_minute: int
    tariff: TariffView


class UnitView(Shape, frozen=True):
    """One posting: `minute` counts from 0."""

    minute: int
    charged_points: int
    timestamp: datetime


class CallAnswer(Shape, frozen=True):
    call: CallView


class CallOpened(Shape, frozen=True):
    """`merged`: the callee was calling you at that moment, and this is that call.

    `signalingUrl` is where the socket is that signals it (`GET /ws`).
    """

    call: CallView
    merged: bool
    signaling_url: str


class ActiveCall(Shape, frozen=True):
    call: CallView | None


class IceAnswer(Shape, frozen=True):
    ice_servers: list[IceServer]


class EndedMeta(Shape, frozen=True):
    ended_at: datetime
    duration_seconds: int
    billed_units: int
    billed_points: int


class DebugEnded(Shape, frozen=True):
    ended: bool
    meta: EndedMeta
