"""One WebSocket that costs little: the generator shares the machine with the server it loads.

A plain protocol instead of a stream: frames are handed on in the very turn in which they come.
Frames are masked with a key of zeros, which is allowed and leaves the payload as it is.
"""

import asyncio
import base64
import secrets
import ssl
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple, Self, cast
from urllib.parse import urlsplit

from signalling.client.envelope import socket_url
from signalling.client.wire import FRAME_BYTES_MAX, SUBPROTOCOL

OPEN_S = 20.0
HEAD_BYTES_MAX = 16_384
_NO_MASK = b"\0\0\0\0"
_TEXT, _MORE, _CLOSE, _PING = 1, 0, 8, 9
_medium = Struct("!BBH").pack
_large = Struct("!BBQ").pack


class UpgradeRefused(ConnectionError):
    """The server answered the handshake with another status than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the handshake was answered with {status}")
        self.status = status


class Address(NamedTuple):
    """Where to connect; `tls` for wss."""

    host: str
    port: int
    path: str
    tls: bool

    @classmethod
    def of(cls, url: str) -> Self:
        """Of a server's http(s) or ws(s) address.

        Raises:
            ValueError: it names no host, or another scheme.
        """
        parts = urlsplit(socket_url(url))
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a server like http://127.0.0.1:8080.")
        tls = parts.scheme == "wss"
        return cls(parts.hostname, parts.port or (443 if tls else 80), parts.path, tls)


def framed(payload: bytes, opcode: int = _TEXT) -> bytes:
    """A whole frame of a client."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = _medium(0x80 | opcode, 0x80 | 126, size)
    else:
        head = _large(0x80 | opcode, 0x80 | 127, size)
    return head + _NO_MASK + payload


class Line(asyncio.Protocol):
    """Made by `open`. `on_frame` gets each text, `on_close` the close code (1006: none was seen)
    once, after the last frame."""

    def __init__(self) -> None:
        self.on_frame: Callable[[bytes], None] = lambda _: None
        self.on_close: Callable[[int], None] = lambda _: None
        self.close_code: int | None = None
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._parts = b""
        self._upgraded: asyncio.Future[None] | None = None
        self._seen_close = 1006

    @classmethod
    async def open(cls, address: Address) -> Self:
        """
        Raises:
            UpgradeRefused: the server speaks, and says no.
            OSError, TimeoutError: it does not.
        """
        loop = asyncio.get_running_loop()
        tls = ssl.create_default_context() if address.tls else None
        async with asyncio.timeout(OPEN_S):
            _, line = await loop.create_connection(cls, address.host, address.port, ssl=tls)
            line._upgraded = loop.create_future()
            key = base64.b64encode(secrets.token_bytes(16)).decode()
            head = (
                f"GET {address.path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
            )
            line._write(head.encode())
            try:
                await line._upgraded
            except BaseException:
                line.abort()
                raise
        return line

    def send(self, payload: bytes) -> None:
        """Into the void when the socket is closed; `on_close` tells."""
        if self.close_code is None:
            self._write(framed(payload))

    def pause(self) -> None:
        """Stop reading, as a phone does whose app hangs."""
        if self._transport is not None and self.close_code is None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and self.close_code is None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Cut, without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close as one should."""
        if self._transport is not None and self.close_code is None:
            self._write(framed(b"\x03\xe8", _CLOSE))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asked for by isinstance: uvloop's transports stand outside asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upgraded is not None and not self._upgraded.done():
            self._upgraded.set_exception(ConnectionError("the server closed the connection"))
        self.close_code = self._seen_close
        self.on_close(self.close_code)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at = 0
        if self._upgraded is not None:
            at = self._head(data)
            if at < 0:
                return
        end = len(data)
        while end - at >= 2:
            size, begin = data[at + 1] & 0x7F, at + 2
            if size == 126:
                begin += 2
                size = int.from_bytes(data[at + 2 : begin])
            elif size == 127:
                begin += 8
                size = int.from_bytes(data[at + 2 : begin])
            if begin + size > end or begin > end:
                if size > FRAME_BYTES_MAX:
                    self.abort()
                    return
                break
            opcode, last, at = data[at] & 0x0F, data[at] & 0x80, begin + size
            self._frame(opcode, bool(last), data[begin:at])
        self._rest = data[at:]

    def _head(self, data: bytes) -> int:
        """Where frames begin; -1 until the whole answer to the handshake is there."""
        at = data.find(b"\r\n\r\n") + 4
        if at < 4:
            self._rest = data
            if len(data) > HEAD_BYTES_MAX:
                self.abort()
            return -1
        upgraded, self._upgraded = self._upgraded, None
        assert upgraded is not None
        status = data[9:12]
        if not upgraded.done():
            if status == b"101":
                upgraded.set_result(None)
            else:
                upgraded.set_exception(UpgradeRefused(int(status) if status.isdigit() else 0))
        return at if status == b"101" else -1

    def _frame(self, opcode: int, last: bool, payload: bytes) -> None:
        if opcode in (_TEXT, _MORE):
            if last and not self._parts:
                self.on_frame(payload)
                return
            self._parts += payload
            if len(self._parts) > FRAME_BYTES_MAX:
                self.abort()
            elif last:
                whole, self._parts = self._parts, b""
                self.on_frame(whole)
        elif opcode == _PING:
            self._write(framed(payload, 10))
        elif opcode == _CLOSE:
            self._seen_close = int.from_bytes(payload[:2]) if len(payload) >= 2 else 1005
            self._write(framed(payload[:2], _CLOSE))
            assert self._transport is not None
            self._transport.close()

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(data)
