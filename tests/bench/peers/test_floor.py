"""The floor in C: what it relays, and whom it drops."""

import asyncio
import base64
import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bench.children import Child, child
from tests.bench.line import framed
from tests.bench.peers.built import build_floor

pytestmark = pytest.mark.gcc

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
WAIT_S = 20.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(build_floor(tmp_path_factory.mktemp("floor")))


@pytest.fixture
async def floor(program: Path, tmp_path: Path) -> AsyncIterator[Child]:
    async with (
        child(log=tmp_path / "log", settings={}, program=[str(program)]) as started,
        asyncio.timeout(WAIT_S),
    ):
        yield started


@contextlib.asynccontextmanager
async def sockets(floor: Child, *paths: str, room: int = 0) -> AsyncIterator[list[Streams]]:
    """`room` is how many bytes wait at each before the floor has to keep them."""
    opened = []
    for path in paths:
        plain = socket.socket()
        if room:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        plain.connect((floor.host, floor.port))
        reader, writer = await asyncio.open_connection(sock=plain)
        opened.append((reader, writer))
        writer.write(request(f"GET {path} HTTP/1.1"))
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        wanted = hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        assert b"Sec-WebSocket-Accept: %b\r\n" % base64.b64encode(wanted) in answer
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


def request(line: str, key: str = KEY) -> bytes:
    return (
        f"{line}\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"sec-websocket-key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(payload: bytes, first: int = 0x81) -> bytes:
    """As `framed`, with a key that is not of zeros."""
    mask = os.urandom(4)
    head = framed(payload)[: -len(payload) or None][:-4]
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    covered = (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))
    return bytes([first]) + head[1:] + mask + covered


async def frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The first byte of a frame of the server, and its payload."""
    first, size = await reader.readexactly(2)
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2))
    return first, await reader.readexactly(size)


@pytest.mark.parametrize("size", [0, 1, 7, 125, 126, 4_096, 65_535])
async def test_a_message_comes_to_the_partner_as_it_was(floor: Child, size: int) -> None:
    payload = os.urandom(size)
    async with sockets(floor, "/relay/1", "/relay/1") as ((reader, writer), (other, back)):
        writer.write(masked(payload))
        assert await frame(other) == (0x81, payload)
        back.write(masked(payload, first=0x02) + masked(b"", first=0x80))
        assert await frame(reader) == (0x02, payload)
        assert await frame(reader) == (0x80, b"")


async def test_each_path_is_a_pair_of_its_own(floor: Child) -> None:
    paths = ("/relay/1", "/relay/2", "/relay/2", "/relay/1")
    async with sockets(floor, *paths) as (one, two, three, four):
        one[1].write(masked(b"to four"))
        two[1].write(masked(b"to three"))
        assert (await frame(four[0]), await frame(three[0])) == (
            (0x81, b"to four"),
            (0x81, b"to three"),
        )


async def test_frames_may_come_in_pieces_or_together(floor: Child) -> None:
    said = [os.urandom(300) for _ in range(3)]
    stream = b"".join(map(masked, said))
    async with sockets(floor, "/relay/1", "/relay/1") as ((_, writer), (other, _)):
        for at in range(0, len(stream), 7):
            writer.write(stream[at : at + 7])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(stream)
        assert [await frame(other) for _ in range(6)] == [(0x81, each) for each in said * 2]


async def test_a_partner_who_reads_late_gets_all_of_it(floor: Child) -> None:
    said = [os.urandom(60_000) for _ in range(100)]  # More than the kernel keeps.
    async with sockets(floor, "/relay/1", "/relay/1", room=4_096) as ((reader, writer), (other, _)):
        writer.write(b"".join(map(masked, said)) + masked(b"ping", first=0x89))
        assert await frame(reader) == (0x8A, b"ping")  # All before it was sent, or kept.
        writer.write(masked(b"last"))
        got = [await frame(other) for _ in range(101)]
    assert got == [(0x81, each) for each in (*said, b"last")]


async def test_a_partner_who_never_reads_is_dropped(floor: Child) -> None:
    async with sockets(floor, "/relay/1", "/relay/1", room=4_096) as ((reader, writer), (other, _)):
        for _ in range(300):
            writer.write(masked(bytes(60_000)))
            await writer.drain()
        writer.write(masked(b"ping", first=0x89))
        assert await frame(reader) == (0x8A, b"ping"), "the other goes on"
        with contextlib.suppress(ConnectionResetError):
            await other.read()  # Not for ever.


async def test_what_was_sent_before_a_close_still_arrives(floor: Child) -> None:
    async with sockets(floor, "/relay/1", "/relay/1") as ((reader, writer), (other, _)):
        writer.write(masked(b"last") + masked(b"\x03\xe8", first=0x88))
        assert await frame(other) == (0x81, b"last")
        assert await frame(reader) == (0x88, b"\x03\xe8")
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"\x81\x01a", 1002),  # No mask.
        (b"\xc1\x81\0\0\0\0a", 1002),  # A bit that no extension has asked for.
        (b"\x83\x81\0\0\0\0a", 1002),  # An opcode that nobody has.
        (b"\x89\xfe\x01\x00\0\0\0\0", 1002),  # A ping that is too long.
        (b"\x81\xff\0\0\0\0\0\x01\0\0\0\0\0\0", 1009),  # 64 KiB.
    ],
)
async def test_a_frame_that_is_wrong_closes_the_socket(
    floor: Child, wrong: bytes, code: int
) -> None:
    async with sockets(floor, "/relay/1", "/relay/1") as ((reader, writer), (other, back)):
        writer.write(masked(b"before") + wrong)
        assert await frame(reader) == (0x88, code.to_bytes(2))
        assert await frame(other) == (0x81, b"before")
        back.write(masked(b"to nobody") + masked(b"", first=0x89))
        assert await frame(other) == (0x8A, b""), "the partner goes on"


@pytest.mark.parametrize(
    "wrong",
    [
        request("POST /relay/1 HTTP/1.1"),
        request(f"GET /{'a' * 200} HTTP/1.1"),
        request("GET /relay/1 HTTP/1.1", key="short"),
        request("GET /relay/1 HTTP/1.1", key="a" * 200),
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"nothing\r\n\r\n",
    ],
)
async def test_a_request_that_is_no_upgrade_is_refused(floor: Child, wrong: bytes) -> None:
    reader, writer = await asyncio.open_connection(floor.host, floor.port)
    writer.write(wrong)
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
