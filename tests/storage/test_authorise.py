from msgspec.structs import replace

from storage.authorise import AUTHORISE, authorise
from storage.pool import Connection, Pool
from storage.works import Authorised, Failed, Known, Short, SlotTaken
from tests.storage.world import NOW_MS, TARIFF, check_books, make_world, settle_of


async def test_rows_slots_and_hold_are_made_together(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        caller, callee = await world.user(money=500), await world.user(provider=True)
        call = world.authorise(caller, callee, request_id="r")
        async with conn.transaction():
            assert await authorise(conn, world.node.epoch, [call]) == [Authorised(380)]
        row = await conn.fetchrow(
            "select *, tariff::text as terms, extract(epoch from created_at) * 1000 as created "
            "from call join meter on call_id = id"
        )
        assert row is not None
        assert (row["caller_device"], row["request_id"], row["kind"]) == ("phone", "r", "audio")
        assert row["terms"].encode() == TARIFF
        assert row["created"] == NOW_MS
        assert (row["payer"], row["payee"]) == (caller.wallet, callee.earnings)
        assert (row["hold"], row["asof_ms"]) == (120, NOW_MS)
        assert row["owner_epoch"] == world.node.epoch
        slots = await conn.fetch("select user_id, call_id from call_slot")
        assert {tuple(slot) for slot in slots} == {
            (caller.id, call.call_id),
            (callee.id, call.call_id),
        }
        await check_books(pool)


async def test_too_little_money_makes_nothing(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call = world.authorise(await world.user(money=119), await world.user())
        assert await authorise(conn, world.node.epoch, [call]) == [Short(120, 119)]
        assert await conn.fetchval("select count(*) from call") == 0
        exact = world.authorise(await world.user(money=120), await world.user())
        assert await authorise(conn, world.node.epoch, [exact]) == [Authorised(0)]


async def test_a_taken_slot_is_named_before_missing_money(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        busy = await world.call()
        poor = await world.user()
        wanted = replace(world.authorise(poor, poor), callee_id=busy.callee_id, payee=busy.payee)
        assert await authorise(conn, world.node.epoch, [wanted]) == [
            SlotTaken(busy.callee_id, busy.call_id)
        ]


async def test_the_same_authorise_again_is_authorised_only_while_it_is_ours(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call = await world.call()
        epoch = world.node.epoch
        assert await authorise(conn, epoch, [call]) == [Authorised(880)]
        later = replace(call, created_ms=NOW_MS + 1)
        assert await authorise(conn, epoch, [later]) == [Known(call.call_id)]
        assert await authorise(conn, epoch + 1, [call]) == [Known(call.call_id)]
        await world.combiner.do(settle_of(call, 0))
        assert await authorise(conn, epoch, [call]) == [Known(call.call_id)]
        await check_books(pool)


async def test_a_statement_that_comes_second_gives_back_the_slot_it_got(pool: Pool) -> None:
    """Two users in one statement stand for two nodes: neither sees the other's new rows."""
    async with make_world(pool) as world, pool.acquire() as conn:
        callee = await world.user()
        first = world.authorise(await world.user(money=500), callee)
        second = world.authorise(await world.user(money=500), callee)
        async with conn.transaction():
            outcomes = await authorise(conn, world.node.epoch, [first, second])
        won, lost = sorted(outcomes, key=lambda outcome: isinstance(outcome, SlotTaken))
        assert won == Authorised(380)
        assert isinstance(lost, SlotTaken)
        assert lost.user_id == callee.id
        assert not any(isinstance(outcome, Failed) for outcome in outcomes)
        await check_books(pool)


async def test_a_request_that_came_twice_at_once_is_known_to_the_second(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        caller, callee = await world.user(money=500), await world.user()
        call = world.authorise(caller, callee, request_id="r")
        twin = world.authorise(caller, callee, request_id="r")
        async with conn.transaction():
            outcomes = await authorise(conn, world.node.epoch, [call, twin])
        assert outcomes in (
            [Authorised(380), Known(call.call_id)],
            [Known(twin.call_id), Authorised(380)],
        )
        await check_books(pool)


async def test_the_plan_for_all_batches_does_not_read_what_a_caller_ever_did(
    conn: Connection,
) -> None:
    await conn.execute(f"prepare opening as {AUTHORISE}")
    rows = await conn.fetch(f"explain (costs off) execute opening ({', '.join(['null'] * 17)})")
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    assert "call_caller_id_caller_device_request_id_key" in plan
    assert "call_of_caller " not in plan
