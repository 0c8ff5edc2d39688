"""One connection to a real Redis, and what goes wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from signalling.nodes.line import DEADLINE_S, Line, Script, Server
from storage.errors import Unavailable
from tests.valkey import Valkey


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[Line]:
    opened = Line(Server(redis_url))
    yield opened
    await opened.close()


async def test_answers_are_bytes(line: Line) -> None:
    assert await line.call("ECHO", "hello") == b"hello"
    assert await line.call("ECHO", b"\xff\0") == b"\xff\0"


async def test_a_script_that_is_not_loaded_is_sent(line: Line) -> None:
    await line.call("SCRIPT", "FLUSH")
    where = Script("where")
    assert await line.run(where, "line:", "west.1", "ann") == [[]]
    assert await line.call("SCRIPT", "EXISTS", where.digest) == [1]
    assert await line.run(where, "line:", "west.1") == []


async def test_an_error_from_redis_is_unavailable_and_the_next_call_works(line: Line) -> None:
    with pytest.raises(Unavailable):
        await line.call("NOSUCHCOMMAND")
    assert await line.call("ECHO", "hello") == b"hello"


async def test_no_answer_is_unavailable_and_a_late_one_is_for_nobody(valkey: Valkey) -> None:
    line = Line(Server(valkey.url))
    assert await line.call("ECHO", "first") == b"first"
    valkey.freeze()
    with pytest.raises(Unavailable):
        await line.call("ECHO", "late", deadline_s=DEADLINE_S / 5)
    valkey.thaw()
    assert await line.call("ECHO", "next") == b"next"
    await line.close()


async def test_an_answer_to_a_cancelled_call_is_for_nobody(line: Line) -> None:
    for number in range(20):
        call = asyncio.create_task(line.call("ECHO", "cancelled"))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        assert await line.call("ECHO", "mine") == b"mine"


async def test_nobody_there_is_unavailable() -> None:
    line = Line(Server("redis://127.0.0.1:1"))
    with pytest.raises(Unavailable):
        await line.call("PING")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://:hush@redis.internal", "redis.internal:6379"),
        ("rediss://ann:hush@10.0.0.1:7000/3", "10.0.0.1:7000"),
        ("unix://:hush@/run/redis.sock", "/run/redis.sock"),
    ],
)
def test_a_server_is_named_without_its_password(url: str, name: str) -> None:
    assert Server(url).name == name
