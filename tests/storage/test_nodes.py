import pytest
from msgspec.structs import replace

from storage import nodes
from storage.nodes import NodeTaken
from storage.pool import Pool, connect
from storage.works import Charged, Note, Settled
from tests.storage.world import NOW_MS, TARIFF, charge_of, check_books, make_world, settle_of


async def test_a_name_has_one_live_process(dsn: str) -> None:
    first, second = await connect(dsn), await connect(dsn)
    claim = await nodes.claim_node(first, "main", 5)
    with pytest.raises(NodeTaken, match="'main'"):
        await nodes.claim_node(second, "main", 5)
    other = await nodes.claim_node(second, "other", 5)
    assert other.platform_account != claim.platform_account
    await first.close()
    again = await nodes.claim_node(second, "main", 6)
    assert again.epoch > claim.epoch
    assert again.platform_account == claim.platform_account
    fenced = await second.fetch("select epoch from node where fenced")
    assert [row["epoch"] for row in fenced] == [claim.epoch]
    await second.close()


async def test_an_orphan_is_found_as_it_was_committed_and_adopted_once(
    pool: Pool, dsn: str
) -> None:
    keeper = await connect(dsn)
    async with make_world(pool) as old:
        call = await old.call()
        ended = await old.call()
        await old.combiner.do(settle_of(ended, 0))
        await old.combiner.do(
            Note(call_id=call.call_id, state="accepted", ringing_ms=NOW_MS, callee_device="x")
        )
        await old.combiner.do(charge_of(call, 1, connected_ms=NOW_MS + 5))
    assert await nodes.orphaned(keeper, 1_000) == []
    claim = await nodes.claim_node(keeper, "main", NOW_MS)
    assert await nodes.orphaned(keeper, claim.epoch) == [call.call_id]
    calls = [call.call_id, ended.call_id]
    [orphan] = await nodes.adopt(keeper, calls, claim.epoch)
    assert orphan.call_id == call.call_id
    assert orphan.tariff == TARIFF
    assert (orphan.epoch, orphan.beat_ms) == (old.node.epoch, NOW_MS)
    assert (orphan.charged_minor, orphan.earned_minor, orphan.hold_minor) == (120, 84, 120)
    assert (orphan.billable_ms, orphan.asof_ms, orphan.running) == (1, NOW_MS + 1, True)
    assert (orphan.state, orphan.connected_ms, orphan.callee_device) == (
        "connected",
        NOW_MS + 5,
        "x",
    )
    assert orphan.available_minor == 760
    assert (orphan.claim, orphan.left) == (1, None)
    assert await nodes.adopt(keeper, calls, claim.epoch) == []
    assert await nodes.orphaned(keeper, claim.epoch) == []
    async with make_world(pool, name="other") as stranger:
        refused = await stranger.combiner.do(charge_of(call, 2))
        assert refused == Charged(120, 84, 120, 760, True)
    await keeper.close()
    await check_books(pool)


async def test_an_adopted_call_is_charged_and_settled_by_its_new_owner(pool: Pool) -> None:
    async with make_world(pool) as old:
        call = await old.call()
    await pool.execute("update node set fenced = true")
    async with make_world(pool) as new:
        async with pool.acquire() as conn:
            await nodes.adopt(conn, [call.call_id], new.node.epoch)
        adopted = replace(call, platform=new.node.platform_account)
        assert await new.combiner.do(charge_of(adopted, 1)) == Charged(120, 84, 120, 760)
        assert isinstance(await new.combiner.do(settle_of(adopted, 1)), Settled)
    await check_books(pool)


async def test_the_lives_of_nodes_are_listed_with_their_calls(pool: Pool, dsn: str) -> None:
    keeper = await connect(dsn)
    left = await nodes.claim_node(keeper, "other", NOW_MS)
    await nodes.leave(keeper, left.epoch)
    again = await nodes.claim_node(keeper, "other", NOW_MS)
    async with make_world(pool) as world:
        await world.call()
        lives = await nodes.list_lives(keeper, 10)
        assert [(each.name, each.epoch, each.state, each.calls) for each in lives] == [
            (world.node.name, world.node.epoch, "live", 1),
            ("other", again.epoch, "live", 0),
            ("other", left.epoch, "left", 0),
        ]
        assert all(each.beat_age_s >= 0 for each in lives)
        assert [each.epoch for each in await nodes.list_lives(keeper, 1)] == [world.node.epoch]
    await keeper.close()
