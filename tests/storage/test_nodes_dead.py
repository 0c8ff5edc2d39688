"""Which nodes are dead: silent for a lease, or silent and their name free. Never a living one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage import nodes
from storage.pool import Connection, Pool, connect
from tests.storage.world import make_node, make_world, somebody_waits

LEASE_MS, LOST_MS = 15_000, 2_000


class Town:
    """Two names on connections of their own, as processes hold them, and who judges."""

    def __init__(self, judge: Connection, other: Connection, epochs: tuple[int, int]) -> None:
        self.judge = judge
        self.other = other
        self.mine, self.theirs = epochs

    async def silent(self, ms: int) -> None:
        await self.judge.execute(
            "update node set beat_at = clock_timestamp() - $2 * interval '1 ms' where epoch = $1",
            self.theirs,
            ms,
        )

    async def fence(self) -> list[int]:
        return await nodes.fence_dead(self.judge, self.mine, lease_ms=LEASE_MS, lost_ms=LOST_MS)

    async def fenced(self) -> list[int]:
        rows = await self.judge.fetch("select epoch from node where fenced order by epoch")
        return [row["epoch"] for row in rows]


@pytest.fixture
async def town(dsn: str) -> AsyncIterator[Town]:
    judge, other = await connect(dsn), await connect(dsn)
    mine = await nodes.claim_node(judge, "judge", 0)
    theirs = await nodes.claim_node(other, "other", 0)
    yield Town(judge, other, (mine.epoch, theirs.epoch))
    await judge.close()
    if not other.is_closed():
        await other.close()


async def test_a_node_that_beats_is_not_dead_whoever_holds_its_name(town: Town) -> None:
    assert await town.fence() == []
    await town.other.close()
    await town.silent(LOST_MS - 1_000)
    assert await town.fence() == []
    assert await town.fenced() == []


async def test_a_silent_node_whose_name_is_held_has_until_its_lease_ends(town: Town) -> None:
    await town.silent(LEASE_MS - 1_000)
    assert await town.fence() == []
    await town.silent(LEASE_MS + 1)
    assert await town.fence() == [town.theirs]
    assert await town.fenced() == [town.theirs]
    assert await town.fence() == [], "it is dead once"


async def test_a_silent_node_whose_name_is_free_is_dead_soon(town: Town, dsn: str) -> None:
    await town.silent(LOST_MS + 1)
    assert await town.fence() == []
    await town.other.close()
    async with asyncio.timeout(10):
        while not await town.fence():
            pass  # The server lets go of the lock in its own time.
    assert await town.fenced() == [town.theirs]
    other = await connect(dsn)
    assert await nodes.hold_name(other, "other"), "the name was not kept"
    await other.close()


async def test_nobody_judges_themselves(town: Town) -> None:
    await town.judge.execute("update node set beat_at = clock_timestamp() - interval '1 hour'")
    assert await town.fence() == [town.theirs]
    assert await town.fenced() == [town.theirs]


async def test_who_has_beaten_in_the_last_moment_lives_on(town: Town, dsn: str) -> None:
    await town.silent(LEASE_MS + 1)
    beats = await connect(dsn)
    transaction = beats.transaction()
    await transaction.start()
    await beats.execute("update node set beat_at = clock_timestamp() where epoch = $1", town.theirs)
    judging = asyncio.ensure_future(town.fence())
    await somebody_waits(beats)
    await transaction.commit()
    assert await judging == []
    assert await town.fenced() == []
    await beats.close()


async def test_a_lease_that_never_ends_leaves_the_name_to_decide(town: Town) -> None:
    await town.silent(10 * LEASE_MS)
    found = await nodes.fence_dead(town.judge, town.mine, lease_ms=2**40, lost_ms=LOST_MS)
    assert found == []


async def test_who_leaves_in_an_orderly_way_is_fenced(town: Town) -> None:
    await nodes.leave(town.judge, town.theirs)
    assert await town.fenced() == [town.theirs]


async def test_a_living_node_with_a_combiner_is_never_fenced(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        other = await make_node(conn, "judge")
        for _ in range(20):
            dead = await nodes.fence_dead(conn, other.epoch, lease_ms=LEASE_MS, lost_ms=LOST_MS)
            assert dead == []
        assert isinstance(world.node.epoch, int)
