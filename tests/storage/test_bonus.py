"""Bonus money: noted in lots, spent by calls before one's own, and gone when its time is over."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from storage import authorise, bonus, ledger, meters
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.wallet import read_balance
from storage.works import Authorise, Authorised, Charged, Outcome, Settled, Short
from tests.storage.world import (
    UNIT,
    World,
    charge_of,
    check_books,
    give_bonus,
    make_node,
    make_user,
    make_world,
    read_account,
    settle_of,
    somebody_waits,
)

NOW = datetime.now(UTC)


async def figures(conn: Connection, account: int) -> tuple[int, int]:
    row = await conn.fetchrow("select posted, held from account where id = $1", account)
    assert row is not None
    return row["posted"], row["held"]


async def open_call(
    conn: Connection, *, money: int, extra: int, hold: int = UNIT
) -> tuple[int, Authorise]:
    """The epoch of a node and its authorised call, paid out of own money and bonus."""
    node = await make_node(conn, f"node-{new_id()}")
    caller, callee = await make_user(conn, money=money), await make_user(conn)
    account = await give_bonus(conn, caller.id, extra) if extra else None
    call = World(None, node, None).authorise(caller, callee, hold=hold)  # type: ignore[arg-type]
    call = replace(call, bonus=account)
    [outcome] = await authorise.authorise(conn, node.epoch, [call])
    assert outcome == Authorised(money + extra - hold)
    return node.epoch, call


async def test_a_lot_is_noted_once(conn: Connection) -> None:
    user = await make_user(conn)
    until = NOW + timedelta(days=30)
    accounts = {
        await bonus.open_lot(
            conn, user_id=user.id, currency="PTS", amount_minor=100, expires_at=until, key="lot:1"
        )
        for _ in range(2)
    }
    assert len(accounts) == 1
    assert await conn.fetchval("select count(*) from bonus_lot") == 1


async def test_a_hold_takes_bonus_first_and_own_money_for_the_rest(conn: Connection) -> None:
    _, call = await open_call(conn, money=100, extra=50)
    assert call.bonus is not None
    assert await figures(conn, call.bonus) == (50, 50)
    assert await figures(conn, call.payer) == (100, 70)


async def test_without_enough_of_both_a_call_is_short(conn: Connection) -> None:
    _, call = await open_call(conn, money=100, extra=50)
    node = await make_node(conn, "other")
    again = World(None, node, None).authorise(  # type: ignore[arg-type]
        await make_user(conn, money=60), await make_user(conn)
    )
    again = replace(again, bonus=call.bonus)
    assert await authorise.authorise(conn, node.epoch, [again]) == [Short(UNIT, 60)]


async def test_a_unit_is_posted_out_of_both_and_shared_once(conn: Connection) -> None:
    epoch, call = await open_call(conn, money=200, extra=50)
    assert call.bonus is not None
    assert await meters.charge(conn, epoch, [charge_of(call, 1)]) == [Charged(120, 84, 120, 10)]
    assert await figures(conn, call.bonus) == (0, 0)
    assert await figures(conn, call.payer) == (130, 120)
    rows = await conn.fetch(
        "select from_account, code, amount from transfer where code like '%\\_%' "
        "and from_account = any ($1) order by seq",
        [call.payer, call.bonus],
    )
    assert [tuple(row) for row in rows] == [
        (call.payer, "call_earning", 34),
        (call.payer, "platform_fee", 36),
        (call.bonus, "call_earning", 50),
    ]


async def test_what_is_not_spent_goes_back_to_where_it_came_from(conn: Connection) -> None:
    epoch, call = await open_call(conn, money=100, extra=150)
    assert call.bonus is not None
    await meters.charge(conn, epoch, [charge_of(call, 1)])
    assert await figures(conn, call.bonus) == (30, 30)
    assert await figures(conn, call.payer) == (100, 90)
    [outcome] = await meters.settle(conn, epoch, [settle_of(call, 1)])
    assert outcome == Settled(True, 120, 84, 1, 1, 130)
    assert await figures(conn, call.bonus) == (30, 0)
    assert await figures(conn, call.payer) == (100, 0)


async def test_bonus_that_comes_in_the_middle_of_a_call_is_spent_from_then_on(
    conn: Connection,
) -> None:
    epoch, call = await open_call(conn, money=240, extra=0)
    account = await give_bonus(conn, call.caller_id, 500)
    with_bonus = replace(call, bonus=account)
    assert await meters.charge(conn, epoch, [charge_of(with_bonus, 1)]) == [
        Charged(120, 84, 120, 500)
    ]
    assert await figures(conn, account) == (500, 120)
    # A work from before the bonus came no longer fits the meter.
    [late] = await meters.charge(conn, epoch, [charge_of(call, 1)])
    assert isinstance(late, Charged)
    assert late.refused


@pytest.mark.parametrize("seed", range(12))
async def test_a_call_costs_the_same_whatever_part_of_the_money_is_bonus(
    conn: Connection, seed: int
) -> None:
    """The oracle is the same call of somebody whose money is all their own."""
    chance = random.Random(seed)
    extra, money = chance.randrange(1, 900), chance.randrange(120, 900)
    epoch, mixed = await open_call(conn, money=money, extra=extra)
    plain_epoch, plain = await open_call(conn, money=money + extra, extra=0)
    assert mixed.bonus is not None
    units = 0
    for _ in range(8):
        units += chance.randrange(2)
        ahead, quantum = chance.randrange(4), chance.choice((1, 50, UNIT))
        outcomes: list[Outcome] = []
        for owner, call in ((epoch, mixed), (plain_epoch, plain)):
            work = replace(charge_of(call, units, ahead=ahead), quantum_minor=quantum)
            outcomes += await meters.charge(conn, owner, [work])
        assert outcomes[0] == outcomes[1]
        assert isinstance(outcomes[0], Charged)
        if outcomes[0].refused:
            units = outcomes[0].charged_minor // UNIT
        bonus_posted, bonus_held = await figures(conn, mixed.bonus)
        own_posted, _ = await figures(conn, mixed.payer)
        # Nothing of one's own is spent while bonus is free.
        assert own_posted == money or bonus_posted == bonus_held
    settled = [
        (await meters.settle(conn, owner, [settle_of(call, units)]))[0]
        for owner, call in ((epoch, mixed), (plain_epoch, plain))
    ]
    assert settled[0] == settled[1]
    assert (await figures(conn, mixed.bonus))[1] == (await figures(conn, mixed.payer))[1] == 0


async def test_the_books_hold_beside_bonus(pool: Pool) -> None:
    async with make_world(pool) as world:
        caller, callee = await world.user(money=300), await world.user(provider=True)
        async with pool.acquire() as conn, conn.transaction():
            account = await give_bonus(conn, caller.id, 200)
        call = replace(world.authorise(caller, callee), bonus=account)
        assert isinstance(await world.combiner.do(call), Authorised)
        await world.combiner.do(charge_of(call, 1, connected_ms=call.created_ms))
        await check_books(pool)
        await world.combiner.do(charge_of(call, 2))
        outcome = await world.combiner.do(settle_of(call, 2))
        assert isinstance(outcome, Settled)
        await check_books(pool)
    assert await read_account(pool, account) == (0, 0)
    assert await read_account(pool, caller.wallet) == (260, 0)


async def test_a_lot_expires_with_what_is_left_of_it(conn: Connection) -> None:
    user = await make_user(conn, money=10)
    account = await give_bonus(conn, user.id, 100, days=1)
    await give_bonus(conn, user.id, 40, days=5)
    assert await bonus.expire(conn, NOW) == []
    gone = await bonus.expire(conn, NOW + timedelta(days=2))
    assert gone == [bonus.Expired(user.id, "PTS", 100)]
    assert await figures(conn, account) == (40, 0)
    assert await bonus.expire(conn, NOW + timedelta(days=2)) == []
    balance = await read_balance(conn, user.id, "PTS")
    assert balance is not None
    assert (balance.posted_minor, balance.available_minor, balance.bonus_minor) == (50, 50, 40)
    assert balance.bonus_expires_at is not None
    assert balance.bonus_expires_at > NOW + timedelta(days=4)


async def test_what_was_spent_counts_against_the_lot_that_expires_first(conn: Connection) -> None:
    epoch, call = await open_call(conn, money=0, extra=130)
    account = await give_bonus(conn, call.caller_id, 40, days=60)
    await meters.settle(conn, epoch, [settle_of(call, 1)])
    gone = await bonus.expire(conn, NOW + timedelta(days=31))
    assert gone == [bonus.Expired(call.caller_id, "PTS", 10)]
    assert await figures(conn, account) == (40, 0)


async def test_bonus_that_a_call_has_set_aside_stays_for_it_and_expires_after_it(
    conn: Connection,
) -> None:
    epoch, call = await open_call(conn, money=0, extra=150)
    assert call.bonus is not None
    late = NOW + timedelta(days=31)
    assert [each.amount_minor for each in await bonus.expire(conn, late)] == [30]
    assert await bonus.expire(conn, late) == []
    await meters.settle(conn, epoch, [settle_of(call, 0)])
    assert [each.amount_minor for each in await bonus.expire(conn, late)] == [120]
    assert await figures(conn, call.bonus) == (0, 0)


async def test_a_lot_is_closed_once_and_no_other_with_it(conn: Connection) -> None:
    user = await make_user(conn)
    await bonus.open_lot(
        conn,
        user_id=user.id,
        currency="PTS",
        amount_minor=100,
        expires_at=NOW + timedelta(days=30),
        key="lot:1",
    )
    assert [await bonus.close_lot(conn, key) for key in ("lot:2", "lot:1", "lot:1")] == [
        False,
        True,
        False,
    ]


async def test_a_lot_that_comes_while_another_expires_stays(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expiry asks for its locks, then the new lot is committed, then expiry gets them."""
    gated = "from (select pg_advisory_xact_lock(4711)) gate cross join account a"
    monkeypatch.setattr(bonus, "LOCK", bonus.LOCK.replace("from account a", gated))
    async with pool.acquire() as expiring, pool.acquire() as giving, pool.acquire() as gate:
        user = await make_user(giving)
        account = await give_bonus(giving, user.id, 100, days=1)
        await gate.execute("select pg_advisory_lock(4711)")
        task = asyncio.create_task(bonus.expire(expiring, NOW + timedelta(days=2)))
        await somebody_waits(gate)
        async with giving.transaction():
            await give_bonus(giving, user.id, 500, days=30)
        await gate.execute("select pg_advisory_unlock(4711)")

        assert [each.amount_minor for each in await task] == [100]
        assert await figures(giving, account) == (500, 0)


async def test_bonus_that_is_due_expires_behind_any_number_of_empty_lots(conn: Connection) -> None:
    for _ in range(3):
        account = await give_bonus(conn, (await make_user(conn)).id, 10, days=1)
        house = await ledger.system_account(conn, "breakage", "", "PTS")
        spent = ledger.Move(account, house, 10, "spent")
        await ledger.post(conn, key=f"spent:{account}", kind="spent", moves=[spent])
    left = await give_bonus(conn, (await make_user(conn)).id, 10, days=1)

    gone = await bonus.expire(conn, NOW + timedelta(days=2), page=2)

    assert [each.amount_minor for each in gone] == [10]
    assert await figures(conn, left) == (0, 0)
    assert await conn.fetchval("select count(*) from bonus_lot where expired_at is null") == 0
