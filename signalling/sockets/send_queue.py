"""What waits to be written to one socket. Never waits for a slow reader.

All frames of one loop turn leave in one `transport.write`; one callback per turn serves all
sockets. Frames are put together here (RFC 6455 §5.2: final text frame, unmasked) because aiohttp's
writer makes one write per frame and waits for slow readers.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from struct import Struct

from signalling.limits import SocketLimits

log = logging.getLogger(__name__)

TEXT, CLOSE, PONG = 0x1, 0x8, 0xA
_FIN = 0x80
_medium = Struct("!BBH").pack
_long = Struct("!BBQ").pack
_close_code = Struct("!H").pack
_REASON_BYTES_MAX = 123
HEADER_BYTES_MAX = 10  # What every frame is counted with.


def header(opcode: int, size: int) -> bytes:
    if size < 126:
        return bytes((_FIN | opcode, size))
    if size < 65_536:
        return _medium(_FIN | opcode, 126, size)
    return _long(_FIN | opcode, 127, size)


# Of text frames up to the size of a relayed candidate: making one takes 0.09 µs of some 6.
_text_headers = tuple(header(TEXT, size) for size in range(512))


class Flusher:
    """Flushes every queue that was written to, once at the end of the loop turn.

    It stays with the loop of its first use: asking which one runs is a system call.
    """

    __slots__ = ("_loop", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[SendQueue] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, queue: "SendQueue") -> None:
        if not self._waiting:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._flush)
        self._waiting.append(queue)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for queue in waiting:
            try:
                queue.flush()
            except Exception:
                log.exception("writing to a socket failed")


class SendQueue:
    """Calls `slow` once, and takes nothing more, when the reader has fallen too far behind.

    Bytes are counted as they are put. Frames are counted while the transport has bytes left from
    an earlier turn: many small frames at once are no sign of a slow reader.
    """

    __slots__ = (
        "_backlog",
        "_bytes_max",
        "_closed",
        "_flusher",
        "_frames_max",
        "_last",
        "_pending",
        "_pending_bytes",
        "_room_bytes",
        "_slow",
        "_transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        flusher: Flusher,
        limits: SocketLimits,
        slow: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._flusher = flusher
        # Dropped with the last use: no ring of references is left for the garbage collector.
        self._slow: Callable[[], None] | None = slow
        self._bytes_max = limits.send_queue_bytes_max
        self._frames_max = limits.send_queue_frames_max
        self._room_bytes = self._bytes_max
        self._pending: list[bytes] = []  # header, payload, header, payload...
        self._pending_bytes = 0
        # (bytes, frames) of writes that the kernel may not have taken yet, oldest first.
        self._backlog: deque[tuple[int, int]] | None = None
        self._last = (0, 0)
        self._closed = False

    def put(self, payload: bytes, opcode: int = TEXT) -> None:
        """Queue a frame."""
        if self._closed:
            return
        pending = self._pending
        if not pending:
            self._flusher.add(self)
        size = len(payload)
        ready = size < 512 and opcode == TEXT
        pending += (_text_headers[size] if ready else header(opcode, size), payload)
        size += HEADER_BYTES_MAX
        self._pending_bytes += size
        self._room_bytes -= size
        if self._room_bytes < 0:
            self._measure()

    def pong(self, payload: bytes) -> None:
        """Answer a WebSocket ping."""
        self.put(payload, PONG)

    def _measure(self) -> None:
        """The room was counted down without asking the transport; ask it now."""
        buffered = self._transport.get_write_buffer_size()
        self._room_bytes = self._bytes_max - buffered - self._pending_bytes
        if self._room_bytes < 0:
            self.give_up()

    @property
    def stuck(self) -> bool:
        """The kernel's buffer is full and bytes wait in ours."""
        return self._transport.get_write_buffer_size() > 0

    def flush(self) -> None:
        """Hand everything to the transport in one write."""
        pending = self._pending
        if not pending:
            return
        if self._transport.is_closing():
            self._drop()
            return
        buffered = self._transport.get_write_buffer_size()
        if not buffered:
            self._backlog = None
        elif self._behind(buffered):
            self.give_up()
            return
        data = b"".join(pending)
        self._last = (len(data), len(pending) // 2)
        if self._backlog is not None:
            self._backlog.append(self._last)
        self._room_bytes = self._bytes_max - buffered - len(data)
        pending.clear()
        self._pending_bytes = 0
        self._transport.write(data)

    def _behind(self, buffered: int) -> bool:
        """Whether too many frames are still in the transport. It works in order, so of the writes
        it was given the newest `buffered` bytes are those it still has."""
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = deque((self._last,))
        waiting = sum(size for size, _ in backlog)
        while len(backlog) > 1 and waiting - backlog[0][0] >= buffered:
            waiting -= backlog.popleft()[0]
        return sum(frames for _, frames in backlog) > self._frames_max

    def close(self, code: int, why: str = "") -> None:
        """Write what waits and a close frame after it; nothing is taken any more."""
        if self._closed:
            return
        body = _close_code(code) + why.encode()[:_REASON_BYTES_MAX]
        self._pending += (header(CLOSE, len(body)), body)
        data = b"".join(self._pending)
        self._closed = True
        self._slow = None
        self._drop()
        if not self._transport.is_closing():
            self._transport.write(data)

    def give_up(self) -> None:
        """Drop everything and call `slow`, once."""
        slow, self._slow = self._slow, None
        self._closed = True
        self._drop()
        if slow is not None:
            slow()

    def _drop(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0
