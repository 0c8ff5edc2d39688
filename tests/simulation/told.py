"""What an app reads of what it is told, and what it keeps of a call."""

from typing import Any
from uuid import UUID

import msgspec


class Snap(msgspec.Struct, rename="camel"):
    id: UUID
    state: str
    rev: int
    role: str
    you: str
    gen: int
    connect_on: str
    accepted_at: int | None
    expires_at: int | None


class Recent(msgspec.Struct):
    id: UUID


class Welcome(msgspec.Struct):
    now: int
    resumed: bool
    recent: list[Recent]
    call: Snap | None = None


class Incoming(msgspec.Struct):
    call: Snap


class CallOk(msgspec.Struct):
    call: Snap
    merged: bool = False


class Happened(msgspec.Struct, rename="camel"):
    """What of an event's data matters here."""

    device: str | None = None
    elsewhere: bool = False
    leg: str | None = None
    kind: str | None = None
    gen: int = 0
    final: dict[str, Any] | None = None


class View:
    """A call as this device knows it."""

    def __init__(self, call_id: UUID, rev: int) -> None:
        self.id = call_id
        self.rev = rev
        self.role = ""
        self.you = "elsewhere"
        self.state = ""
        self.gen = 0
        self.media_wanted = True
        self.ended = False
        self.ended_ms = 0
        self.gone = False  # a welcome did not know of it any more; its end may still be told
        self.settled = True
        self.reported = False


read_welcome = msgspec.json.Decoder(Welcome).decode
read_incoming = msgspec.json.Decoder(Incoming).decode
read_call_ok = msgspec.json.Decoder(CallOk).decode
read_happened = msgspec.json.Decoder(Happened).decode
