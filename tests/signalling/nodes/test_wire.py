"""Commands and answers over a transport, with the test in the place of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from signalling.nodes.line import said
from signalling.nodes.wire import Wire

DEADLINE_S = 15.0
GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"


class Ends:
    """A wire, and the other end of its connection."""

    def __init__(
        self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.wire = wire
        self.reader = reader
        self.writer = writer

    async def asked(self, deadline_s: float = DEADLINE_S) -> asyncio.Task[object]:
        """A question that has come to the other end."""
        task = asyncio.create_task(self.wire.ask(("GET", b"k"), deadline_s))
        assert await self.reader.readexactly(len(GET)) == GET
        return task


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    came: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    take: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
    take = lambda reader, writer: came.put_nowait((reader, writer))  # noqa: E731
    server = await asyncio.start_server(take, "127.0.0.1", 0)
    _, opened = await asyncio.open_connection(*server.sockets[0].getsockname())
    reader, writer = await came.get()
    assert isinstance(opened.transport, asyncio.Transport)
    yield Ends(Wire(opened.transport, said), reader, writer)
    opened.transport.abort()
    writer.transport.abort()
    server.close()


async def test_an_answer_may_come_in_pieces(ends: Ends) -> None:
    task = await ends.asked()
    for piece in (b"*2\r\n$1\r", b"\na\r\n:", b"7\r\n"):
        assert not task.done()
        ends.writer.write(piece)
        await ends.writer.drain()
        await asyncio.sleep(0)
    assert await task == [b"a", 7]


async def test_one_question_follows_another(ends: Ends) -> None:
    for number in range(3):
        task = await ends.asked()
        ends.writer.write(b":%d\r\n" % number)
        assert await task == number


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"NOSCRIPT No matching script.", NoScriptError),
        (b"NOAUTH Authentication required.", AuthenticationError),
        (b"WRONGPASS invalid", AuthenticationError),
        (b"NOPERM this user has no permissions", NoPermissionError),
        (b"ERR unknown command", ResponseError),
        (b"LOADING", ResponseError),
    ],
)
async def test_what_redis_says_against_it_is_raised(
    ends: Ends, said: bytes, kind: type[RedisError]
) -> None:
    task = await ends.asked()
    ends.writer.write(b"-%b\r\n" % said)
    with pytest.raises(kind) as refused:
        await task
    assert type(refused.value) is kind
    assert str(refused.value) == said.decode()


async def test_what_is_no_answer_is_an_error(ends: Ends) -> None:
    task = await ends.asked()
    ends.writer.write(b"?\r\n")
    with pytest.raises(RedisError):
        await task


async def test_no_answer_in_time_and_a_late_one(ends: Ends) -> None:
    task = await ends.asked(0.0)
    with pytest.raises(TimeoutError):
        await task
    ends.writer.write(b":1\r\n")
    ends.writer.close()
    await ends.writer.wait_closed()


async def test_a_connection_that_ends_fails_the_question_and_those_after_it(ends: Ends) -> None:
    task = await ends.asked()
    ends.writer.close()
    with pytest.raises(OSError):
        await task
    assert ends.wire.lost
    with pytest.raises(OSError):
        await ends.wire.ask(("GET", b"k"), DEADLINE_S)
