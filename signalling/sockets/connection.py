"""One socket: frames in, frames out, and its end."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from aiohttp import WSMsgType

from signalling import commands
from signalling.codes import Close, Code, Refused
from signalling.commands import Frame
from signalling.frames import about, decode_data, decode_frame, encode_pong, id_of
from signalling.limits import SocketLimits
from signalling.sockets.desk import Desk
from signalling.sockets.device import Device
from signalling.sockets.fast_reader import FastResponse, Response
from signalling.sockets.hub import Hub, ids
from signalling.sockets.send_queue import Flusher, SendQueue
from signalling.sockets.throttle import Window

log = logging.getLogger(__name__)

NORMAL = 1000
STOP_FROM = 4400  # The client does not come back by itself.
# How long a peer may take to answer a close frame before its socket is cut.
CLOSE_WAIT_S = 2.0
USER_TIMEOUT_MS = 20_000
SEND_DEADLINE_MS = 5_000
FLOOD_MAX = 200
FLOOD_WINDOW_MS = 10_000
OWN = frozenset({"hello", "ping", "ack", "bye"})


class Connection:
    """A socket from its upgrade to its end; `device` is set when it has been welcomed.

    `close` takes effect at once for everybody else (the device is detached, nothing more is sent
    or applied); the handler ends when the peer has answered or its time is up.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_cut",
        "_deaf",
        "_desk",
        "_errors",
        "_floods",
        "_hub",
        "_limits",
        "_queue",
        "_stuck_ms",
        "_transport",
        "closing",
        "device",
        "heard_ms",
        "send",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        hub: Hub,
        desk: Desk,
        limits: SocketLimits,
        clock: Callable[[], int],
        flusher: Flusher,
    ) -> None:
        self._transport = transport
        self._hub = hub
        self._desk = desk
        self._limits = limits
        self._clock = clock
        self._queue = SendQueue(transport, flusher, limits, self._slow)
        # Not a method of its own: each frame would be one call more.
        self.send: Callable[[bytes], None] = self._queue.put
        self._errors: Window | None = None
        self._floods: Window | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._stuck_ms: int | None = None  # since when our bytes have been waiting
        self._deaf = False  # about to be closed for its errors
        self.closing = False
        self.device: Device | None = None
        self.heard_ms = clock()
        limit_silence(transport)

    @property
    def gone(self) -> bool:
        """There is nobody to welcome any more."""
        return self.closing or self._transport.is_closing()

    # -- out ---------------------------------------------------------------------------------

    def close(self, code: int, why: str = "") -> None:
        """Send a close frame and end. Later calls do nothing."""
        self._end(code, why, bye=False)

    def _end(self, code: int, why: str, *, bye: bool) -> None:
        """A session that the client is told not to come back to is over with its socket."""
        if self.closing:
            return
        self.closing = True
        self._queue.close(code, why)
        self._cut_later()
        if self.device is not None:
            log.info("socket closed", extra={**ids(self.device), "code": int(code)})
        self._hub.detach(self, bye=bye, over=bye or code >= STOP_FROM)

    def _slow(self) -> None:
        """4002: a close frame could only queue behind what is not being read."""
        if self.closing:
            return
        self.closing = True
        self._transport.abort()
        if self.device is not None:
            log.info("socket cut", extra={**ids(self.device), "code": int(Close.SLOW_CONSUMER)})
        # Not from within whoever was sending: it may be in the middle of a call's effects.
        asyncio.get_running_loop().call_soon(self._hub.detach, self)

    def check(self, now_ms: int) -> None:
        """Cut a reader that has been behind for 5 s. Detaches it only after this returned."""
        if not self._queue.stuck:
            self._stuck_ms = None
        elif self._stuck_ms is None:
            self._stuck_ms = now_ms
        elif now_ms - self._stuck_ms >= SEND_DEADLINE_MS:
            self._queue.give_up()

    def finish(self) -> None:
        """The handler is done: answer the peer's close if it was first, then close the socket."""
        if not self.closing:
            self.closing = True
            self._queue.close(NORMAL)
        self._transport.close()
        self._cut_later()

    def _cut_later(self) -> None:
        if self._cut is None:
            loop = asyncio.get_running_loop()
            self._cut = loop.call_later(CLOSE_WAIT_S, self._transport.abort)

    # -- in ----------------------------------------------------------------------------------

    async def read(self, ws: Response) -> None:
        """Until the peer closes or is gone. Begins where the handshake has stopped reading."""
        fast = ws if isinstance(ws, FastResponse) else None
        if fast is not None:
            fast.sink = self
        try:
            message = await ws.receive()
            while self.on_message(message.type, message.data):
                message = await ws.receive()
        finally:
            if fast is not None:
                fast.sink = None

    def on_message(self, kind: WSMsgType, data: Any) -> bool:
        """One message of any kind; false at the end of the socket."""
        if kind is WSMsgType.TEXT:
            self.on_frame(data)
        elif kind is WSMsgType.PING or kind is WSMsgType.PONG:
            now_ms = self._clock()
            self.heard_ms = now_ms
            device = self.device
            free = device is None or not device.frames.take(now_ms)
            if kind is WSMsgType.PING and free:
                self._queue.pong(bytes(data))
        elif kind is WSMsgType.BINARY:
            self.close(Close.BAD_PROTOCOL, "binary frame")
        else:
            return False
        return True

    def on_fault(self, code: int) -> None:
        self.close(code)

    def on_frame(self, raw: bytes) -> None:
        """One text frame, applied and answered before this returns (or soon after, by the desk)."""
        device = self.device
        if device is None or self.closing or self._deaf:
            return
        now_ms = self._clock()
        self.heard_ms = now_ms
        wait_ms = device.frames.take(now_ms)
        if wait_ms:
            device.refuse(id_of(raw), too_fast(wait_ms))
            return
        # Parts of it are passed on unparsed, and JSON decoders look into strings only.
        if not raw.isascii() and not is_utf8(raw):
            self.close(Close.BAD_PROTOCOL, "not UTF-8")
            return
        try:
            frame = decode_frame(raw)
        except Refused as refused:
            device.refuse(id_of(raw), refused)
            return
        if frame.ack is not None:
            device.ack(frame.ack)
        if frame.type in OWN:
            self._own(device, frame)
            return
        command_id = frame.id
        if command_id is not None and device.repeated(command_id):
            return
        wait_ms = device.throttle(frame.type, now_ms)
        if wait_ms:
            device.refuse(command_id, too_fast(wait_ms))
            return
        if command_id is not None:
            device.expect(command_id)
        try:
            self._desk.receive(device, frame)
        except Refused as refused:
            device.fail(command_id, refused)
        except MemoryError:
            device.fail(command_id, short_of_memory())
        except Exception:
            incident = uuid4().hex[:16]
            log.exception(
                "a command failed",
                extra={**ids(device), **about(frame), "incident": incident},
            )
            device.fail(command_id, broken(incident))

    def _own(self, device: Device, frame: Frame) -> None:
        try:
            data = decode_data(frame)
        except Refused as refused:
            device.refuse(frame.id, refused)
            return
        match data:
            case commands.Ping(t=t):
                self.send(encode_pong(t, self._clock()))
            case commands.Ack(seq=seq):
                device.ack(seq)
            case commands.Hello():
                why = "This socket has been welcomed already."
                device.refuse(frame.id, Refused(Code.WRONG_STATE, why))
            case _:
                self._end(NORMAL, "bye", bye=True)

    def erred(self, code: Code) -> None:
        """An error was sent. Too many of them, or too much flooding, end the socket."""
        if code is Code.RATE_LIMITED:
            if self._floods is None:
                self._floods = Window(FLOOD_MAX, FLOOD_WINDOW_MS)
            over = self._floods.over(self._clock())
        else:
            if self._errors is None:
                self._errors = Window(self._limits.errors_max, self._limits.errors_window_ms)
            over = self._errors.over(self._clock())
        if over and not self._deaf:
            self._deaf = True
            # Not from within whoever was answering.
            asyncio.get_running_loop().call_soon(self.close, Close.TOO_MANY_ERRORS)


def is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def too_fast(wait_ms: int) -> Refused:
    return Refused(Code.RATE_LIMITED, "Too many frames.", retry_after_ms=wait_ms)


def short_of_memory() -> Refused:
    """Commands may be sent again whatever became of them, so this is no lasting mistake."""
    return Refused(Code.UNAVAILABLE, "The server is short of memory.", retry_after_ms=1_000)


def broken(incident: str) -> Refused:
    return Refused(Code.INTERNAL, "Something went wrong here.", details={"incident": incident})


def limit_silence(transport: asyncio.Transport) -> None:
    """Have the kernel give up a peer that does not take our bytes for 20 s (Linux)."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    sock = transport.get_extra_info("socket")
    if option is None or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, option, USER_TIMEOUT_MS)
    except OSError:
        pass
