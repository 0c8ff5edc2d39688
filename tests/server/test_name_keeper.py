"""A node's hold on its name: taken once, kept through lost connections, given back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from server import name_keeper as module
from server.name_keeper import NameKeeper
from storage.nodes import LOCK_SPACE, NodeTaken
from storage.pool import Connection, Pool, connect
from tests.server.test_app import named_tasks

HOLDER = """
select pid from pg_locks
 where locktype = 'advisory' and classid = $1 and objid = hashtext($2)::int4::oid and granted
   and database = (select oid from pg_database where datname = current_database())
"""


class Keeper(NameKeeper):
    """`tries` has a note of each connection it makes."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, "main")
        self.tries: asyncio.Queue[int] = asyncio.Queue()

    async def _connect(self) -> Connection:
        conn = await super()._connect()
        self.tries.put_nowait(conn.get_server_pid())
        return conn


@pytest.fixture
async def keeper(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Keeper]:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    keeper = Keeper(dsn)
    keeper.epoch = (await keeper.claim(0, "PTS")).epoch  # type: ignore[attr-defined]
    yield keeper
    await keeper.stop(keeper.epoch)  # type: ignore[attr-defined]


async def holder(pool: Pool) -> int | None:
    pid: int | None = await pool.fetchval(HOLDER, LOCK_SPACE, "main")
    return pid


async def until(pool: Pool, question: str, *given: object) -> None:
    """The answer is the doing of PostgreSQL's other processes: it can only be asked for."""
    while not await pool.fetchval(question, *given):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def until_held_by(pool: Pool, pid: int) -> None:
    async with asyncio.timeout(10):
        await until(pool, f"select $3 in ({HOLDER})", LOCK_SPACE, "main", pid)


async def cut(pool: Pool, pid: int) -> None:
    assert await pool.fetchval("select pg_terminate_backend($1, 5000)", pid)


async def test_a_name_that_somebody_has_is_refused_and_no_connection_is_left(
    keeper: Keeper, pool: Pool, dsn: str
) -> None:
    second = Keeper(dsn)
    before = named_tasks()
    with pytest.raises(NodeTaken, match="another process runs as node 'main'"):
        await second.claim(0, "PTS")
    assert second.conn.is_closed()
    assert named_tasks() == before
    assert await holder(pool) == keeper.conn.get_server_pid()


async def test_a_name_that_was_lost_with_its_connection_is_taken_hold_of_again(
    keeper: Keeper, pool: Pool
) -> None:
    first = await keeper.tries.get()
    for _ in range(2):
        await cut(pool, first)
        async with asyncio.timeout(10):
            second = await keeper.tries.get()
        assert second != first
        await until_held_by(pool, second)
        first = second
    assert not await pool.fetchval("select bool_or(fenced) from node"), "it is still the same life"


async def test_while_somebody_else_has_the_name_it_is_tried_again_and_again(
    keeper: Keeper, pool: Pool, dsn: str
) -> None:
    first = await keeper.tries.get()
    other = await connect(dsn)
    waiting = asyncio.create_task(
        other.execute("select pg_advisory_lock($1, hashtext($2))", LOCK_SPACE, "main")
    )
    async with asyncio.timeout(10):
        await until(pool, "select exists (select from pg_locks where not granted)")
        await cut(pool, first)
        await waiting  # It comes before us: it has waited.
        for _ in range(3):
            await keeper.tries.get()
        await other.close()
        while await holder(pool) != keeper.conn.get_server_pid():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not keeper._lost.is_set(), "it has it, and asks no more"


async def test_a_stop_gives_the_name_back_and_ends_the_life(dsn: str, pool: Pool) -> None:
    keeper = Keeper(dsn)
    claim = await keeper.claim(0, "PTS")
    await keeper.stop(claim.epoch)
    assert await pool.fetchval("select fenced from node where epoch = $1", claim.epoch)
    again = Keeper(dsn)
    assert (await again.claim(0, "PTS")).epoch > claim.epoch
    await again.stop(claim.epoch + 1)


async def test_a_stop_without_a_connection_does_not_raise(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(dsn)
    claim = await keeper.claim(0, "PTS")
    monkeypatch.setattr(module, "RETRY_S", 60.0)
    monkeypatch.setattr(module, "RETRY_MAX_S", 60.0)
    await keeper.conn.close()
    await keeper.stop(claim.epoch)
    assert "name keeper" not in named_tasks()
