"""Hostile clients: the others must not notice, and the server must not swell."""

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from uuid import uuid4

import aiohttp

from tests.faults import books
from tests.faults.cluster import Node
from tests.faults.line import SIDES
from tests.faults.people import Person
from tests.faults.stage import Row, Stage

ATTACK_S = 8.0
# Beyond the grace for an interrupted call (8 s), and the longest before that.
GONE_S = 16.0
READERS = 20
SLOW = 100
GROWTH_MAX_BYTES = 64 << 20
PING_MAX_MS = 2_000.0
TCP_ESTABLISHED = 1
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Attack = Callable[[Stage, Person, float], Coroutine[Any, Any, None]]


async def hostile(stage: Stage) -> None:
    await stage.calm(3.0, 4.0)
    before = stage.node.rss_bytes
    connects = stage.crowd.connects
    assert stage.crowd.shopper is not None
    for number in range(stage.cycles):
        name, attack = ATTACKS[number % len(ATTACKS)]
        until_s = time.monotonic() + ATTACK_S
        attacker = asyncio.create_task(attack(stage, stage.crowd.shopper.person, until_s))
        slowest_ms = await bystander(stage, until_s)
        await asyncio.wait([attacker], timeout=20)
        if attacker.done() and attacker.exception() is not None:
            stage.violated(f"{name}: the attack itself failed: {attacker.exception()!r}")
        stage.note(f"{name}: a bystander's slowest answer {slowest_ms:.0f} ms")
        if slowest_ms > PING_MAX_MS:
            stage.violated(f"{name}: a bystander waited {slowest_ms:.0f} ms for an answer")
        await stage.recovered(time.monotonic())
        grown = stage.node.rss_bytes - before
        if grown > GROWTH_MAX_BYTES:
            stage.violated(f"{name}: the server grew by {grown >> 20} MiB")
        await stage.cycle_done(f"{name} +{grown >> 20} MiB")
    lost = stage.crowd.connects - connects
    if lost:
        stage.violated(f"{lost} sockets of others were lost")


async def bystander(stage: Stage, until_s: float) -> float:
    """The slowest answer, in ms, to a question of somebody who did nothing wrong."""
    phone = stage.crowd.pairs[0].phones["callee"]
    slowest_s = 0.0
    while time.monotonic() < until_s:
        asked_s = time.monotonic()
        await phone.command("presence_watch", users=[], timeout_s=30)
        slowest_s = max(slowest_s, time.monotonic() - asked_s)
        await asyncio.sleep(0.2)
    return slowest_s * 1_000


async def crash_both(stage: Stage) -> None:
    """Both phones of half the pairs are gone without a word, for longer than anybody waits."""
    for _ in range(stage.cycles):
        await stage.calm(0.5, 1.5)
        await stage.crowd.busy(len(stage.crowd.pairs) // 2)
        gone = [pair for pair in stage.crowd.pairs if stage.dice.random() < 0.5]
        phones = [pair.phones[side] for pair in gone for side in SIDES]
        for phone in phones:
            phone.crash()
        await asyncio.sleep(GONE_S)
        live = {str(call) for call in await books.live_calls(stage.database.dsn)}
        for pair in gone:
            if live & pair.lines.keys():
                stage.violated(f"{pair.name}: a call lives {GONE_S:.0f} s after both have crashed")
        for phone in phones:
            phone.revive()
        await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{len(gone)} pairs crashed")


# -- the attacks


@contextlib.asynccontextmanager
async def _sockets(
    node: Node, person: Person, count: int
) -> AsyncIterator[list[aiohttp.ClientWebSocketResponse]]:
    """Welcomed sockets of one person's devices, straight to the node."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        opened = []
        for number in range(count):
            ws = await http.ws_connect(f"{node.url}/ws", autoping=False)
            device = {"id": f"bad-{number}"}
            data = {"token": person.token(), "device": device, "protocol": 1}
            await ws.send_str(json.dumps({"type": "hello", "data": data}))
            opened.append(ws)
        try:
            yield opened
        finally:
            await asyncio.gather(*(ws.close() for ws in opened), return_exceptions=True)


async def never_read(stage: Stage, _: Person, until_s: float) -> None:
    """Devices that ask without end, and read nothing of what is answered."""
    people = [pair.people[0] for pair in stage.crowd.pairs[:READERS]]
    # Two hundred answers to each.
    watch = {"type": "presence_watch", "data": {"users": [str(uuid4()) for _ in range(200)]}}
    masked = _masked(json.dumps(watch).encode())
    links = [await _handshake(stage.node, person) for person in people]
    while time.monotonic() < until_s:
        for link in links:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                for _number in range(3):
                    link.send(masked)
        await asyncio.sleep(0.2)
    open_yet = sum(not _is_cut(link) for link in links)
    for each in links:
        each.close()
    if open_yet:
        stage.violated(f"never read: {open_yet} of {len(links)} deaf sockets are open yet")


async def flood(stage: Stage, person: Person, until_s: float) -> None:
    """As many frames a second as go through."""
    ping = json.dumps({"type": "ping", "data": {"t": 1}})
    while time.monotonic() < until_s:
        async with _sockets(stage.node, person, 1) as (ws,):
            with contextlib.suppress(ConnectionError, RuntimeError):
                while not ws.closed and time.monotonic() < until_s:
                    for _ in range(1_000):
                        await ws.send_str(ping)
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)


async def huge_frames(stage: Stage, person: Person, until_s: float) -> None:
    text = "x" * (1 << 22)
    while time.monotonic() < until_s:
        async with _sockets(stage.node, person, 1) as (ws,):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await ws.send_str(text)
        await asyncio.sleep(0.5)


async def slowloris(stage: Stage, _: Person, until_s: float) -> None:
    """Upgrades that come letter by letter, and never whole."""
    head = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: "
    writers = []
    for _number in range(SLOW):
        _reader, writer = await asyncio.open_connection(*stage.node.address)
        writer.write(head)
        writers.append(writer)
    while time.monotonic() < until_s:
        for writer in writers:
            if not writer.is_closing():
                writer.write(b"a")
        await asyncio.sleep(0.3)
    for writer in writers:
        writer.transport.abort()


async def half_handshakes(stage: Stage, _: Person, until_s: float) -> None:
    """Sockets that are opened and never say who they are."""
    links = []
    for _number in range(SLOW):
        links.append(await _upgrade(stage.node))
    await asyncio.sleep(max(0.0, until_s - time.monotonic()))
    open_yet = 0
    for reader, writer in links:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(0.5):
                while await reader.read(4_096):
                    pass
                open_yet -= 1
        open_yet += 1
        writer.transport.abort()
    if open_yet:
        stage.violated(f"half handshakes: {open_yet} sockets without a hello are open yet")


ATTACKS: tuple[tuple[str, Attack], ...] = (
    ("never read", never_read),
    ("flood", flood),
    ("huge frames", huge_frames),
    ("slowloris", slowloris),
    ("half handshakes", half_handshakes),
)


async def _upgrade(node: Node) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*node.address)
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def _handshake(node: Node, person: Person) -> socket.socket:
    """A device with hardly any room for what it is told; nobody will ever read it."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    link.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(link, node.address)
    await loop.sock_sendall(link, UPGRADE)
    await asyncio.sleep(0.05)
    data = {"token": person.token(), "device": {"id": "deaf"}, "protocol": 1}
    await loop.sock_sendall(link, _masked(json.dumps({"type": "hello", "data": data}).encode()))
    return link


def _is_cut(link: socket.socket) -> bool:
    """True if the other end has reset it."""
    info = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] != TCP_ESTABLISHED


def _masked(payload: bytes) -> bytes:
    """One text frame as clients send it."""
    mask, size = os.urandom(4), len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


ROWS = (
    Row(
        name="hostile",
        fault="F27",
        how="deaf readers, floods, 4 MiB frames, slowloris, half handshakes, 8 s each",
        checks="others are answered within 2 s and keep their sockets; below 64 MiB more memory",
        run=hostile,
        cycles=5,
        quick=5,
    ),
    Row(
        name="crash-both",
        fault="F28",
        how="both phones of half the pairs gone without a word for 16 s",
        checks="their calls have ended then, charged to the last proof",
        run=crash_both,
        cycles=3,
    ),
)
