"""A real server on loopback with a small desk, on both event loops and with both readers."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest
import uvloop
from aiohttp import web

from signalling.codes import Code, Refused
from signalling.commands import Frame
from signalling.events import Empty, Profile, Welcome, WelcomeLimits
from signalling.frames import encode_raw
from signalling.limits import SocketLimits
from signalling.sockets.device import Device
from signalling.sockets.endpoint import SocketEndpoint
from signalling.sockets.hub import Hub
from signalling.sockets.identity import Identity

WAIT_S = 10.0


def pytest_asyncio_loop_factories(
    config: object, item: object
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def user(number: int) -> UUID:
    return UUID(int=number)


def login(number: int) -> UUID:
    return UUID(int=1_000_000 + number)


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    head = bytes([(0x80 if final else 0) | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += struct.pack("!BH", 0x80 | 126, size)
    else:
        head += struct.pack("!BQ", 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


def hello(number: int, device: str) -> bytes:
    data = {"token": f"user:{number}", "protocol": 1, "device": {"id": device}}
    return masked(1, msgspec.json.encode({"type": "hello", "data": data}))


async def frame_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(WAIT_S):
        first, size = await reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
        return first & 0xF, await reader.readexactly(size)


class FakeClock:
    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class TableDesk:
    """Tokens are `user:<number>`; commands do what `receive` says."""

    hub: Hub

    def __init__(self) -> None:
        self.received: list[tuple[str, str, str | None]] = []
        self.lost_devices: list[tuple[str, bool]] = []
        self.attached_devices: list[str] = []
        self.dismissed_users: list[UUID] = []
        self.ended_devices: list[str] = []
        self.changed = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting: list[tuple[Device, str | None]] = []

    async def authenticate(self, token: str) -> Identity:
        await self.gate.wait()
        kind, _, number = token.partition(":")
        match kind:
            case "user" | "again":  # the same user, logged in once more
                pass
            case "expired":
                raise Refused(Code.TOKEN_EXPIRED, "Expired.")
            case "broken":
                raise RuntimeError("authenticate is broken")
            case _:
                raise Refused(Code.UNAUTHORIZED, "Who?")
        profile = Profile(user_id=user(int(number)), name=f"User {number}")
        return Identity(
            user_id=profile.user_id,
            session_id=login(int(number) + (kind == "again") * 500_000),
            profile=profile,
            roles=frozenset(),
            expires_ms=0,
        )

    async def prepare(self, identity: Identity, device: str) -> object:
        if identity.user_id == user(503):
            raise Refused(Code.UNAVAILABLE, "No database.")
        return []

    def welcome(self, device: Device, prepared: object) -> Welcome:
        assert device.identity is not None
        return Welcome(
            session=device.session,
            secret=device.secret,
            resumed=device.resumed,
            protocol=1,
            features=[],
            now=0,
            user=device.identity.profile,
            ping_ms=25_000,
            dead_ms=60_000,
            ping_call_ms=5_000,
            dead_call_ms=15_000,
            limits=WelcomeLimits(
                frame_bytes=65_536, send_queue_bytes=1_048_576, sdp_bytes=32_768, candidates=32
            ),
            call=msgspec.UNSET,
            recent=[],
            replay_to=device.seq if device.resumed else msgspec.UNSET,
        )

    def attached(self, device: Device, prepared: object) -> None:
        self.attached_devices.append(device.id)

    def dismissed(self, identity: Identity) -> None:
        self.dismissed_users.append(identity.user_id)

    def lost(self, device: Device, *, bye: bool) -> None:
        self.lost_devices.append((device.id, bye))

    def ended(self, device: Device) -> None:
        self.ended_devices.append(device.id)

    def receive(self, device: Device, frame: Frame) -> None:
        self.received.append((device.id, frame.type, frame.id))
        match frame.type:
            case "signal":  # to the user with the next number
                event = encode_raw("signal", bytes(frame.data), 0)
                self.hub.to_user(UUID(int=device.user_id.int + 1), event)
                device.ok(frame.id, Empty())
            case "call_request":
                self.waiting.append((device, frame.id))
            case "call_end":
                raise Refused(Code.NOT_FOUND, "There is no such call.")
            case "call_take":
                raise RuntimeError("this command is broken")
            case "call_ringing":
                raise MemoryError
            case "call_accept":
                raise Refused(Code.UNAVAILABLE, "Try again.")
            case _:
                device.ok(frame.id, Empty())


class Client:
    """A client's end of one socket; text frames come out as decoded JSON."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    def drop(self) -> None:
        """Without a word."""
        self.ws._response.close()

    async def send(self, kind: str, **fields: object) -> None:
        await self.ws.send_str(msgspec.json.encode({"type": kind, **fields}).decode())

    async def receive(self) -> dict[str, Any]:
        message = await self.ws.receive(WAIT_S)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.ws.close_code)
        decoded: dict[str, Any] = msgspec.json.decode(message.data)
        return decoded

    async def closed(self) -> int:
        """Drop what comes until the close; its code."""
        while True:
            message = await self.ws.receive(WAIT_S)
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PONG):
                assert self.ws.close_code is not None
                return self.ws.close_code

    async def hello(self, number: int = 1, device: str = "phone", **more: object) -> dict[str, Any]:
        data = {"token": f"user:{number}", "protocol": 1, "device": {"id": device}, **more}
        await self.send("hello", data=data)
        return await self.receive()

    async def in_step(self) -> None:
        """Everything sent before has been applied when this returns."""
        await self.send("ping", data={"t": 77})
        while (await self.receive())["type"] != "pong":
            pass


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


class Rig:
    """Server, hub, desk and clients of one test."""

    runner: web.AppRunner

    def __init__(self, desk: TableDesk, hub: Hub, clock: FakeClock, stack: AsyncExitStack) -> None:
        self.desk = desk
        self.hub = hub
        self.clock = clock
        self.url = ""
        self.port = 0
        self.draining = False
        self._stack = stack
        self._session: aiohttp.ClientSession | None = None

    async def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = await self._stack.enter_async_context(
                aiohttp.ClientSession(connector=connector)
            )
        return self._session

    async def connect(self, query: str = "", **options: Any) -> Client:
        session = await self.session()
        client = Client(await session.ws_connect(self.url + query, **options))
        self._stack.callback(client.drop)
        return client

    async def welcomed(self, number: int = 1, device: str = "phone") -> Client:
        client = await self.connect()
        assert (await client.hello(number, device))["type"] == "welcome"
        return client

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """An upgraded connection without a WebSocket library on our side."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._stack.push_async_callback(hang_up, writer)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n"
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
        assert b" 101 " in head
        return reader, writer

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for the server to have noticed something."""
        async with asyncio.timeout(WAIT_S):
            while not true():  # noqa: ASYNC110 - the server under test signals nothing
                await asyncio.sleep(0.005)


@pytest.fixture(params=["fast", "public"])
def reader(request: pytest.FixtureRequest) -> str:
    """Which reader the server uses: ours, or aiohttp's public one."""
    kind: str = request.param
    return kind


@pytest.fixture
def limits() -> SocketLimits:
    return SocketLimits()


@pytest.fixture
async def rig(reader: str, limits: SocketLimits) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        clock = FakeClock()
        desk = TableDesk()
        hub = desk.hub = Hub(desk, limits, clock, sockets_max=200)
        made = Rig(desk, hub, clock, stack)
        endpoint = SocketEndpoint(
            hub,
            desk,
            limits,
            clock,
            origins=frozenset({"https://app.example"}),
            draining=lambda: made.draining,
            fast=reader == "fast",
        )
        app = web.Application()
        app.router.add_get("/ws", endpoint.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.runner = runner
        made.port = runner.addresses[0][1]
        made.url = f"http://127.0.0.1:{made.port}/ws"
        yield made
