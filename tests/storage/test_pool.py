from __future__ import annotations

import asyncio

import asyncpg
import pytest

from storage.errors import Unavailable
from storage.pool import (
    Connection,
    Pool,
    close_pool,
    connect,
    create_pool,
    is_lost,
    read_now_ms,
    server_settings,
    within,
)


async def test_jsonb_goes_in_and_comes_out_as_python_values(conn: Connection) -> None:
    value = {"a": [1, None, True, "ü"], "b": {"c": 1.5}}
    assert await conn.fetchval("select $1::jsonb", value) == value
    assert await conn.fetchval("select $1::jsonb ->> 'b'", value) == '{"c": 1.5}'
    assert await conn.fetchval("select null::jsonb") is None


async def test_the_time_is_the_databases(conn: Connection) -> None:
    async with conn.transaction():
        first, second = await read_now_ms(conn), await read_now_ms(conn)
        before = await conn.fetchval("select now()")
    assert before.timestamp() * 1000 <= first + 1 <= second + 1


async def test_sessions_start_with_our_timeouts(pool: Pool) -> None:
    async with pool.acquire() as conn:
        for name in server_settings("tests"):
            shown = await conn.fetchval("select current_setting($1)", name)
            expected = {
                "application_name": "tests",
                "statement_timeout": "5s",
                "lock_timeout": "2s",
                "idle_in_transaction_session_timeout": "10s",
                "jit": "off",
                "plan_cache_mode": "force_generic_plan",
                "enable_seqscan": "off",
            }
            assert shown == expected[name]


async def test_an_open_transaction_never_returns_to_the_pool(dsn: str) -> None:
    pool = await create_pool(dsn, min_size=1, max_size=1)
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, report: reports.append(report))
    try:
        async with pool.acquire() as conn:
            await conn.execute("begin; create table left_open ()")
        async with pool.acquire() as conn:
            assert await conn.fetchval("select to_regclass('left_open')") is None
        assert len(reports) == 1
    finally:
        await pool.close()


async def test_in_time_the_result_is_passed_on(conn: Connection) -> None:
    assert await within(5, conn.fetchval("select 7")) == 7


async def test_past_the_deadline_it_is_unavailable_and_rolled_back(pool: Pool) -> None:
    async def slow() -> None:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("create table half_done ()")
            await conn.execute("select pg_sleep(30)")

    with pytest.raises(Unavailable):
        await within(0.2, slow())
    assert await pool.fetchval("select to_regclass('half_done')") is None


async def test_a_lost_connection_is_unavailable(dsn: str, pool: Pool) -> None:
    async def use(conn: Connection) -> None:
        await conn.fetchval("select 1")

    async with pool.acquire() as conn:
        pid = await conn.fetchval("select pg_backend_pid()")
        other = await connect(dsn)
        await other.fetchval("select pg_terminate_backend($1, 5000)", pid)
        with pytest.raises(Unavailable):
            await within(5, use(conn))
        with pytest.raises(Unavailable):
            await within(5, use(conn))
    await other.close()
    with pytest.raises(Unavailable):
        await within(5, use(other))
    await within(5, pool.fetchval("select 1"))


async def test_a_connection_that_ends_within_a_transaction_is_lost(dsn: str, pool: Pool) -> None:
    other = await connect(dsn)

    async def use() -> None:
        async with pool.acquire() as conn, conn.transaction():
            pid = await conn.fetchval("select pg_backend_pid()")
            await other.fetchval("select pg_terminate_backend($1, 5000)", pid)
            await conn.fetchval("select 1")

    with pytest.raises(asyncpg.InterfaceError) as caught:
        await use()
    assert is_lost(caught.value)
    await other.close()


async def test_misuse_of_the_driver_is_not_an_outage(conn: Connection) -> None:
    with pytest.raises(asyncpg.InterfaceError) as caught:
        await conn.fetchval("select 1", 2)
    assert not is_lost(caught.value)


async def test_a_statement_cut_off_by_the_server_is_unavailable(conn: Connection) -> None:
    await conn.execute("set local statement_timeout = '20ms'")
    with pytest.raises(Unavailable):
        await within(5, conn.execute("select pg_sleep(30)"))


async def test_a_lock_that_does_not_come_is_unavailable(pool: Pool) -> None:
    async with pool.acquire() as holder, pool.acquire() as waiter:
        await holder.execute("create table wanted ()")
        async with holder.transaction(), waiter.transaction():
            await holder.execute("lock table wanted")
            await waiter.execute("set local lock_timeout = '20ms'")
            with pytest.raises(Unavailable):
                await within(5, waiter.execute("lock table wanted"))


async def test_mistakes_of_ours_are_not_dressed_up_as_an_outage(conn: Connection) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await within(5, conn.execute("selekt 1"))


async def test_no_server_is_unavailable() -> None:
    nowhere = "postgresql://nobody@/nothing?host=/nonexistent"
    with pytest.raises(Unavailable):
        await create_pool(nowhere, min_size=1, max_size=1)


async def test_a_pool_whose_connections_were_killed_is_closed_all_the_same(dsn: str) -> None:
    pool = await create_pool(dsn, min_size=2, max_size=2)
    killer = await connect(dsn)
    await killer.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    await killer.close()
    await close_pool(pool)
    with pytest.raises(asyncpg.InterfaceError):
        await pool.acquire()
