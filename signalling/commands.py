"""What clients send: commands (wishes) and reports (facts only they know).

Every frame is `Frame`; its `data` is decoded by `type` into one of the structs below. Keys are
camelCase on the wire, unknown keys are refused. PROTOCOL.md explains each.
"""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Raw

# PostgreSQL keeps no U+0000, so no text may hold one.
NO_NUL = r"^[^\x00]*\Z"
CommandId = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
# `rest` is what a party without a socket is called.
DeviceId = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^(?!rest\Z)[A-Za-z0-9._:@-]+\Z")
]
ShortText = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Generation = Annotated[int, Meta(ge=1, le=1_000_000)]
Kind = Literal["audio", "video"]
ConnectOn = Literal["media", "answer"]
Availability = Literal["online", "break", "offline"]


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The envelope. `ack` is the highest `seq` the client has processed."""

    type: Annotated[str, Meta(min_length=1, max_length=40)]
    id: CommandId | None = None
    call: UUID | None = None
    ack: Count | None = None
    data: Raw = Raw(b"{}")


class Command(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True
):
    """Base of all `data`."""


class Device(Command, frozen=True):
    id: DeviceId
    name: Annotated[str, Meta(max_length=80)] = ""
    platform: Annotated[str, Meta(max_length=40)] = ""


class Resume(Command, frozen=True):
    session: Annotated[str, Meta(max_length=64)]
    secret: Annotated[str, Meta(max_length=128)]
    last_seq: Count


class Hello(Command, frozen=True):
    """First frame. `token` may be left out when the upgrade carried `Authorization`."""

    device: Device
    protocol: int
    token: Annotated[str, Meta(max_length=3_000)] | None = None
    features: Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(max_length=32)] = []
    resume: Resume | None = None


class Ping(Command, frozen=True):
    t: Count = 0


class Ack(Command, frozen=True):
    seq: Count


class Nothing(Command, frozen=True):
    """For commands without data: `bye`, `ice_servers`, `call_end`, `call_take`."""


class CallRequest(Command, frozen=True):
    """Exactly one of `toUserId` and `toPhone`. `maxPricePerMinute` in minor units."""

    to_user_id: UUID | None = None
    to_phone: Annotated[str, Meta(max_length=20, pattern=NO_NUL)] | None = None
    kind: Kind = "audio"
    max_price_per_minute: Count | None = None
    connect_on: ConnectOn | None = None
    call_id: UUID | None = None
    note: ShortText | None = None


class CallRinging(Command, frozen=True):
    muted: bool = False


class MediaWish(Command, frozen=True):
    audio: bool = True
    video: bool = False


class CallAccept(Command, frozen=True):
    media: MediaWish = MediaWish()


class CallReject(Command, frozen=True):
    reason: Literal["declined", "busy", "away"] = "declined"
    note: ShortText | None = None


class Signal(Command, frozen=True):
    """`sdp` (offer, answer) and `candidates` are relayed as they came, byte for byte.

    No `sdp` is empty bytes: msgspec takes Raw only where nothing else may stand. (From a factory,
    because a document cannot show a default that is no JSON.)
    """

    kind: Literal["offer", "answer", "candidates", "end"]
    gen: Generation
    sdp: Raw = msgspec.field(default_factory=Raw)
    candidates: Annotated[list[Raw], Meta(max_length=32)] | None = None


class MediaConnected(Command, frozen=True):
    """`ms` is how long it took from this leg's offer or answer; 0 if the app does not say."""

    gen: Generation = 1
    relay: bool | None = None
    ms: Count = 0


class MediaLost(Command, frozen=True):
    gen: Generation = 1
    why: Literal["ice", "app"] = "ice"


class MediaStats(Command, frozen=True, kw_only=True):
    """Cumulative `inBytes` and `outBytes` since this leg's media began; `loss` is a share 0..1."""

    rtt_ms: Annotated[float, Meta(ge=0, le=600_000)] = 0
    loss: Annotated[float, Meta(ge=0, le=1)] = 0
    jitter_ms: Annotated[float, Meta(ge=0, le=600_000)] = 0
    in_bytes: Count
    out_bytes: Count = 0
    relay: bool | None = None


class MediaState(Command, frozen=True):
    audio: bool = True
    video: bool = False
    hold: bool = False


class ChatSend(Command, frozen=True):
    conversation: UUID
    text: Annotated[str, Meta(min_length=1, max_length=4_000, pattern=NO_NUL)]


class ChatRead(Command, frozen=True):
    conversation: UUID
    message: UUID


class ChatTyping(Command, frozen=True):
    conversation: UUID
    typing: bool = True


class PresenceSet(Command, frozen=True):
    presence: Availability
    status_message: Annotated[str, Meta(max_length=140, pattern=NO_NUL)] | None = None


class PresenceWatch(Command, frozen=True):
    """Replaces what this device watched before; `directory` watches every provider."""

    users: Annotated[list[UUID], Meta(max_length=200)] = []
    directory: bool = False


DATA: dict[str, type[Command]] = {
    "hello": Hello,
    "ping": Ping,
    "ack": Ack,
    "bye": Nothing,
    "call_request": CallRequest,
    "call_ringing": CallRinging,
    "call_accept": CallAccept,
    "call_reject": CallReject,
    "call_end": Nothing,
    "call_take": Nothing,
    "signal": Signal,
    "media_connected": MediaConnected,
    "media_lost": MediaLost,
    "media_stats": MediaStats,
    "media_state": MediaState,
    "ice_servers": Nothing,
    "chat_send": ChatSend,
    "chat_read": ChatRead,
    "chat_typing": ChatTyping,
    "presence_set": PresenceSet,
    "presence_watch": PresenceWatch,
}
