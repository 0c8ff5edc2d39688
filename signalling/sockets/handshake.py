"""From the first frame of a socket to its welcome."""

import asyncio
import logging
from collections.abc import Callable
from uuid import uuid4

import msgspec
from aiohttp import WSMsgType

from signalling.codes import Close, Code, Refused
from signalling.commands import Hello
from signalling.frames import decode_data, decode_frame, encode_event
from signalling.limits import SocketLimits
from signalling.sockets.connection import Connection
from signalling.sockets.desk import Desk
from signalling.sockets.fast_reader import Response
from signalling.sockets.hub import Hub

log = logging.getLogger(__name__)

PROTOCOL = 1
CLOSES = {
    Code.UNAUTHORIZED: Close.UNAUTHORIZED,
    Code.TOKEN_EXPIRED: Close.TOKEN_EXPIRED,
    Code.FORBIDDEN: Close.UNAUTHORIZED,
    Code.UNAVAILABLE: Close.SERVICE_RESTART,
    Code.RATE_LIMITED: Close.TOO_MANY_ERRORS,
}


class Version(msgspec.Struct, frozen=True):
    """Read before the rest: another version may have other fields."""

    protocol: int = PROTOCOL


class Breach(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: Close, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


async def shake_hands(
    ws: Response,
    connection: Connection,
    hub: Hub,
    desk: Desk,
    limits: SocketLimits,
    clock: Callable[[], int],
    *,
    token: str | None,
) -> bool:
    """Read `hello`, find out who it is, attach the device, queue its `welcome`.

    All of it within `hello_ms`. False: the socket is closing or gone. `token` is the one of the
    `Authorization` header; one in `hello` goes before it.
    """
    try:
        async with asyncio.timeout(limits.hello_ms / 1000):
            raw = await first_frame(ws, connection, limits.hello_bytes_max)
            if raw is None:
                return False
            hello, hello_id = read_hello(raw)
            token = hello.token or token
            if token is None:
                raise Breach(Close.UNAUTHORIZED, "no token")
            identity = await desk.authenticate(token)
            prepared = await desk.prepare(identity, hello.device.id)
        welcomed = False
        try:
            if connection.gone:
                return False
            if hub.outrun(connection, identity, hello):
                raise Breach(Close.REPLACED, "there is a newer socket of this device")
            # No await from here to the end: what the snapshot says is true until events follow it.
            device = hub.attach(connection, identity, hello)
            connection.heard_ms = clock()
            device.greet(encode_event(desk.welcome(device, prepared), clock()), hello_id)
            desk.attached(device, prepared)
            welcomed = True
        finally:
            if not welcomed:
                desk.dismissed(identity)
    except TimeoutError:
        connection.close(Close.HELLO_TIMEOUT)
    except Breach as breach:
        connection.close(breach.code, breach.why)
    except Refused as refused:
        connection.close(CLOSES.get(refused.code, Close.UNAUTHORIZED), refused.code.value)
    except Exception:
        incident = uuid4().hex[:16]
        log.exception("a handshake failed", extra={"incident": incident})
        connection.close(Close.SERVICE_RESTART, f"incident {incident}")
    return not connection.closing


async def first_frame(ws: Response, connection: Connection, bytes_max: int) -> bytes | None:
    """The first text frame, or None if the peer has gone before it."""
    while True:
        message = await ws.receive()
        if message.type is WSMsgType.TEXT:
            raw: bytes = message.data
            if len(raw) > bytes_max:
                raise Breach(Close.BAD_PROTOCOL, "hello is too large")
            return raw
        if not connection.on_message(message.type, message.data):
            return None


def read_hello(raw: bytes) -> tuple[Hello, str | None]:
    """The first frame and its id, if it has one.

    Raises:
        Breach: anything else than a good hello of our version.
    """
    try:
        raw.decode()
        frame = decode_frame(raw)
        if frame.type != "hello":
            raise Breach(Close.BAD_PROTOCOL, "hello comes first")
        if msgspec.json.decode(frame.data, type=Version).protocol != PROTOCOL:
            raise Breach(Close.VERSION_UNSUPPORTED, f"this server speaks protocol {PROTOCOL}")
        hello = decode_data(frame)
    except Refused as refused:
        why = f"bad hello: {refused.field}" if refused.field else "bad hello"
        raise Breach(Close.BAD_PROTOCOL, why) from None
    except (UnicodeDecodeError, msgspec.DecodeError):
        raise Breach(Close.BAD_PROTOCOL, "bad hello") from None
    assert isinstance(hello, Hello)
    return hello, frame.id
