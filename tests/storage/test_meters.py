import asyncio

import asyncpg
import pytest
from msgspec.structs import replace

from storage import authorise, ledger, meters
from storage.errors import Conflict, Fenced
from storage.nodes import NodeClaim
from storage.pool import Connection, Pool
from storage.works import Authorise, Authorised, Charged, Failed, Settled
from tests.storage.world import (
    MINUTE_MS,
    NOW_MS,
    UNIT,
    World,
    charge_of,
    make_node,
    make_user,
    make_world,
    read_account,
    settle_of,
)


async def open_call(
    conn: Connection, *, money: int, hold: int = UNIT, payee: bool = True
) -> tuple[NodeClaim, Authorise]:
    """A node and its authorised call, written without a combiner."""
    node = await make_node(conn)
    caller, callee = await make_user(conn, money=money), await make_user(conn)
    call = World.authorise(
        World(None, node, None),  # type: ignore[arg-type]
        caller,
        callee,
        hold=hold,
    )
    if not payee:
        call = replace(call, payee=None)
    [outcome] = await authorise.authorise(conn, node.epoch, [call])
    assert outcome == Authorised(money - hold)
    return node, call


async def test_beginning_locks_what_is_free_and_names_no_other(pool: Pool) -> None:
    async with pool.acquire() as conn, pool.acquire() as other:
        node = await make_node(conn)
        users = [await make_user(conn) for _ in range(3)]
        wallets = [user.wallet for user in users]
        async with other.transaction(), conn.transaction():
            await other.execute("select from account where id = $1 for no key update", wallets[1])
            locked = await meters.begin(conn, node.epoch, 7, [*wallets, 999_999])
            assert locked == {wallets[0], wallets[2]}
        assert await conn.fetchval("select beat_ms from node") == 7


async def test_a_beat_never_goes_back(conn: Connection) -> None:
    node = await make_node(conn)
    await meters.begin(conn, node.epoch, 9, [])
    await meters.begin(conn, node.epoch, 3, [])
    assert await conn.fetchval("select beat_ms from node where epoch = $1", node.epoch) == 9


async def test_a_fenced_epoch_cannot_begin(conn: Connection) -> None:
    node = await make_node(conn)
    await conn.execute("update node set fenced = true where epoch = $1", node.epoch)
    with pytest.raises(Fenced):
        await meters.begin(conn, node.epoch, 9, [])


async def test_fencing_waits_for_a_slice_under_way(pool: Pool) -> None:
    async with pool.acquire() as conn, pool.acquire() as other:
        node = await make_node(conn)
        transaction = conn.transaction()
        await transaction.start()
        await meters.begin(conn, node.epoch, 9, [])
        fencing = asyncio.create_task(
            other.execute("update node set fenced = true where epoch = $1", node.epoch)
        )
        done, _ = await asyncio.wait([fencing], timeout=0.1)
        assert not done
        await transaction.commit()
        await asyncio.wait_for(fencing, 5)


async def test_a_charge_without_a_new_unit_still_counts_and_holds(conn: Connection) -> None:
    node, call = await open_call(conn, money=500)
    charge = replace(charge_of(call, 0, ahead=3), billable_ms=40, asof_ms=NOW_MS + 40)
    assert await meters.charge(conn, node.epoch, [charge]) == [Charged(0, 0, 360, 140)]
    row = await conn.fetchrow("select * from meter where call_id = $1", call.call_id)
    assert row is not None
    assert (row["billable_ms"], row["asof_ms"], row["running"]) == (40, NOW_MS + 40, True)
    assert await conn.fetchval("select count(*) from operation where ref = $1", call.call_id) == 0


async def test_a_hold_is_cut_to_whole_quanta_and_never_below_what_is_left(
    conn: Connection,
) -> None:
    node, call = await open_call(conn, money=500)
    charge = replace(charge_of(call, 0, ahead=10), quantum_minor=200)
    assert await meters.charge(conn, node.epoch, [charge]) == [Charged(0, 0, 400, 100)]
    # 280 would be left of the hold, which is not a multiple of the quantum: it stays.
    charge = replace(charge_of(call, 1, ahead=10), quantum_minor=1_000)
    assert await meters.charge(conn, node.epoch, [charge]) == [Charged(120, 84, 280, 100)]
    # Less is wanted than is held: the rest is free.
    assert await meters.charge(conn, node.epoch, [charge_of(call, 1)]) == [
        Charged(120, 84, 120, 260)
    ]


async def test_a_repeated_charge_changes_nothing(conn: Connection) -> None:
    node, call = await open_call(conn, money=500)
    [first] = await meters.charge(conn, node.epoch, [charge_of(call, 1)])
    version = await conn.fetchval("select version from account where id = $1", call.payer)
    assert await meters.charge(conn, node.epoch, [charge_of(call, 1)]) == [first]
    # One that was overtaken posts nothing and takes nothing back.
    older = replace(charge_of(call, 0), cover_minor=240, billable_ms=0)
    assert await meters.charge(conn, node.epoch, [older]) == [first]
    assert await conn.fetchval("select version from account where id = $1", call.payer) == version
    assert await conn.fetchval("select billable_ms from meter where call_id = $1", call.call_id)


async def test_a_charge_beyond_the_hold_is_refused_with_the_true_figures(conn: Connection) -> None:
    node, call = await open_call(conn, money=500)
    await meters.charge(conn, node.epoch, [charge_of(call, 1)])
    assert await meters.charge(conn, node.epoch, [charge_of(call, 3)]) == [
        Charged(120, 84, 120, 260, True)
    ]
    row = await conn.fetchrow("select * from meter where call_id = $1", call.call_id)
    assert row is not None
    assert (row["charged"], row["hold"], row["billable_ms"]) == (120, 120, 1)


async def test_a_meter_of_another_epoch_or_payer_is_not_touched(conn: Connection) -> None:
    node, call = await open_call(conn, money=500)
    other = await make_node(conn, "other")
    rich = await make_user(conn, money=500)
    charged = await meters.charge(conn, other.epoch, [charge_of(call, 1)])
    assert charged == [Charged(0, 0, 120, 380, True)]
    [stolen] = await meters.charge(
        conn, node.epoch, [replace(charge_of(call, 1), payer=rich.wallet)]
    )
    assert stolen == Charged(0, 0, 120, 500, True)
    [foreign] = await meters.settle(conn, other.epoch, [settle_of(call, 1)])
    assert isinstance(foreign, Failed)
    assert isinstance(foreign.error, Fenced)
    [wrong] = await meters.settle(
        conn, node.epoch, [replace(settle_of(call, 1), payer=rich.wallet)]
    )
    assert isinstance(wrong, Failed)
    assert isinstance(wrong.error, Conflict)


async def test_many_charges_of_one_payer_in_one_statement_stay_above_the_floor(
    pool: Pool,
) -> None:
    async with make_world(pool) as world, pool.acquire() as conn, conn.transaction():
        first = await world.call(money=500)
        ids = [first.call_id]
        for _ in range(4):
            ids.append(
                await conn.fetchval(
                    "with c as (insert into call (id, caller_id, callee_id, kind, connect_on, "
                    "state, caller_device, tariff, created_at) select gen_random_uuid(), "
                    "caller_id, callee_id, kind, connect_on, state, caller_device, tariff, "
                    "created_at from call where id = $1 returning id) "
                    "insert into meter (call_id, owner_epoch, payer, payee, platform, asof_ms) "
                    "select c.id, owner_epoch, payer, payee, platform, asof_ms from meter, c "
                    "where call_id = $1 returning call_id",
                    first.call_id,
                )
            )
        epoch = world.node.epoch
        works = [replace(charge_of(first, 0), call_id=call_id) for call_id in ids]
        outcomes = await meters.charge(conn, epoch, works)
        assert [o.hold_minor for o in outcomes if isinstance(o, Charged)] == [120] * 4 + [0]
        row = await conn.fetchrow("select * from account where id = $1", first.payer)
        assert row is not None
        assert (row["posted"], row["held"]) == (500, 480)
        # All post at once: one change of the payer's row carries all four.
        sold = await meters.charge(
            conn, epoch, [replace(charge_of(first, 1, ahead=0), call_id=i) for i in ids]
        )
        assert [o.refused for o in sold if isinstance(o, Charged)] == [False] * 4 + [True]
        row = await conn.fetchrow("select * from account where id = $1", first.payer)
        assert row is not None
        assert (row["posted"], row["held"]) == (20, 0)
        earned = await conn.fetchval("select posted from account where id = $1", first.payee)
        assert earned == 4 * 84


async def test_without_a_payee_the_platform_has_it_all(conn: Connection) -> None:
    node, call = await open_call(conn, money=500, payee=False)
    charge = replace(charge_of(call, 1), earned_minor=0)
    await meters.charge(conn, node.epoch, [charge])
    assert await meters.settle(conn, node.epoch, [settle_of(call, 2)]) == [
        Settled(True, 240, 0, MINUTE_MS + 1, 2, 260)
    ]
    platform = await conn.fetchval(
        "select posted from account where id = $1", node.platform_account
    )
    assert platform == 240


async def test_a_settlement_posts_no_more_than_the_hold(conn: Connection) -> None:
    node, call = await open_call(conn, money=500)
    await meters.charge(conn, node.epoch, [charge_of(call, 1)])
    assert await meters.settle(conn, node.epoch, [settle_of(call, 5)]) == [
        Settled(True, 240, 204, 4 * MINUTE_MS + 1, 5, 260)
    ]


async def test_settlements_of_one_payer_are_told_what_the_ones_before_have_left(
    pool: Pool,
) -> None:
    async with make_world(pool) as world, pool.acquire() as conn, conn.transaction():
        first, other = await world.call(money=500), await world.call(money=300)
        second = world.authorise(await world.user(money=500), await world.user(provider=True))
        second = replace(second, payer=first.payer)
        assert await authorise.authorise(conn, world.node.epoch, [second]) == [Authorised(260)]
        works = [settle_of(first, 1), settle_of(other, 1), settle_of(second, 1)]
        assert await meters.settle(conn, world.node.epoch, works) == [
            Settled(True, 120, 84, 1, 1, 260),
            Settled(True, 120, 84, 1, 1, 180),
            Settled(True, 120, 84, 1, 1, 260),
        ]
        row = await conn.fetchrow("select * from account where id = $1", first.payer)
        assert row is not None
        assert (row["posted"], row["held"]) == (260, 0)


async def test_a_settlement_never_takes_back_what_was_charged(conn: Connection) -> None:
    node, call = await open_call(conn, money=500)
    await meters.charge(conn, node.epoch, [charge_of(call, 1)])
    assert await meters.settle(conn, node.epoch, [settle_of(call, 0)]) == [
        Settled(True, 120, 84, 1, 0, 380)
    ]
    row = await conn.fetchrow("select * from call where id = $1", call.call_id)
    assert row is not None
    assert (row["charged_minor"], row["billable_ms"], row["state"]) == (120, 1, "ended")


async def test_a_free_call_moves_nothing(pool: Pool) -> None:
    async with make_world(pool) as world:
        caller, callee = await world.user(), await world.user()
        call = world.authorise(caller, callee, hold=0)
        assert await world.combiner.do(call) == Authorised(0)
        free = replace(charge_of(call, 0, ahead=0), billable_ms=90_000)
        assert await world.combiner.do(free) == Charged(0, 0, 0, 0)
        settled = await world.combiner.do(replace(settle_of(call, 0), billable_ms=95_000))
        assert settled == Settled(True, 0, 0, 95_000, 0, 0)
        assert await read_account(pool, caller.wallet) == (0, 0)
        assert await pool.fetchval("select count(*) from operation") == 0


async def test_the_same_posting_twice_is_stopped_by_its_key(conn: Connection) -> None:
    node, call = await open_call(conn, money=500)
    promo = await ledger.system_account(conn, "promo", "", "PTS")
    move = ledger.Move(promo, call.payer, 1, "grant")
    await ledger.post(conn, key=f"call:{call.call_id}:120", kind="grant", moves=[move])
    with pytest.raises(asyncpg.UniqueViolationError):
        await meters.charge(conn, node.epoch, [charge_of(call, 1)])
