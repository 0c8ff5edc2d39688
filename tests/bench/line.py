"""Clients that cost little beside the server they load: raw WebSocket and raw HTTP.

Frames are masked with a key of zeros: allowed, and the payload stays as it is.
"""

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import Self, cast

from tests.bench.lab import Login

READY_S = 20.0
CONNECTS_AT_ONCE = 64
_NO_MASK = b"\0\0\0\0"
_medium = Struct("!BBH").pack
_UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def framed(payload: bytes) -> bytes:
    """A text frame of a client; `payload` is shorter than 64 KiB."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else _medium(0x81, 0x80 | 126, size)
    return head + _NO_MASK + payload


class Line(asyncio.Protocol):
    """One WebSocket. `on_frame` gets the payload of each text frame."""

    def __init__(self) -> None:
        self.on_frame: Callable[[bytes], None] = self._first
        self.closed = False
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._upgraded = False
        self._waiting: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, host: str, port: int, path: str = "/ws") -> Self:
        """
        Raises:
            ConnectionError: the server did not upgrade.
        """
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(cls, host, port)
        answer = loop.create_future()
        line._waiting = answer
        line.write(_UPGRADE % path.encode())
        async with asyncio.timeout(READY_S):
            head = await answer
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head[:200].decode(errors="replace"))
        return line

    async def hello(self, login: Login, device: str, resume: bytes = b"") -> bytes:
        """Authenticate; the welcome frame. `resume` is the session to go on with, as JSON."""
        self._waiting = asyncio.get_running_loop().create_future()
        wish = b',"resume":' + resume if resume else b""
        self.send(
            b'{"type":"hello","data":{"token":"%b","device":{"id":"%b"},"protocol":1%b}}'
            % (login.token.encode(), device.encode(), wish)
        )
        async with asyncio.timeout(READY_S):
            welcome = await self._waiting
        if not welcome.startswith(b'{"type":"welcome"'):
            raise ConnectionError(welcome[:200].decode(errors="replace"))
        return welcome

    def send(self, payload: bytes) -> None:
        self.write(framed(payload))

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asked for by isinstance: uvloop's transports stand outside asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the server closed the socket"))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at = 0
        if not self._upgraded:
            at = data.find(b"\r\n\r\n") + 4
            if at < 4:
                self._rest = data
                return
            self._upgraded = True
            self._first(data[:at])
        end = len(data)
        while end - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                begin += 2
                size = int.from_bytes(data[at + 2 : begin])
            elif size == 127:
                begin += 8
                size = int.from_bytes(data[at + 2 : begin])
            if begin + size > end or begin > end:
                break
            opcode, at = data[at] & 0x0F, begin + size
            if opcode == 1:
                self.on_frame(data[begin:at])
        self._rest = data[at:]

    def _first(self, frame: bytes) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(frame)


async def connect_all(host: str, port: int, logins: list[Login]) -> list[Line]:
    """A welcomed socket for each, a few at once; in their order."""
    gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def one(login: Login) -> Line:
        async with gate:
            line = await Line.open(host, port)
            await line.hello(login, "bench")
            return line

    return list(await asyncio.gather(*map(one, logins)))


class Getter(asyncio.Protocol):
    """One HTTP/1.1 connection that asks the same again and again; `done` after each answer."""

    def __init__(self, request: bytes, done: Callable[["Getter"], None]) -> None:
        self._request = request
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._got = b""
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asked for by isinstance: uvloop's transports stand outside asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        assert self._transport is not None
        self._transport.write(self._request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        got = self._got = self._got + data if self._got else data
        head = got.find(b"\r\n\r\n")
        if head < 0:
            return
        at = got.lower().find(b"content-length: ") + 16
        if len(got) < head + 4 + int(got[at : got.index(b"\r", at)]):
            return
        if not got.startswith(b"HTTP/1.1 200"):
            self.failed += 1
        self._got = b""
        self._done(self)
