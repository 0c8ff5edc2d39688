"""What is no HTTP is answered as all else is: in JSON, without our version, and not given back."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from server.middlewares import SECURITY_HEADERS, install
from server.runner import Runner

CANARY = "canary-7f3a"


async def broken(_request: web.Request) -> web.StreamResponse:
    raise RuntimeError(CANARY)


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    app = web.Application()
    install(app)
    app.router.add_get("/", broken)
    runner = Runner(app, keep_alive_s=1.0, shutdown_s=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][:2]
    await runner.cleanup()


async def said(address: tuple[str, int], raw: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """The status line, headers and body of all that is answered until the server hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(raw)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, dict(line.decode().split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + CANARY.encode() * 2_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + CANARY.encode() * 2_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + CANARY.encode() + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        CANARY.encode() + b"\r\n\r\n",
    ],
    ids=["long line", "long header", "odd length", "two lengths", "unknown method", "no HTTP"],
)
async def test_what_cannot_be_read_is_refused_and_not_given_back(
    address: tuple[str, int], raw: bytes
) -> None:
    status, headers, body = await said(address, raw)
    assert b" 400 " in status
    answer = json.loads(body)
    assert (answer["success"], answer["error"]) == (False, "BAD_REQUEST")
    assert answer["requestId"] == headers["X-Request-Id"]
    assert CANARY not in body.decode()
    assert headers["Server"] == "talktime"
    assert headers.items() >= SECURITY_HEADERS.items()


async def test_an_application_still_answers_for_itself(address: tuple[str, int]) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, headers, body = await said(address, request)
    assert b" 500 " in status
    assert json.loads(body)["error"] == "INTERNAL"
    assert CANARY not in body.decode()
    assert headers["Server"] == "talktime"


class Desk:
    """An app with one request that can be held up."""

    def __init__(self) -> None:
        self.come, self.answer = asyncio.Event(), asyncio.Event()
        app = web.Application()
        install(app)
        app.router.add_post("/", self._handle)
        self.runner = Runner(app, keep_alive_s=60.0, shutdown_s=0.1)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.come.set()
        await self.answer.wait()
        return web.Response(body=await request.read())


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await made.runner.setup()
    await web.TCPSite(made.runner, "127.0.0.1", 0).start()
    yield made
    await made.runner.cleanup()


async def test_at_the_end_what_is_under_way_is_read_and_answered_and_nobody_new_comes_in(
    desk: Desk,
) -> None:
    address = desk.runner.addresses[0][:2]
    reader, writer = await asyncio.open_connection(*address)
    _, idle = await asyncio.open_connection(*address)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
    await desk.come.wait()
    ending = asyncio.create_task(desk.runner.finish(20.0))
    await asyncio.sleep(0)
    with socket.socket() as late:
        assert late.connect_ex(address) == errno.ECONNREFUSED
    assert not ending.done()
    writer.write(b"cd")
    desk.answer.set()
    assert (await reader.readuntil(b"abcd")).startswith(b"HTTP/1.1 200")
    await ending  # The idle connection, and this one, are not waited for.
    await desk.runner.cleanup()
    for each in (writer, idle):
        each.close()
        await each.wait_closed()


async def test_what_takes_too_long_at_the_end_is_not_waited_for(desk: Desk) -> None:
    _, writer = await asyncio.open_connection(*desk.runner.addresses[0][:2])
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
    await desk.come.wait()
    await desk.runner.finish(0.05)
    writer.close()
    await writer.wait_closed()


async def test_who_leaves_a_port_ends_what_is_idle_and_answers_what_is_not(desk: Desk) -> None:
    address = desk.runner.addresses[0][:2]
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
    idle_reader, idle = await asyncio.open_connection(*address)
    await desk.come.wait()
    (site,) = desk.runner.sites
    await desk.runner.leave(site)
    async with asyncio.timeout(10):
        assert await idle_reader.read() == b""
    with socket.socket() as late:
        assert late.connect_ex(address) == errno.ECONNREFUSED
    desk.answer.set()
    writer.write(b"cd")
    assert (await reader.readuntil(b"abcd")).startswith(b"HTTP/1.1 200")
    await desk.runner.cleanup()
    for each in (writer, idle):
        each.close()
        await each.wait_closed()
