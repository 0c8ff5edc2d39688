"""Operators see everybody's calls, and who runs them."""

from __future__ import annotations

from storage import live_calls
from storage.ids import new_id
from storage.pool import Pool
from tests.storage.world import charge_of, make_world, settle_of


async def test_live_calls_are_listed_with_their_node_until_they_end(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        assert await live_calls.list_live(conn, 10, 0) == ([], 0)
        calls = [await world.call() for _ in range(3)]
        await world.combiner.do(charge_of(calls[1], 1))
        first, total = await live_calls.list_live(conn, 2, 0)
        rest, _ = await live_calls.list_live(conn, 2, 2)
        assert total == 3
        assert {each.call.call_id for each in (*first, *rest)} == {each.call_id for each in calls}
        assert {each.node for each in (*first, *rest)} == {world.node.name}
        await world.combiner.do(settle_of(calls[1], 1))
        assert (await live_calls.list_live(conn, 10, 0))[1] == 2


async def test_any_call_can_be_read_also_when_it_is_over(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call = await world.call()
        found = await live_calls.read_any(conn, call.call_id)
        assert found is not None
        assert (found.call.caller.user_id, found.node) == (call.caller_id, world.node.name)
        await world.combiner.do(settle_of(call, 0))
        over = await live_calls.read_any(conn, call.call_id)
        assert over is not None
        assert (over.call.state, over.node) == ("ended", None)
        assert await live_calls.read_any(conn, new_id()) is None
