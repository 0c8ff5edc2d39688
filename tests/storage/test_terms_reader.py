"""How the terms of requests of one moment are read together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest
from asyncpg.pool import PoolConnectionProxy

from storage.errors import Unavailable
from storage.pool import Pool
from storage.terms import TERMS, Terms, TermsReader
from tests.storage.combining import until
from tests.storage.world import User, ask_of, make_user


class Gate:
    """A pool with connections whose queries wait for `open`, and fail with `errors` in turn.

    `asked` tells how many asks each query was for.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.asked: list[int] = []
        self.acquired = 0
        self.errors: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()

    @asynccontextmanager
    async def reader(self, **settings: Any) -> AsyncIterator[TermsReader]:
        reader = TermsReader(cast(Pool, self), **settings)
        yield reader
        await reader.close()

    async def acquire(self) -> _Gated:
        self.acquired += 1
        return _Gated(self, await self._pool.acquire())

    async def release(self, conn: _Gated) -> None:
        await self._pool.release(conn.inner)


class _Gated:
    def __init__(self, gate: Gate, inner: PoolConnectionProxy[asyncpg.Record]) -> None:
        self._gate = gate
        self.inner = inner

    async def fetch(self, query: str, *args: Any) -> Any:
        self._gate.asked.append(len(args[0]))
        await self._gate.open.wait()
        if self._gate.errors:
            raise self._gate.errors.pop(0)
        return await self.inner.fetch(query, *args)

    def terminate(self) -> None:
        self.inner.terminate()


async def pair(pool: Pool) -> tuple[User, User]:
    async with pool.acquire() as conn, conn.transaction():
        return await make_user(conn, money=300), await make_user(conn, provider=True)


def caller_of(terms: Terms | None) -> UUID:
    assert terms is not None
    return terms.caller.user_id


async def test_asks_of_one_turn_and_of_the_time_of_a_query_go_together(pool: Pool) -> None:
    ann, kai = await pair(pool)
    gate = Gate(pool)
    async with gate.reader(batch_max=3) as reader:
        gate.open.clear()
        first = [asyncio.create_task(reader.read(ask_of(ann, kai))) for _ in range(3)]
        await until(lambda: gate.asked == [3])
        second = [asyncio.create_task(reader.read(ask_of(kai, ann))) for _ in range(4)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert gate.asked == [3], "one query at a time"
        gate.open.set()
        assert [caller_of(terms) for terms in await asyncio.gather(*first)] == [ann.id] * 3
        assert [caller_of(terms) for terms in await asyncio.gather(*second)] == [kai.id] * 4
        assert gate.asked == [3, 3, 1]
        assert caller_of(await reader.read(ask_of(ann, kai))) == ann.id
        assert gate.acquired == 1


async def test_an_asker_who_gives_up_harms_nobody(pool: Pool) -> None:
    ann, kai = await pair(pool)
    gate = Gate(pool)
    async with gate.reader() as reader:
        gate.open.clear()
        asks = [asyncio.create_task(reader.read(ask_of(ann, kai))) for _ in range(2)]
        await until(lambda: gate.asked == [2])
        late = [asyncio.create_task(reader.read(ask_of(kai, ann))) for _ in range(2)]
        await asyncio.sleep(0)
        for gone in (asks[0], late[0]):
            gone.cancel()
        gate.open.set()
        assert caller_of(await asks[1]) == ann.id
        assert caller_of(await late[1]) == kai.id
        assert gate.asked == [2, 1]
        answers = await asyncio.gather(asks[0], late[0], return_exceptions=True)
        assert {type(answer) for answer in answers} == {asyncio.CancelledError}


async def test_an_ask_that_cannot_be_put_fails_alone(pool: Pool) -> None:
    ann, kai = await pair(pool)
    async with Gate(pool).reader() as reader:
        answers = await asyncio.gather(
            reader.read(ask_of(ann, kai)),
            reader.read(ask_of(ann, kai, request_id="\0")),  # no text for the server
            reader.read(ask_of(ann, kai, device="\ud800")),  # none for the driver either
            reader.read(ask_of(kai, ann)),
            return_exceptions=True,
        )
    refused = [isinstance(answer, asyncpg.DataError) for answer in answers]
    assert refused == [False, True, True, False]
    good = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert [caller_of(terms) for terms in good] == [ann.id, kai.id]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("lost"),
        asyncpg.ConnectionDoesNotExistError("lost"),
        asyncpg.InterfaceError("connection is closed"),
    ],
)
async def test_a_lost_database_is_told_to_every_asker_of_the_batch(
    pool: Pool, error: Exception
) -> None:
    ann, kai = await pair(pool)
    gate = Gate(pool)
    async with gate.reader() as reader:
        gate.errors = [error]
        asks = (reader.read(ask_of(ann, kai)) for _ in range(3))
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert {type(answer) for answer in answers} == {Unavailable}
        assert caller_of(await reader.read(ask_of(ann, kai))) == ann.id
        # One that was good before may have broken long ago; that is nobody's trouble.
        gate.errors = [error]
        assert caller_of(await reader.read(ask_of(ann, kai))) == ann.id


async def test_a_killed_backend_goes_unnoticed(pool: Pool) -> None:
    ann, kai = await pair(pool)
    reader = TermsReader(pool)
    for _ in range(3):
        assert caller_of(await reader.read(ask_of(ann, kai))) == ann.id
        killed = await pool.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where datname = current_database() and query <> '' and starts_with($1, query)",
            TERMS,
        )
        assert killed == 1
    assert caller_of(await reader.read(ask_of(ann, kai))) == ann.id
    await reader.close()
    assert pool.get_idle_size() == pool.get_size()


async def test_nobody_waits_for_longer_than_a_read_may_take(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, kai = await pair(pool)
    gate = Gate(pool)
    async with gate.reader() as reader:
        with monkeypatch.context() as quicker:
            quicker.setattr("storage.terms.READ_S", 0.1)
            gate.open.clear()
            first = asyncio.create_task(reader.read(ask_of(ann, kai)))
            await until(lambda: gate.asked == [1])
            behind = asyncio.create_task(reader.read(ask_of(ann, kai)))
            answers = await asyncio.gather(first, behind, return_exceptions=True)
            assert [type(answer) for answer in answers] == [Unavailable] * 2
        gate.open.set()
        assert caller_of(await reader.read(ask_of(ann, kai))) == ann.id


async def test_a_closed_reader_answers_who_waits_and_nobody_else(pool: Pool) -> None:
    ann, kai = await pair(pool)
    gate = Gate(pool)
    reader = TermsReader(cast(Pool, gate))
    gate.open.clear()
    waiting = asyncio.create_task(reader.read(ask_of(ann, kai)))
    await until(lambda: gate.asked == [1])
    closing = asyncio.create_task(reader.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await reader.read(ask_of(ann, kai))
    gate.open.set()
    assert caller_of(await waiting) == ann.id
    await closing
    assert pool.get_idle_size() == pool.get_size()
