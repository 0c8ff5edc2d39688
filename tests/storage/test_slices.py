import asyncio

import pytest

from storage import meters
from storage.errors import Fenced
from storage.pool import Pool
from storage.slices import Locked, Slices
from storage.works import Authorise, Authorised, Charged, Note, Noted, Settled
from tests.storage.world import NOW_MS, World, charge_of, make_world, read_account, settle_of


async def test_a_slice_answers_works_of_all_kinds_in_their_order(pool: Pool) -> None:
    async with make_world(pool) as world:
        old, over, new = await world.call(), await world.call(), await new_call(world)
        works = [
            new,
            charge_of(old, 1),
            settle_of(over, 0),
            Note(call_id=old.call_id, state="ringing"),
        ]
        slices = Slices(pool, world.node.epoch)
        outcomes = await slices.write(works, NOW_MS)
        assert outcomes == [
            Authorised(380),
            Charged(120, 84, 120, 760),
            Settled(True, 0, 0, 0, 0, 1_000),
            Noted(),
        ]
        await slices.release()


async def test_a_locked_account_stops_the_whole_slice_and_is_named(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as other:
        free, stuck = await world.call(), await world.call()
        slices = Slices(pool, world.node.epoch)
        async with other.transaction():
            await other.execute("select from account where id = $1 for update", stuck.payer)
            with pytest.raises(Locked) as locked:
                await slices.write([charge_of(free, 1), charge_of(stuck, 1)], NOW_MS)
        assert locked.value.accounts == {stuck.payer}
        assert await slices.missing([stuck.payer, 999_999]) == {999_999}
        assert await read_account(pool, free.payer) == (1_000, 120)
        assert await slices.write([charge_of(stuck, 1)], NOW_MS) == [Charged(120, 84, 120, 760)]
        await slices.release()


async def test_what_the_database_refuses_leaves_nothing_behind(pool: Pool) -> None:
    async with make_world(pool) as world:
        good, bad = await new_call(world), await new_call(world)
        bad = Authorise(**{**{f: getattr(bad, f) for f in bad.__struct_fields__}, "kind": "smoke"})
        slices = Slices(pool, world.node.epoch)
        with pytest.raises(Exception, match="no call is like that"):
            await slices.write([good, bad], NOW_MS)
        assert await read_account(pool, good.payer) == (500, 0)
        assert await slices.write([good], NOW_MS) == [Authorised(380)]
        await slices.release()


async def test_a_fenced_epoch_writes_nothing(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await new_call(world)
        slices = Slices(pool, world.node.epoch)
        await slices.write([], NOW_MS)
        await pool.execute("update node set fenced = true where epoch = $1", world.node.epoch)
        with pytest.raises(Fenced):
            await slices.write([call], NOW_MS)
        assert await read_account(pool, call.payer) == (500, 0)
        await slices.release()


async def test_a_connection_given_back_is_as_it_was_lent(pool: Pool) -> None:
    async with make_world(pool) as world:
        for _ in range(2):  # Twice: as a rule the pool lends the same one.
            slices = Slices(pool, world.node.epoch)
            await slices.write([], NOW_MS)
            await slices.release()
        async with pool.acquire() as conn:
            assert not conn.is_in_transaction()


async def test_after_a_drop_the_next_slice_goes_over_a_new_connection(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        slices = Slices(pool, world.node.epoch)
        await slices.write([], NOW_MS)
        slices.drop()
        assert await slices.write([charge_of(call, 1)], NOW_MS) == [Charged(120, 84, 120, 760)]
        await slices.release()


async def test_beginning_in_one_trip_waits_for_the_node_before_it_locks_accounts(
    pool: Pool,
) -> None:
    """A slice whose connection broke must be over before the next one looks at accounts."""
    async with make_world(pool) as world, pool.acquire() as old, pool.acquire() as new:
        call = await world.call()
        broken = old.transaction()
        await broken.start()
        await meters.begin(old, world.node.epoch, NOW_MS, [call.payer])
        prepared = await new.prepare(meters.BEGIN_ALL)
        began = asyncio.create_task(
            meters.begin_all(new, prepared.get_name(), world.node.epoch, NOW_MS, [call.payer])
        )
        done, _ = await asyncio.wait([began], timeout=0.1)
        assert not done
        await broken.rollback()
        assert await began, "the account was free when its turn came"
        await new.execute("rollback")


async def new_call(world: World) -> Authorise:
    return world.authorise(await world.user(money=500), await world.user(provider=True))
