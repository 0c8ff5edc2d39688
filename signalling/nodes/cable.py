"""One connection between two nodes: parcels in frames, acknowledged, with signs of life.

What was not acknowledged is kept, so that it can go another way when the connection ends. Writes
of one turn of the loop go out together; what has come is handled in portions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from struct import Struct
from time import monotonic
from typing import cast

from signalling.nodes.outgoing import BATCH_BYTES_MAX, BYTES_MAX, PARCELS_MAX

# Of the data behind it: length, kind, number.
HEAD = Struct(">IBQ")
GREET, PROOF, WELCOME, ACK, ASK, PARCEL, USER = range(7)
DATA_BYTES_MAX = BATCH_BYTES_MAX + 64
# Parcels handled in one turn of the loop, and bytes, after which they are acknowledged.
TURN_FRAMES = 64
ACK_BYTES = 256 << 10
SILENCE_S = 2.0


class Cable(asyncio.Protocol):
    """`on_frame(kind, n, data)` is told of all frames that are not the cable's own, unless it
    is held. `on_lost` is told once that the connection has ended, other than by `abort`."""

    on_frame: Callable[[int, int, bytes], None]
    on_lost: Callable[[], None]

    def __init__(self, on_open: Callable[[Cable], None] | None = None) -> None:
        self.heard_s = monotonic()
        self._on_open = on_open
        self.unacked: deque[tuple[int, int, bytes]] = deque()
        self._unacked_bytes = 0
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._acks = asyncio.Event()
        self._out: list[bytes] = []
        self._in = b""
        self.held = self._more = self._ended = False
        self._took = self._took_bytes = self._taken = 0

    # -- sending

    def put(self, n: int, kind: int, data: bytes) -> bool:
        """A parcel. False if the other side is too far behind: the cable is to be given up."""
        self.unacked.append((n, kind, data))
        self._unacked_bytes += len(data)
        self.write(kind, n, data)
        return len(self.unacked) <= PARCELS_MAX and self._unacked_bytes <= BYTES_MAX

    def write(self, kind: int, n: int = 0, data: bytes = b"") -> None:
        out = self._out
        if not out:
            self._loop.call_soon(self._flush)
        out += (HEAD.pack(len(data), kind, n), data)

    def beat(self) -> None:
        """Acknowledge what was taken. To be called twice a second too: it is a sign of life."""
        self._took = self._took_bytes = 0
        self.write(ACK, self._taken)

    def silent(self, now_s: float) -> bool:
        return not self.held and now_s - self.heard_s > SILENCE_S

    async def settled(self) -> None:
        """Until all parcels are acknowledged, or the connection has ended."""
        self.write(ASK)
        while self.unacked and not self._ended:
            self._acks.clear()
            await self._acks.wait()

    def abort(self) -> None:
        """End it at once; `on_lost` is not told."""
        self._ended = True
        self._in = b""
        self._acks.set()
        self._transport.abort()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if not self._closing():
            self._transport.write(b"".join(out))

    def _acked(self, n: int) -> None:
        unacked = self.unacked
        while unacked and unacked[0][0] <= n:
            self._unacked_bytes -= len(unacked.popleft()[2])
        self._acks.set()

    # -- receiving

    def hold(self) -> None:
        """Handle nothing more until `go`."""
        self.held = True
        self._transport.pause_reading()

    def go(self) -> None:
        self.held = False
        self.heard_s = monotonic()
        self._later()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._on_open is not None:
            self._on_open(self)

    def data_received(self, data: bytes) -> None:
        self.heard_s = monotonic()
        self._in = self._in + data if self._in else data
        if not (self.held or self._more):
            self._handle()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._acks.set()
            self.on_lost()

    def _closing(self) -> bool:
        return self._ended or self._transport.is_closing()

    def _later(self) -> None:
        if not (self._more or self._closing()):
            self._more = True
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._more = False
        if self.held or self._closing():
            return
        self._transport.resume_reading()
        self._handle()

    def _handle(self) -> None:
        data, at, frames = self._in, 0, 0
        size = len(data)
        while size - at >= HEAD.size and not (self.held or self._ended):
            length, kind, n = HEAD.unpack_from(data, at)
            end = at + HEAD.size + length
            if length > DATA_BYTES_MAX:
                self._transport.abort()  # It is none of ours; `on_lost` is told.
                return
            if end > size:
                break
            if frames == TURN_FRAMES:
                self._later()
                break
            if kind == ACK:
                self._acked(n)
            elif kind == ASK:
                self.beat()
            else:
                frames += 1
                self._taken = n or self._taken
                self._took_bytes += length
                self.on_frame(kind, n, data[at + HEAD.size : end])
            at = end
        if not self._ended:
            self._in = data[at:]
            self._took += frames
            if self._took >= TURN_FRAMES or self._took_bytes >= ACK_BYTES:
                self.beat()
