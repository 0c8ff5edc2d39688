"""What the server sends: the `data` of each event and reply, as typed structs.

An event tells everybody concerned what happened; it is the only source of state for a client.
Times are Unix milliseconds of the server's clock, amounts minor units.
"""

from typing import ClassVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from signalling.codes import By, Party, Reason, State


class Shape(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """Base of everything sent. A value of UNSET leaves its key out."""


class Profile(Shape, frozen=True):
    """What one party may know of the other."""

    user_id: UUID
    name: str
    avatar_url: str | None = None


class IceServer(Shape, frozen=True):
    urls: list[str]
    username: str | UnsetType = UNSET
    credential: str | UnsetType = UNSET


class TariffView(Shape, frozen=True):
    name: str
    price_per_minute: int
    currency: str
    first_ms: int
    next_ms: int
    free_ms: int
    connect_fee: int


class MediaView(Shape, frozen=True):
    audio: bool
    video: bool
    hold: bool


class LegView(Shape, frozen=True):
    device: str | None
    connected: bool
    media: MediaView


class Legs(Shape, frozen=True):
    caller: LegView
    callee: LegView


class MeterView(Shape, frozen=True):
    """Only the payer sees `balance`. `fundedUntil` is None for a call that costs nothing."""

    running: bool
    billable_ms: int
    units: int
    charged: int
    held: int
    funded_until: int | None
    balance: int | UnsetType = UNSET


class Final(Shape, frozen=True):
    """What the call came to. `settled` is false only when the books could not be closed in time."""

    ring_seconds: int
    talk_seconds: int
    billed_seconds: int
    units: int
    total: int
    settled: bool = True


class Snapshot(Shape, frozen=True):
    """A call as one device of one party sees it. `you`: active, ringing, elsewhere or canTake."""

    id: UUID
    state: State
    rev: int
    kind: str
    connect_on: str
    role: Party
    peer: Profile
    legs: Legs
    you: str
    tariff: TariffView
    created_at: int
    ringing_at: int | None
    accepted_at: int | None
    connected_at: int | None
    ended_at: int | None
    expires_at: int | None
    gen: int
    note: str | None
    meter: MeterView | None
    reason: Reason | None
    by: By | None
    final: Final | UnsetType = UNSET


class Event(Shape, frozen=True):
    """Base of events; `TYPE` is the wire's `type`."""

    TYPE: ClassVar[str] = ""


class WelcomeLimits(Shape, frozen=True):
    frame_bytes: int
    send_queue_bytes: int
    sdp_bytes: int
    candidates: int


class RecentCall(Shape, frozen=True):
    id: UUID
    role: Party
    peer: Profile
    reason: Reason
    by: By
    ended_at: int
    final: Final


class Welcome(Event, frozen=True):
    """The truth at this moment. `replayTo`: events up to this `seq` were sent before, and follow
    again; only of a session that was resumed."""

    TYPE: ClassVar[str] = "welcome"
    session: str
    secret: str
    resumed: bool
    protocol: int
    features: list[str]
    now: int
    user: Profile
    ping_ms: int
    dead_ms: int
    ping_call_ms: int
    dead_call_ms: int
    limits: WelcomeLimits
    call: Snapshot | UnsetType
    recent: list[RecentCall]
    replay_to: int | UnsetType = UNSET


class CallIncoming(Event, frozen=True):
    TYPE: ClassVar[str] = "call_incoming"
    call: Snapshot
    caller: Profile
    expires_at: int


class CallRinging(Event, frozen=True):
    TYPE: ClassVar[str] = "call_ringing"
    device: str | None
    expires_at: int | None


class CallAccepted(Event, frozen=True):
    TYPE: ClassVar[str] = "call_accepted"
    device: str | None
    elsewhere: bool
    polite: bool
    expires_at: int | None


class CallEnded(Event, frozen=True):
    TYPE: ClassVar[str] = "call_ended"
    reason: Reason
    by: By
    elsewhere: bool
    final: Final
    note: str | UnsetType = UNSET


class CallRejected(CallEnded, frozen=True):
    TYPE: ClassVar[str] = "call_rejected"


class CallConnected(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "call_connected"
    connected_at: int
    resumed: bool | UnsetType = UNSET
    meter: MeterView


class CallReconnecting(Event, frozen=True):
    TYPE: ClassVar[str] = "call_reconnecting"
    leg: Party
    why: str
    expires_at: int | None


class CallTaken(Event, frozen=True):
    TYPE: ClassVar[str] = "call_taken"
    leg: Party
    device: str


class CallTick(Event, frozen=True):
    TYPE: ClassVar[str] = "call_tick"
    unit: int
    charged: int
    total: int
    billed_seconds: int
    funded_until: int | None
    status: str
    balance: int | UnsetType = UNSET


class BalanceLow(Event, frozen=True):
    """`withdrawn` takes an earlier warning back: money came, and the end has moved or is gone."""

    TYPE: ClassVar[str] = "balance_low"
    seconds_left: int | None
    ends_at: int | None
    withdrawn: bool


class PeerMediaState(Event, frozen=True):
    TYPE: ClassVar[str] = "media_state"
    leg: Party
    audio: bool
    video: bool
    hold: bool


class PeerQuality(Event, frozen=True):
    TYPE: ClassVar[str] = "peer_quality"
    leg: Party
    quality: str


class IceServers(Event, frozen=True):
    TYPE: ClassVar[str] = "ice_servers"
    ice_servers: list[IceServer]


class WalletUpdated(Event, frozen=True):
    """`balance` is what the wallet holds; `reason` the movement: topup, refund, call, earnings."""

    TYPE: ClassVar[str] = "wallet_updated"
    currency: str
    reason: str
    balance: int | UnsetType = UNSET
    call: UUID | UnsetType = UNSET
    earnings: int | UnsetType = UNSET


class Notification(Event, frozen=True):
    """A new row of the user's inbox; `message` is for people, `type` and what it relates to are
    for the app."""

    TYPE: ClassVar[str] = "notification"
    id: UUID
    type: str
    message: str
    related_entity_type: str | None
    related_entity_id: UUID | None
    created_at: int


class NotificationsRead(Event, frozen=True):
    """Some of the inbox was read or deleted, on whichever device."""

    TYPE: ClassVar[str] = "notifications_read"
    unread_count: int


class PresenceUpdated(Event, frozen=True):
    TYPE: ClassVar[str] = "presence_updated"
    user_id: UUID
    presence: str
    status_message: str | None = None


class Message(Shape, frozen=True):
    id: UUID
    conversation: UUID
    sender: UUID
    text: str
    created_at: int


class ChatMessage(Event, frozen=True):
    TYPE: ClassVar[str] = "chat_message"
    message: Message


class ChatRead(Event, frozen=True):
    TYPE: ClassVar[str] = "chat_read"
    conversation: UUID
    user_id: UUID
    message: UUID


class ChatTyping(Event, frozen=True):
    TYPE: ClassVar[str] = "chat_typing"
    conversation: UUID
    user_id: UUID
    typing: bool


class Draining(Event, frozen=True):
    TYPE: ClassVar[str] = "draining"
    retry_ms: int


class CallOk(Shape, frozen=True):
    """Answer to call_request, call_accept and call_take."""

    call: Snapshot
    ice_servers: list[IceServer]
    merged: bool | UnsetType = UNSET


class IceOk(Shape, frozen=True):
    ice_servers: list[IceServer]


class EndOk(Shape, frozen=True):
    call: UUID
    final: Final


class MessageOk(Shape, frozen=True):
    message: Message


class SignalOk(Shape, frozen=True):
    """`stale`: its generation had passed. `superseded`: a crossing offer of the caller's won.

    Either way the signal was not relayed.
    """

    stale: bool | UnsetType = UNSET
    superseded: bool | UnsetType = UNSET


class Empty(Shape, frozen=True):
    pass


EVENTS: tuple[type[Event], ...] = (
    Welcome,
    CallIncoming,
    CallRinging,
    CallAccepted,
    CallRejected,
    CallConnected,
    CallReconnecting,
    CallTaken,
    CallTick,
    BalanceLow,
    CallEnded,
    PeerMediaState,
    PeerQuality,
    IceServers,
    WalletUpdated,
    Notification,
    NotificationsRead,
    PresenceUpdated,
    ChatMessage,
    ChatRead,
    ChatTyping,
    Draining,
)
