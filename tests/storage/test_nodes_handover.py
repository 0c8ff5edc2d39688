"""Calls that go from node to node: written down by their owner, taken once, counted."""

from uuid import UUID

import asyncpg
import pytest

from storage import nodes
from storage.ids import new_id
from storage.nodes import NodeClaim, address
from storage.pool import Pool
from storage.works import Authorise, Charged, HandedOver, HandOver, Settled
from tests.storage.world import (
    NOW_MS,
    World,
    charge_of,
    check_books,
    make_node,
    make_world,
    settle_of,
)


def left(call: Authorise, state: bytes = b"all of it", now_ms: int = NOW_MS + 5) -> HandOver:
    return HandOver(call_id=call.call_id, now_ms=now_ms, state=state)


async def node(pool: Pool, name: str) -> NodeClaim:
    async with pool.acquire() as conn:
        return await make_node(conn, name)


async def orphaned(pool: Pool, claim: NodeClaim, *, handed_ms: int = 0) -> list[UUID]:
    async with pool.acquire() as conn:
        return await nodes.orphaned(conn, claim.epoch, handed_ms=handed_ms)


async def adopt(pool: Pool, call: Authorise, claim: NodeClaim) -> list[nodes.Orphan]:
    async with pool.acquire() as conn:
        return await nodes.adopt(conn, [call.call_id], claim.epoch)


async def standing(pool: Pool, call: Authorise) -> nodes.Standing | None:
    async with pool.acquire() as conn:
        by_call = await nodes.standing_of_call(conn, call.call_id)
        for user_id in (call.caller_id, call.callee_id):
            assert await nodes.standing_of_user(conn, user_id) == by_call
    return by_call


async def test_a_call_is_written_down_and_taken_over_once(pool: Pool) -> None:
    east, north = await node(pool, "east"), await node(pool, "north")
    async with make_world(pool) as west:
        call = await west.call()
        await west.combiner.do(charge_of(call, 1, connected_ms=NOW_MS))
        assert await west.combiner.do(left(call)) == HandedOver(True)
        [orphan] = await adopt(pool, call, east)
        assert (orphan.left, orphan.left_now_ms, orphan.claim) == (b"all of it", NOW_MS + 5, 1)
        assert orphan.epoch == west.node.epoch
        assert 0 <= orphan.left_age_ms < 60_000
        assert await adopt(pool, call, north) == []
        assert await adopt(pool, call, west.node) == []
        assert await pool.fetchval("select count(*) from call_handover") == 0
        refused = await west.combiner.do(charge_of(call, 2))
        assert isinstance(refused, Charged)
        assert refused.refused, "it is not the old owner's any more"
        assert await west.combiner.do(left(call)) == HandedOver(False)
    await check_books(pool)


async def test_what_is_written_again_replaces_what_was_written(pool: Pool) -> None:
    east = await node(pool, "east")
    async with make_world(pool) as west:
        call = await west.call()
        await west.combiner.do(left(call, b"old", 1))
        await west.combiner.do(left(call, b"new", 2))
        [orphan] = await adopt(pool, call, east)
        assert (orphan.left, orphan.left_now_ms) == (b"new", 2)


async def test_only_a_live_call_of_its_own_is_left(pool: Pool) -> None:
    async with make_world(pool) as west, make_world(pool, name="east") as east:
        call, ended = await west.call(), await west.call()
        await west.combiner.do(settle_of(ended, 0))
        assert await east.combiner.do(left(call)) == HandedOver(False)
        assert await west.combiner.do(left(ended)) == HandedOver(False)
        nothing = HandOver(call_id=new_id(), now_ms=0, state=b"")
        assert await west.combiner.do(nothing) == HandedOver(False)
        assert await pool.fetchval("select count(*) from call_handover") == 0


async def test_a_handed_call_is_an_orphan_for_others_when_it_was_left_for_long_enough(
    pool: Pool,
) -> None:
    east = await node(pool, "east")
    async with make_world(pool) as west:
        call = await west.call()
        await west.combiner.do(left(call))
        assert await orphaned(pool, east) == [call.call_id]
        assert await orphaned(pool, east, handed_ms=60_000) == []
        assert await orphaned(pool, west.node) == []
        await pool.execute("update call_handover set at = at - interval '61 s'")
        assert await orphaned(pool, east, handed_ms=60_000) == [call.call_id]
        await west.combiner.do(settle_of(call, 0))
        assert await orphaned(pool, east) == []


async def test_calls_of_a_fenced_node_are_orphans_at_once(pool: Pool) -> None:
    east = await node(pool, "east")
    async with make_world(pool) as west:
        call = await west.call()
        assert await orphaned(pool, east) == []
        assert await adopt(pool, call, east) == [], "its owner lives"
        async with pool.acquire() as conn:
            await nodes.leave(conn, west.node.epoch)
        assert await orphaned(pool, east, handed_ms=60_000) == [call.call_id]
        [orphan] = await adopt(pool, call, east)
        assert (orphan.left, orphan.left_now_ms, orphan.left_age_ms) == (None, 0, 0)
        assert await orphaned(pool, east) == []


async def test_what_an_earlier_owner_left_is_not_taken_for_the_present_ones(pool: Pool) -> None:
    east, north = await node(pool, "east"), await node(pool, "north")
    async with make_world(pool) as west:
        call = await west.call()
        await west.combiner.do(left(call, b"of west"))
        await adopt(pool, call, east)
        # As if a row had come too late.
        await pool.execute(
            "insert into call_handover (call_id, epoch, now_ms, state) values ($1, $2, 0, 'late')",
            call.call_id,
            west.node.epoch,
        )
        assert await orphaned(pool, north) == []
        assert await adopt(pool, call, north) == []
        await pool.execute("update node set fenced = true where epoch = $1", east.epoch)
        [orphan] = await adopt(pool, call, north)
        assert (orphan.left, orphan.claim) == (None, 2)


async def test_the_standing_of_a_call_and_of_its_users(pool: Pool) -> None:
    east = await node(pool, "east")
    async with make_world(pool) as west:
        call = await west.call()
        found = await standing(pool, call)
        assert found is not None
        assert (found.call_id, found.caller_id, found.callee_id) == (
            call.call_id,
            call.caller_id,
            call.callee_id,
        )
        assert (found.address, found.claim, found.orphaned) == (west.node.address, 0, False)
        await west.combiner.do(left(call))
        assert (await standing(pool, call)).orphaned  # type: ignore[union-attr]
        await adopt(pool, call, east)
        found = await standing(pool, call)
        assert found is not None
        assert (found.address, found.claim, found.orphaned) == (east.address, 1, False)
        await pool.execute("update node set fenced = true where epoch = $1", east.epoch)
        assert (await standing(pool, call)).orphaned  # type: ignore[union-attr]


async def test_a_call_that_is_over_stands_nowhere(pool: Pool) -> None:
    async with make_world(pool) as west:
        call = await west.call()
        assert isinstance(await west.combiner.do(settle_of(call, 0)), Settled)
        assert await standing(pool, call) is None


async def owner(world: World, call: Authorise) -> tuple[int, int]:
    row = await world.pool.fetchrow(
        "select owner_epoch, claim from meter where call_id = $1", call.call_id
    )
    assert row is not None
    return row["owner_epoch"], row["claim"]


async def test_a_meter_counts_its_owners_and_never_goes_back(pool: Pool) -> None:
    east = await node(pool, "east")
    async with make_world(pool) as west:
        call = await west.call()
        await west.combiner.do(charge_of(call, 1))
        for change in (
            f"owner_epoch = {east.epoch}",  # another owner without being counted
            "claim = claim - 1",
            "charged = charged - 1",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only counts up"):
                await pool.execute(f"update meter set {change} where call_id = $1", call.call_id)
        assert await owner(west, call) == (west.node.epoch, 0)
        await pool.execute(
            "update meter set owner_epoch = $2, claim = claim + 1 where call_id = $1",
            call.call_id,
            east.epoch,
        )
        assert await owner(west, call) == (east.epoch, 1)
    assert address("west", 7) == "west.7"
