"""A socket between a phone and a node: both directions late and in order, until it breaks.

On the node's side it is the real `Connection` and the real handshake, without bytes and TCP.
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from aiohttp import WSMsgType

from signalling.sockets.connection import Connection
from signalling.sockets.fast_reader import Response
from signalling.sockets.handshake import shake_hands
from signalling.sockets.send_queue import Flusher, SendQueue

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.phone import Phone

LOST = 1006
CLOSED_MS = 30


class Line:
    """`mute`: nothing comes through any more, and neither side has been told."""

    def __init__(self, phone: "Phone", node: "Node", number: int, dice: Random) -> None:
        self.phone = phone
        self.node = node
        self.number = number
        self.life = node.lives
        self.loop = node.loop
        self.mute = False
        self.over = False  # for the node
        self.left = False  # for the phone
        self._world = phone.world
        self._dice = dice
        self._base_ms = dice.choice((2, 5, 20, 60))
        self._up_ms = self._down_ms = 0
        self._connection: SimConnection | None = None
        self._ended: asyncio.Future[None] | None = None
        self._hello = b""

    def open(self, hello: bytes) -> None:
        """The phone connects; the node may not be there."""
        self._hello = hello
        delay_ms = self._late(up=True)

        def arrive() -> None:
            node = self.node
            if self.left:
                return
            if node.lives != self.life or not node.listening:
                self._tell_phone(LOST)
                return
            self.loop.after(0, self._accept)

        self._world.time.later(delay_ms, arrive)

    def _late(self, *, up: bool) -> int:
        now_ms = self._world.time.now_ms
        delay_ms = self._base_ms + self._dice.randint(0, 3)
        if self._world.slow_networks and self._dice.random() < 0.02:
            delay_ms += self._dice.randint(100, 3_000)
        last_ms = self._up_ms if up else self._down_ms
        at_ms = max(now_ms + delay_ms, last_ms)
        if up:
            self._up_ms = at_ms
        else:
            self._down_ms = at_ms
        return at_ms - now_ms

    # -- what the phone does

    def send(self, raw: bytes) -> None:
        if self.mute or self.left:
            return

        def arrive() -> None:
            if self._connection is not None and not self.over:
                self._world.trace_raw(self.number, b">", raw)
                self._connection.on_frame(raw)

        if not self.over:
            self.loop.after(self._late(up=True), arrive)

    def leave(self, *, told: bool) -> None:
        """The phone gives this socket up; the node is `told`, or has to find out."""
        if self.left:
            return
        self.left = True
        if told and not self.mute:
            self.loop.after(self._late(up=True), self._end)

    # -- what the node does

    def _accept(self) -> None:
        if self.over or self.left:
            return
        if self.node.live is None or self.node.draining:
            self._tell_phone(LOST)
            return
        self.loop.create_task(self._serve())

    async def _serve(self) -> None:
        live = self.node.live
        assert live is not None
        limits, clock = live.ground.socket_limits, live.ground.clock
        self._ended = asyncio.get_running_loop().create_future()
        connection = self._connection = SimConnection(self, self.node)
        address = str(self.number)
        live.hub.opened(connection, address)
        try:
            ws = cast(Response, FirstFrame(self._hello, self._ended))
            await shake_hands(ws, connection, live.hub, live.desk, limits, clock, token=None)
            await self._ended
        finally:
            self.over = True
            connection.finish()
            live.hub.ended(connection, address)

    def put(self, raw: bytes) -> None:
        """A frame for the phone."""
        if self.over or self.mute:
            return

        def arrive() -> None:
            if not self.left and not self.mute:
                self._world.trace_raw(self.number, b"<", raw)
                self.phone.on_frame(self, raw)

        self._world.time.later(self._late(up=False), arrive)

    def close(self, code: int) -> None:
        """The node has sent its close frame."""
        self._tell_phone(code)
        self.loop.after(CLOSED_MS, self._end)

    def _end(self) -> None:
        """The node's handler is done."""
        self.over = True
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _tell_phone(self, code: int) -> None:
        def arrive() -> None:
            if not self.left and not self.mute:
                self.left = True
                self.phone.on_closed(self, code)

        self._world.time.later(self._late(up=False), arrive)

    # -- what happens to it

    def cut(self) -> None:
        """The process at the other end is gone, and its machine says so."""
        self._tell_phone(LOST)


class Message(NamedTuple):
    type: WSMsgType
    data: Any


class FirstFrame:
    """What the handshake reads from."""

    def __init__(self, hello: bytes, ended: "asyncio.Future[None]") -> None:
        self._hello: bytes | None = hello
        self._ended = ended

    async def receive(self) -> Message:
        if self._hello is not None:
            hello, self._hello = self._hello, None
            return Message(WSMsgType.TEXT, hello)
        await asyncio.shield(self._ended)
        return Message(WSMsgType.CLOSE, None)


class Pipe:
    """As `SendQueue`, for a peer that always reads."""

    stuck = False

    def __init__(self, line: Line) -> None:
        self._line = line
        self._closed = False

    def put(self, payload: bytes) -> None:
        if not self._closed:
            self._line.put(payload)

    def close(self, code: int, why: str = "") -> None:
        if not self._closed:
            self._closed = True
            self._line.close(int(code))

    def give_up(self) -> None: ...

    def pong(self, payload: bytes) -> None: ...


class Transport:
    def __init__(self, line: Line) -> None:
        self._line = line

    def get_extra_info(self, _: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self._line.over

    def close(self) -> None: ...

    def abort(self) -> None: ...


class SimConnection(Connection):
    """Hashed by its number: sets of sockets are walked in the same order in every run."""

    __slots__ = ("number",)

    def __init__(self, line: Line, node: "Node") -> None:
        live = node.live
        assert live is not None
        self.number = line.number
        super().__init__(
            cast(asyncio.Transport, Transport(line)),
            live.hub,
            live.desk,
            live.ground.socket_limits,
            live.ground.clock,
            Flusher(),
        )
        self._queue = cast(SendQueue, Pipe(line))
        self.send = self._queue.put

    def __hash__(self) -> int:
        return self.number
