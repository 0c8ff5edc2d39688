"""What the pool promises of a connection that comes back, whichever way it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage.pool import LOST, Pool, close_pool, connect, create_pool


@pytest.fixture
async def single(dsn: str) -> AsyncIterator[Pool]:
    """A pool of one connection, so that whoever comes next gets the same."""
    pool = await create_pool(dsn, min_size=1, max_size=1)
    yield pool
    await close_pool(pool)


async def backend(pool: Pool) -> int:
    pid: int = await pool.fetchval("select pg_backend_pid()")
    return pid


async def test_a_clean_connection_comes_back_without_a_task(single: Pool) -> None:
    made: list[str] = []
    loop = asyncio.get_running_loop()

    def make(loop: asyncio.AbstractEventLoop, coro: object, **more: object) -> asyncio.Task[object]:
        made.append(repr(coro))
        return asyncio.Task(coro, loop=loop, **more)  # type: ignore[arg-type]

    first = await backend(single)
    loop.set_task_factory(make)  # type: ignore[arg-type]
    try:
        async with single.acquire() as conn, conn.transaction():
            second = await conn.fetchval("select pg_backend_pid()")
    finally:
        loop.set_task_factory(None)
    assert made == []
    assert first == second == await backend(single)


async def test_what_was_lent_can_no_longer_be_used(single: Pool) -> None:
    async with single.acquire() as conn:
        pass
    with pytest.raises(asyncpg.InterfaceError, match="released back"):
        await conn.fetchval("select 1")


async def test_giving_back_twice_gives_back_once(single: Pool) -> None:
    conn = await single.acquire()
    await single.release(conn)
    await single.release(conn)
    assert single.get_idle_size() == 1
    async with single.acquire():
        assert single.get_idle_size() == 0


async def test_those_who_wait_get_it_in_their_order(single: Pool) -> None:
    order: list[int] = []

    async def use(number: int) -> None:
        async with single.acquire() as conn:
            await conn.fetchval("select 1")
            order.append(number)

    await asyncio.gather(*(use(number) for number in range(20)))
    assert order == list(range(20))


async def test_a_statement_that_was_cancelled_is_over_before_the_next(single: Pool) -> None:
    pid = await backend(single)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), single.acquire() as conn:
                await conn.fetchval("select pg_sleep(30)")
        assert await backend(single) == pid


async def test_a_cancelled_transaction_is_rolled_back(single: Pool) -> None:
    async def slow() -> None:
        async with asyncio.timeout(0.05), single.acquire() as conn, conn.transaction():
            await conn.execute("create table half_done ()")
            await conn.execute("select pg_sleep(30)")

    with pytest.raises(TimeoutError):
        await slow()
    assert await single.fetchval("select to_regclass('half_done')") is None


async def test_listeners_are_taken_off(single: Pool) -> None:
    heard: list[object] = []
    with pytest.warns(asyncpg.InterfaceWarning, match="active notification listener"):
        async with single.acquire() as conn:
            await conn.add_listener("news", lambda *said: heard.append(said))
    async with single.acquire() as conn:
        await conn.execute("notify news")
        await conn.fetchval("select 1")
    assert heard == []


async def test_a_lost_connection_is_replaced(single: Pool, dsn: str) -> None:
    killer = await connect(dsn)
    async with single.acquire() as conn:
        pid = await conn.fetchval("select pg_backend_pid()")
        await killer.fetchval("select pg_terminate_backend($1, 5000)", pid)
        with pytest.raises((*LOST, asyncpg.InterfaceError)):
            await conn.fetchval("select 1")
    await killer.close()
    assert await backend(single) != pid


async def test_an_expired_connection_is_replaced(single: Pool) -> None:
    async with single.acquire() as conn:
        pid = await conn.fetchval("select pg_backend_pid()")
        await single.expire_connections()
    assert await backend(single) != pid


async def test_a_connection_that_has_served_its_time_is_replaced(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.pool.QUERIES_MAX", 3)
    pool = await create_pool(dsn, min_size=1, max_size=1)
    pids = {await backend(pool) for _ in range(12)}
    await close_pool(pool)
    assert len(pids) > 1


async def test_a_connection_of_another_pool_is_refused(single: Pool, dsn: str) -> None:
    other = await create_pool(dsn, min_size=1, max_size=1)
    async with other.acquire() as conn:
        with pytest.raises(asyncpg.InterfaceError, match="not a member of this pool"):
            await single.release(conn)
    await close_pool(other)


async def test_closing_waits_for_what_is_lent(dsn: str) -> None:
    pool = await create_pool(dsn, min_size=1, max_size=1)
    async with pool.acquire() as conn:
        closing = asyncio.create_task(close_pool(pool))
        await asyncio.sleep(0)
        assert await conn.fetchval("select 7") == 7
        assert not closing.done()
    await closing
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await pool.acquire()


async def test_what_nobody_used_between_two_looks_is_closed_but_for_the_least(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.pool.INACTIVE_S", 0.05)
    pool = await create_pool(dsn, min_size=1, max_size=3)
    async with pool.acquire() as lent, pool.acquire(), pool.acquire():
        assert await lent.fetchval("select 7") == 7
        assert pool.get_size() == 3
    async with pool.acquire() as used:
        while pool.get_size() > 1:
            await used.fetchval("select pg_sleep(0.01)")
        assert await used.fetchval("select 7") == 7
    assert pool.get_size() == 1
    await close_pool(pool)


async def test_a_pool_that_is_closed_lends_nothing(dsn: str) -> None:
    pool = await create_pool(dsn, min_size=1, max_size=1)
    await backend(pool)
    await close_pool(pool)
    with pytest.raises(asyncpg.InterfaceError, match="clos"):
        await pool.acquire()
