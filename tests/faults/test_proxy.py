"""The proxy does to a connection what it says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random

import pytest

from tests.faults.proxy import Proxy

WAIT_S = 10


class Echo:
    """Answers what it is told, and counts who has left."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(1_000):
                writer.write(piece)
        self.left.set()
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Proxy, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()[:2]
    proxy = Proxy(lambda: address, Random(1))
    await proxy.start()
    yield proxy, echo
    await proxy.close()
    server.close()


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def connect(proxy: Proxy) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def said(line: Line, text: bytes) -> bytes:
    """What comes back; nothing if the connection ends."""
    line[1].write(text)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(WAIT_S):
            return await line[0].read(1_000)
    return b""


async def left(echo: Echo) -> None:
    async with asyncio.timeout(WAIT_S):
        await echo.left.wait()


async def test_what_is_said_arrives(echo: tuple[Proxy, Echo]) -> None:
    async with connect(echo[0]) as line:
        assert await said(line, b"hello") == b"hello"
    await left(echo[1])


async def test_a_link_that_is_cut_is_reset_at_both_ends(echo: tuple[Proxy, Echo]) -> None:
    async with connect(echo[0]) as line:
        assert await said(line, b"hello") == b"hello"
        assert echo[0].cut() == 1
        assert await said(line, b"again") == b""
        await left(echo[1])


async def test_a_piece_is_cut_in_half(echo: tuple[Proxy, Echo]) -> None:
    async with connect(echo[0]) as line:
        assert await said(line, b"hello") == b"hello"
        echo[0].cut_in_frame()
        assert len(await said(line, b"0123456789")) <= 5
        await left(echo[1])


async def test_a_hung_link_tells_nobody_until_it_is_healed(echo: tuple[Proxy, Echo]) -> None:
    async with connect(echo[0]) as line:
        assert await said(line, b"hello") == b"hello"
        assert echo[0].hang() == 1
        line[1].write(b"nobody hears this")
    async with connect(echo[0]) as other:
        assert await said(other, b"others go on") == b"others go on"
        assert not echo[1].left.is_set()
        echo[0].heal()
        await left(echo[1])


async def test_with_no_node_there_is_no_connection() -> None:
    proxy = Proxy(lambda: None, Random(1))
    await proxy.start()
    async with connect(proxy) as line:
        assert await said(line, b"hello") == b""
    await proxy.close()
