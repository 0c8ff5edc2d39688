"""What travels on the wire, as the client sees it, and the client's idea of the server's clock."""

import asyncio
import random
from collections import deque
from typing import Any
from uuid import UUID

import msgspec

from signalling.codes import Close

PROTOCOL = 1
CLOCK_SAMPLES = 8

Json = dict[str, Any]


class CommandRefused(Exception):
    """The server said no. `details` are the error's further public keys, in wire names."""

    def __init__(self, code: str, message: str, field: str | None, details: Json) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.field = field
        self.details = details


class WireStopped(Exception):
    """The connection is over for good: the server closed it with a code from 4400 on, or we did."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason or 'closed'} ({code})")
        self.code = code
        self.reason = reason


class Event(msgspec.Struct, frozen=True):
    """What the server tells. `seq` counts per session, `rev` per call, `ts` in Unix ms."""

    type: str
    data: Json = {}
    seq: int | None = None
    call: str | None = None
    rev: int | None = None
    ts: int = 0
    re: str | None = None


class Pending:
    """A command that waits for its answer, with the frame to send again."""

    def __init__(self, frame: str, reply: asyncio.Future[Json]) -> None:
        self.frame = frame
        self.reply = reply
        self.retries = 0


class Backoff(msgspec.Struct, frozen=True):
    """How long to wait before the n-th attempt in a row: doubling, capped, times 0.5 to 1.5."""

    first_ms: int = 500
    max_ms: int = 30_000

    def delay_ms(self, attempt: int) -> int:
        middle_ms = min(self.max_ms, self.first_ms << min(attempt, 16))
        return round(middle_ms * random.uniform(0.5, 1.5))


class ServerClock:
    """The server's Unix ms, from its answers to pings."""

    def __init__(self) -> None:
        self.offset_ms = 0.0
        self.rtt_ms = 0.0
        self._samples: deque[tuple[float, float]] = deque(maxlen=CLOCK_SAMPLES)

    def welcome(self, server_ms: float, now_ms: float) -> None:
        """A first guess, until a pong knows how long the way is."""
        if not self._samples:
            self.offset_ms = server_ms - now_ms

    def pong(self, sent_ms: float, server_ms: float, now_ms: float) -> None:
        """The sample with the shortest way of the last few is the most exact one."""
        self.rtt_ms = max(0.0, now_ms - sent_ms)
        self._samples.append((self.rtt_ms, server_ms - (now_ms + sent_ms) / 2))
        self.offset_ms = min(self._samples)[1]


def close_name(code: int) -> str:
    return Close(code).name.lower() if code in set(Close) else "closed"


def socket_url(url: str) -> str:
    """The WebSocket address of a server given by its http(s) or ws(s) address."""
    url = url.replace("http", "ws", 1) if url.startswith("http") else url
    path = url.split("://", 1)[-1].partition("/")[2]
    return url if path else url.rstrip("/") + "/ws"


def envelope(
    type: str,
    data: Json,
    *,
    call: str | UUID | None = None,
    command_id: str | None = None,
    ack: int | None = None,
) -> str:
    body: Json = {"type": type}
    if command_id is not None:
        body["id"] = command_id
    if call is not None:
        body["call"] = str(call)
    if ack:
        body["ack"] = ack
    body["data"] = {key: value for key, value in data.items() if value is not None}
    return msgspec.json.encode(body).decode()


def hello(token: str, device: Json, welcome: Json, last_seq: int) -> str:
    """The first frame of a socket; it resumes the session of the last `welcome`, if there is one.

    `last_seq` is the number of the last event that came in that session.
    """
    data: Json = {"token": token, "device": device, "protocol": PROTOCOL, "features": []}
    if welcome:
        data["resume"] = {
            "session": welcome["session"],
            "secret": welcome["secret"],
            "lastSeq": last_seq,
        }
    return envelope("hello", data)
