from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from storage import bonus, earnings, meters, payouts, refunds
from storage.calls import record
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.pool import Pool
from storage.refunds import Refunded
from storage.wallet import read_balance
from storage.works import Authorise, accounts_of
from tests.storage.earning import PART, WEEK_S, accounts, earned, sell
from tests.storage.world import (
    NOW_MS,
    UNIT,
    User,
    World,
    charge_of,
    check_books,
    give_bonus,
    make_user,
    make_world,
    record_of,
    settle_of,
    somebody_waits,
)


@pytest.fixture
async def world(pool: Pool) -> AsyncIterator[World]:
    async with make_world(pool) as made:
        yield made


@pytest.fixture
async def kai(world: World) -> User:
    return await world.user(provider=True)


@pytest.fixture
async def operator(world: World) -> User:
    return await world.user()


async def refund(
    world: World, call: Authorise, operator: User, *, house_bears: bool = False
) -> Refunded:
    async with world.pool.acquire() as conn, conn.transaction():
        return await refunds.refund_call(
            conn, call.call_id, operator=operator.id, reason="no sound", house_bears=house_bears
        )


async def refused(world: World, call: Authorise, operator: User) -> Conflict:
    with pytest.raises(Conflict) as caught:
        await refund(world, call, operator)
    return caught.value


async def wallet_of(world: World, call: Authorise) -> int:
    return (await accounts(world.pool, call.caller_id))["call_credits"]


async def release(world: World) -> None:
    async with world.pool.acquire() as conn:
        await earnings.release_due(conn, delay_s=0)


async def take_out(world: World, provider: User, amount: int) -> None:
    async with world.pool.acquire() as conn, conn.transaction():
        await payouts.request(
            conn,
            payout_id=new_id(),
            user_id=provider.id,
            amount_minor=amount,
            currency="PTS",
            destination="DE89 0000",
            note=None,
        )


async def house(world: World, kind: str) -> int:
    found = await world.pool.fetchval(
        "select sum(posted)::bigint from account where kind = $1", kind
    )
    return int(found or 0)


async def test_every_unit_goes_back_to_where_it_came_from(
    world: World, kai: User, operator: User
) -> None:
    call = world.authorise(await world.user(money=1_000), kai)
    await world.combiner.do(call)
    for n in range(1, 4):
        await world.combiner.do(charge_of(call, n, connected_ms=NOW_MS))
    await world.combiner.do(settle_of(call, 4))
    assert await wallet_of(world, call) == 1_000 - 4 * UNIT

    done = await refund(world, call, operator)

    assert done == Refunded(call.call_id, 4 * UNIT, 0, 0, "PTS")
    assert await wallet_of(world, call) == 1_000
    assert await earned(world.pool, kai.id) == (0, 0)
    assert await house(world, "platform_fee") == 0
    count = "select count(*) from operation where reverses is not null"
    assert await world.pool.fetchval(count) == 4
    await check_books(world.pool)


async def test_the_caller_is_told_and_the_refund_is_audited(
    world: World, kai: User, operator: User
) -> None:
    call = await sell(world, kai, 2)
    await refund(world, call, operator)

    told = await world.pool.fetchrow("select user_id, type, related_id from notification")
    assert told is not None
    assert tuple(told) == (call.caller_id, "CALL_REFUNDED", call.call_id)
    promised = await world.pool.fetchrow(
        "select user_id, body from outbox where topic = $1", "wallet_changed"
    )
    assert promised is not None
    assert promised["user_id"] == call.caller_id
    assert promised["body"] == {"currency": "PTS", "reason": "refund", "balance": 10_000}
    noted = await world.pool.fetchrow("select actor, action, target_id, reason from audit_log")
    assert noted is not None
    assert tuple(noted) == (operator.id, "call.refund", call.call_id, "no sound")


async def test_a_call_is_refunded_once_however_many_ask(
    world: World, kai: User, operator: User
) -> None:
    call = await sell(world, kai, 3)
    other = await sell(world, kai, 3)

    outcomes = await asyncio.gather(
        *(refund(world, call, operator) for _ in range(8)), return_exceptions=True
    )

    assert sum(isinstance(each, Refunded) for each in outcomes) == 1
    codes = {each.code for each in outcomes if isinstance(each, Conflict)}
    assert codes == {"already_refunded"}
    assert await wallet_of(world, call) == 10_000
    assert await wallet_of(world, other) == 10_000 - 3 * UNIT
    await check_books(world.pool)


async def test_refunds_of_one_provider_do_not_wait_for_each_other_in_a_circle(
    world: World, kai: User, operator: User
) -> None:
    calls = [await sell(world, kai, 2) for _ in range(6)]
    await release(world)
    done = await asyncio.gather(*(refund(world, call, operator) for call in calls))
    assert [each.recalled_minor for each in done] == [2 * PART] * 6
    assert await earned(world.pool, kai.id) == (0, 0)
    await check_books(world.pool)


async def test_only_an_ended_call_that_cost_something_is_refunded(
    world: World, kai: User, operator: User
) -> None:
    live = await world.call()
    await world.combiner.do(charge_of(live, 1))
    assert (await refused(world, live, operator)).code == "call_not_ended"
    free = await world.call()
    await world.combiner.do(settle_of(free, 0))
    assert (await refused(world, free, operator)).code == "nothing_to_refund"
    async with world.pool.acquire() as conn:
        missed = record_of(await make_user(conn), kai)
        await record(conn, [missed])
        with pytest.raises(Conflict):
            await refunds.refund_call(conn, missed.call_id, operator=operator.id, reason="")
        with pytest.raises(NotFound):
            await refunds.refund_call(conn, new_id(), operator=operator.id, reason="")


async def test_released_earnings_are_recalled_first(
    world: World, kai: User, operator: User
) -> None:
    call = await sell(world, kai, 3)
    await release(world)
    await sell(world, kai, 1)

    done = await refund(world, call, operator)

    # One unit was still pending.
    assert done.recalled_minor == 2 * PART
    assert await earned(world.pool, kai.id) == (0, PART)
    await check_books(world.pool)


async def test_what_was_paid_out_is_missing_unless_the_house_bears_it(
    world: World, kai: User, operator: User
) -> None:
    call = await sell(world, kai, 3)
    await release(world)
    await take_out(world, kai, 3 * PART - 10)

    fault = await refused(world, call, operator)
    assert (fault.code, fault.details) == ("earnings_paid_out", {"missing": 3 * PART - 10})
    assert await earned(world.pool, kai.id) == (0, 10)
    assert await wallet_of(world, call) == 10_000 - 3 * UNIT

    done = await refund(world, call, operator, house_bears=True)

    assert (done.recalled_minor, done.borne_minor) == (10, 3 * PART - 10)
    assert await earned(world.pool, kai.id) == (0, 0)
    assert await house(world, "loss") == -(3 * PART - 10)
    assert await wallet_of(world, call) == 10_000
    assert await world.pool.fetchval("select details from audit_log") == {
        "amount": 3 * UNIT,
        "recalled": 10,
        "houseBears": 3 * PART - 10,
    }
    await check_books(world.pool)


async def test_a_call_that_earned_nobody_anything_is_refunded_too(
    world: World, operator: User
) -> None:
    caller, callee = await world.user(money=1_000), await world.user()
    call = world.authorise(caller, callee)
    call = msgspec.structs.replace(call, payee=None)
    await world.combiner.do(call)
    await world.combiner.do(charge_of(call, 1, connected_ms=NOW_MS))
    await world.combiner.do(settle_of(call, 1))
    await refund(world, call, operator)
    assert await wallet_of(world, call) == 1_000
    await check_books(world.pool)


async def test_bonus_that_comes_back_has_an_end_again(
    world: World, kai: User, operator: User
) -> None:
    now = datetime.now(UTC)
    caller = await world.user()
    async with world.pool.acquire() as conn:
        account = await give_bonus(conn, caller.id, UNIT, days=1)
        call = msgspec.structs.replace(world.authorise(caller, kai), bonus=account)
        await world.combiner.do(call)
        await world.combiner.do(charge_of(call, 1, connected_ms=NOW_MS))
        await world.combiner.do(settle_of(call, 1))
        assert await bonus.expire(conn, now + timedelta(days=2)) == []

        await refund(world, call, operator)

        balance = await read_balance(conn, caller.id, "PTS")
        assert balance is not None
        assert (balance.bonus_minor, balance.bonus_expires_at is not None) == (UNIT, True)
        assert await bonus.expire(conn, now + timedelta(days=29)) == []
        gone = await bonus.expire(conn, now + timedelta(days=31))
    assert [each.amount_minor for each in gone] == [UNIT]
    await check_books(world.pool)


async def test_earnings_of_a_young_call_keep_their_time_when_an_old_one_is_refunded(
    world: World, kai: User, operator: User
) -> None:
    old = await sell(world, kai, 10, age_s=2 * WEEK_S)
    async with world.pool.acquire() as conn:
        await earnings.release_due(conn, delay_s=WEEK_S)
    await sell(world, kai, 10)
    assert await earned(world.pool, kai.id) == (10 * PART, 10 * PART)

    async with world.pool.acquire() as conn, conn.transaction():
        done = await refunds.refund_call(
            conn, old.call_id, operator=operator.id, reason="no sound", delay_s=WEEK_S
        )

    assert (done.recalled_minor, done.borne_minor) == (10 * PART, 0)
    assert await earned(world.pool, kai.id) == (10 * PART, 0)
    async with world.pool.acquire() as conn:
        await earnings.release_due(conn, delay_s=WEEK_S)
    assert await earned(world.pool, kai.id) == (10 * PART, 0)
    await check_books(world.pool)


async def test_a_refund_that_waits_for_the_end_of_its_call_sees_it_whole(
    world: World, kai: User, operator: User
) -> None:
    call = world.authorise(await world.user(money=1_000), kai)
    await world.combiner.do(call)
    await world.combiner.do(charge_of(call, 1, connected_ms=NOW_MS))
    end = settle_of(call, 2)
    async with world.pool.acquire() as settling, world.pool.acquire() as watching:
        async with settling.transaction():
            await meters.begin(settling, world.node.epoch, NOW_MS, accounts_of(end))
            await meters.settle(settling, world.node.epoch, [end])
            task = asyncio.create_task(refund(world, call, operator))
            await somebody_waits(watching)
        assert (await task).amount_minor == 2 * UNIT
    await check_books(world.pool)
