"""The combiner when replies are lost, databases away, epochs fenced and items bad."""

import asyncio

import pytest

from storage.combiner import Combiner
from storage.errors import Conflict, Fenced, NotFound, Unavailable
from storage.ids import new_id
from storage.pool import Pool
from storage.works import (
    Authorise,
    Authorised,
    Charge,
    Charged,
    Failed,
    Settled,
)
from tests.storage.combining import all_of, until
from tests.storage.faults import Faults
from tests.storage.world import (
    NOW_MS,
    UNIT,
    charge_of,
    check_books,
    make_node,
    make_world,
    read_account,
    settle_of,
    table_sizes,
)


@pytest.mark.parametrize("fault", ["lose_replies", "lose_commits"])
async def test_a_connection_lost_around_the_commit_changes_nothing(pool: Pool, fault: str) -> None:
    faults = Faults(pool)
    async with make_world(pool, wrapped=faults.pool) as world:
        caller, callee = await world.user(money=1_000), await world.user(provider=True)
        call = world.authorise(caller, callee, request_id="r")
        setattr(faults, fault, 1)
        assert await world.combiner.do(call) == Authorised(880)
        assert await read_account(pool, caller.wallet) == (1_000, 120)
        setattr(faults, fault, 2)
        assert await world.combiner.do(charge_of(call, 1)) == Charged(120, 84, 120, 760)
        assert await read_account(pool, caller.wallet) == (880, 120)
        setattr(faults, fault, 1)
        settled = await world.combiner.do(settle_of(call, 2))
        # After a lost reply the first settlement is the one we did not hear of.
        assert settled == Settled(fault == "lose_commits", 240, 168, 60_001, 2, 760)
        assert await read_account(pool, caller.wallet) == (760, 0)
        assert await table_sizes(pool) == (2, 4, 0)
        await check_books(pool)


async def test_a_charge_waits_for_a_database_that_comes_back(pool: Pool) -> None:
    faults = Faults(pool)
    async with make_world(pool, wrapped=faults.pool) as world:
        call = await world.call()
        faults.refuse = True
        faults.lose_commits = 1
        first = asyncio.create_task(world.combiner.do(charge_of(call, 1)))
        await until(lambda: not world.combiner.healthy)
        second = asyncio.create_task(world.combiner.do(charge_of(call, 1, ahead=2)))
        await asyncio.sleep(0)
        faults.refuse = False
        assert await first == await second == Charged(120, 84, 240, 640)
        assert world.combiner.healthy
        await check_books(pool)


async def test_a_killed_backend_is_replaced(pool: Pool) -> None:
    async with make_world(pool) as world:
        calls = [await world.call() for _ in range(3)]
        for n in range(1, 6):
            killed = await pool.fetchval(
                "select count(pg_terminate_backend(l.pid)) from pg_stat_activity l "
                "where l.datname = current_database() and l.pid <> pg_backend_pid() "
                "and l.query ilike any (array['commit%', '%no key update%'])"
            )
            assert killed == 1
            outcomes = await all_of(world.combiner, *(charge_of(call, n) for call in calls))
            assert outcomes == [Charged(n * 120, n * 84, 120, 880 - n * 120)] * 3
        await check_books(pool)


async def test_a_connection_that_forgot_its_statement_is_replaced(pool: Pool) -> None:
    faults = Faults(pool)
    async with make_world(pool, wrapped=faults.pool) as world:
        call = await world.call()
        forgetful = faults.lent
        assert forgetful is not None
        await forgetful.execute("deallocate all")
        assert await world.combiner.do(charge_of(call, 1)) == Charged(120, 84, 120, 760)
        assert faults.lent is not forgetful
        await check_books(pool)


async def test_an_authorise_in_doubt_leaves_nothing_held(pool: Pool) -> None:
    faults = Faults(pool)
    async with make_world(pool, wrapped=faults.pool, wait_max_ms=200) as world:
        caller = await world.user(money=500)
        call = world.authorise(caller, await world.user())
        faults.lose_replies = 1_000_000
        outcome = await world.combiner.do(call)
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, Unavailable)
        assert await read_account(pool, caller.wallet) == (500, UNIT)
        faults.lose_replies = 0
        await until(lambda: world.combiner.waiting == 0)
        again = await world.combiner.do(settle_of(call, 0))
        assert again == Settled(False, 0, 0, 0, 0, 500)
        assert await read_account(pool, caller.wallet) == (500, 0)
        assert await pool.fetchval("select reason from call") == "server_error"
        assert await table_sizes(pool) == (0, 0, 0)
        await check_books(pool)


async def test_an_authorise_that_commits_after_it_was_given_up_is_undone(pool: Pool) -> None:
    faults = Faults(pool)
    async with make_world(pool, wrapped=faults.pool, wait_max_ms=50) as world:
        caller = await world.user(money=500)
        call = world.authorise(caller, await world.user())
        faults.gate = asyncio.Event()
        assert isinstance(await world.combiner.do(call), Failed)
        faults.gate.set()
        await until(lambda: world.combiner.waiting == 0)
        assert await world.combiner.do(settle_of(call, 0)) == Settled(False, 0, 0, 0, 0, 500)
        assert await read_account(pool, caller.wallet) == (500, 0)
        await check_books(pool)


async def test_a_fenced_node_posts_nothing_more(pool: Pool) -> None:
    fenced = asyncio.Event()
    async with make_world(pool, on_fenced=fenced.set) as world:
        caller, callee = await world.user(money=500), await world.user()
        call = world.authorise(caller, callee)
        await world.combiner.do(call)
        await pool.execute("update node set fenced = true where epoch = $1", world.node.epoch)
        outcomes = await all_of(
            world.combiner,
            charge_of(call, 1),
            world.authorise(await world.user(money=500), await world.user()),
        )
        for outcome in [*outcomes, await world.combiner.do(settle_of(call, 1))]:
            assert isinstance(outcome, Failed)
            assert isinstance(outcome.error, Fenced)
        assert fenced.is_set()
        assert await read_account(pool, caller.wallet) == (500, UNIT)
        assert await table_sizes(pool) == (0, 0, 2)
        await check_books(pool)


async def test_a_quiet_queue_beats(pool: Pool) -> None:
    async with pool.acquire() as conn:
        node = await make_node(conn)
    now_ms = 1_000
    combiner = Combiner(pool, epoch=node.epoch, clock=lambda: now_ms, beat_ms=10)
    await combiner.start()
    now_ms = 2_000
    async with asyncio.timeout(5):
        while await pool.fetchval("select beat_ms from node") != 2_000:
            pass
    await combiner.stop()


async def test_one_locked_wallet_does_not_stall_the_others(pool: Pool) -> None:
    async with make_world(pool) as world:
        stuck, free = await world.call(), await world.call()
        async with pool.acquire() as conn:
            transaction = conn.transaction()
            await transaction.start()
            await conn.execute("select from account where id = $1 for update", stuck.payer)
            late = asyncio.create_task(world.combiner.do(charge_of(stuck, 1)))
            assert await world.combiner.do(charge_of(free, 1)) == Charged(120, 84, 120, 760)
            assert await world.combiner.do(charge_of(free, 2)) == Charged(240, 168, 120, 640)
            assert not late.done()
            await transaction.rollback()
        assert await late == Charged(120, 84, 120, 760)
        await check_books(pool)


async def test_a_beat_never_vouches_for_what_still_waits(pool: Pool) -> None:
    now_ms = NOW_MS
    async with make_world(pool, clock=lambda: now_ms) as world:
        stuck, free = await world.call(), await world.call()
        async with pool.acquire() as conn:
            transaction = conn.transaction()
            await transaction.start()
            await conn.execute("select from account where id = $1 for update", stuck.payer)
            now_ms = NOW_MS + 1_000
            late = asyncio.create_task(world.combiner.do(charge_of(stuck, 1)))
            await asyncio.sleep(0)
            now_ms = NOW_MS + 2_000
            await world.combiner.do(charge_of(free, 1))
            assert await pool.fetchval("select beat_ms from node") == NOW_MS + 1_000
            await transaction.rollback()
        await late
        assert await pool.fetchval("select beat_ms from node") == NOW_MS + 2_000


async def test_one_bad_item_does_not_sink_the_slice(pool: Pool) -> None:
    async with make_world(pool) as world:
        nobody, callee = await world.user(money=500), await world.user()
        good = [world.authorise(await world.user(money=500), await world.user()) for _ in range(5)]
        bad = Authorise(
            **{
                **{name: getattr(good[0], name) for name in Authorise.__struct_fields__},
                "call_id": new_id(),
                "caller_id": nobody.id,
                "payer": nobody.wallet,
                "callee_id": callee.id,
                "kind": "smoke",
            }
        )
        outcomes = await all_of(world.combiner, *good[:3], bad, *good[3:])
        failed = outcomes.pop(3)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, Conflict)
        assert outcomes == [Authorised(380)] * 5
        assert await read_account(pool, nobody.wallet) == (500, 0)
        await check_books(pool)


async def test_an_account_that_is_not_there_fails_alone(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        lost = Charge(
            **{
                **{name: getattr(charge_of(call, 1), name) for name in Charge.__struct_fields__},
                "call_id": new_id(),
                "payer": 999_999,
            }
        )
        failed, charged = await all_of(world.combiner, lost, charge_of(call, 1))
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, NotFound)
        assert charged == Charged(120, 84, 120, 760)
