"""Which nodes live, and how many calls each of them owns."""

from __future__ import annotations

from storage import fleet
from storage.fleet import NodeLife
from storage.pool import Connection, Pool
from tests.storage.world import make_node, make_world


async def lives(conn: Connection) -> dict[int, NodeLife]:
    found, total = await fleet.list_of(conn, lease_ms=15_000, limit=100, offset=0)
    assert total == len(found)
    assert [each.epoch for each in found] == sorted((each.epoch for each in found), reverse=True)
    return {each.epoch: each for each in found}


async def test_a_node_is_alive_while_it_tells_of_itself(conn: Connection) -> None:
    live, silent, left = [await make_node(conn, name) for name in ("a", "b", "c")]
    await conn.execute(
        "update node set beat_at = now() - interval '20 s' where epoch = $1", silent.epoch
    )
    await conn.execute(
        "update node set fenced = true, left_at = now() where epoch = $1", left.epoch
    )
    found = await lives(conn)
    assert [found[each.epoch].alive for each in (live, silent, left)] == [True, False, False]
    assert [found[each.epoch].fenced for each in (live, silent, left)] == [False, False, True]
    assert found[left.epoch].left_at is not None


async def test_a_node_owns_its_open_calls(pool: Pool) -> None:
    async with make_world(pool) as world:
        await world.call()
        async with pool.acquire() as conn:
            assert (await lives(conn))[world.node.epoch].calls == 1
