"""The small WebSocket, against one of aiohttp's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import WSMsgType, web

from signalling.client.load.line import Address, Line, UpgradeRefused, framed

ENOUGH = 20
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


class Echo:
    """A server that runs `talk` with each socket."""

    def __init__(self) -> None:
        self.talk: Talk = self.echo
        self.address = Address("", 0, "", False)
        self.got: list[str] = []
        self.full = asyncio.Event()

    async def echo(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.got.append(message.data)
                if len(self.got) == ENOUGH:
                    self.full.set()
                await socket.send_str(message.data)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/full":
            return web.Response(status=503)
        socket = web.WebSocketResponse(protocols=("talktime.v1",), autoping=False)
        await socket.prepare(request)
        await self.talk(socket)
        return socket


@pytest.fixture
async def server() -> AsyncIterator[Echo]:
    echo = Echo()
    app = web.Application()
    app.router.add_get("/{path:.*}", echo.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    echo.address = Address.of("http://{}:{}".format(*runner.addresses[0][:2]))
    yield echo
    await runner.cleanup()


def listen(line: Line, count: int = 1) -> asyncio.Future[list[bytes]]:
    """The next texts, so many."""
    heard: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
    texts: list[bytes] = []

    def on_frame(raw: bytes) -> None:
        texts.append(raw)
        if len(texts) == count and not heard.done():
            heard.set_result(texts)

    line.on_frame = on_frame
    return heard


def closed(line: Line) -> asyncio.Future[int]:
    code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    line.on_close = code.set_result
    return code


def test_addresses_are_read() -> None:
    assert Address.of("http://127.0.0.1:8080") == ("127.0.0.1", 8080, "/ws", False)
    assert Address.of("wss://talk.example/ws/call") == ("talk.example", 443, "/ws/call", True)
    for text in ("", "ftp://x", "8080"):
        with pytest.raises(ValueError, match="address"):
            Address.of(text)


def test_a_frame_says_how_long_it_is() -> None:
    assert framed(b"x" * 125)[:2] == bytes((0x81, 0x80 | 125))
    assert framed(b"x" * 126)[:4] == bytes((0x81, 0x80 | 126, 0, 126))
    assert framed(b"x" * 65_536)[:10] == bytes((0x81, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
async def test_frames_of_any_size_come_back(server: Echo, size: int) -> None:
    line = await Line.open(server.address)
    heard = listen(line)
    line.send(b"x" * size)
    assert await asyncio.wait_for(heard, 10) == [b"x" * size]
    line.close()


async def test_many_frames_at_once_keep_their_order(server: Echo) -> None:
    line = await Line.open(server.address)
    heard = listen(line, 500)
    for number in range(500):
        line.send(b"%d" % number * 50)
    assert await asyncio.wait_for(heard, 10) == [b"%d" % number * 50 for number in range(500)]
    line.close()


async def test_a_paused_line_gets_everything_afterwards(server: Echo) -> None:
    line = await Line.open(server.address)
    heard = listen(line, ENOUGH)
    line.pause()
    for number in range(ENOUGH):
        line.send(b"%d" % number)
    await asyncio.wait_for(server.full.wait(), 10)
    assert not heard.done()
    line.resume()
    assert len(await asyncio.wait_for(heard, 10)) == ENOUGH
    line.close()


async def test_pings_are_answered_and_the_close_code_is_told(server: Echo) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.ping(b"are you there")
        pong = await socket.receive()
        await socket.send_str(f"{pong.type.name} {pong.data.decode()}")
        await socket.close(code=4503)

    server.talk = talk
    line = await Line.open(server.address)
    heard, code = listen(line), closed(line)
    assert await asyncio.wait_for(heard, 10) == [b"PONG are you there"]
    assert await asyncio.wait_for(code, 10) == 4503
    assert line.close_code == 4503
    line.send(b"nobody hears this")


async def test_a_line_that_is_cut_says_1006(server: Echo) -> None:
    line = await Line.open(server.address)
    code = closed(line)
    line.abort()
    assert await asyncio.wait_for(code, 10) == 1006


async def test_a_server_that_is_full_is_told_by_its_status(server: Echo) -> None:
    with pytest.raises(UpgradeRefused) as refused:
        await Line.open(server.address._replace(path="/full"))
    assert refused.value.status == 503


async def test_where_nobody_listens_there_is_no_line(server: Echo) -> None:
    with pytest.raises(OSError):
        await Line.open(Address("127.0.0.1", 9, "/ws", False))


async def slowly(writer: asyncio.StreamWriter, text: bytes) -> None:
    for number in range(len(text)):
        writer.write(text[number : number + 1])
        await writer.drain()
        await asyncio.sleep(0)


async def test_pieces_of_frames_are_put_together() -> None:
    """As a proxy or a slow network may cut them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await slowly(writer, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await reader.readexactly(len(framed(b"go")))
        await slowly(writer, b"\x01\x03abc" + b"\x80\x02de" + b"\x81\x7e\x00\xc8" + b"y" * 200)
        await reader.read()
        writer.close()
        finished.set()

    finished = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = await Line.open(Address("127.0.0.1", port, "/ws", False))
    heard = listen(line, 2)
    line.send(b"go")
    assert await asyncio.wait_for(heard, 10) == [b"abcde", b"y" * 200]
    line.close()
    await asyncio.wait_for(finished.wait(), 10)
    server.close()
    await server.wait_closed()
