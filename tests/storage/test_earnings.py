from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from storage import earnings, ledger, payouts, refunds
from storage.earnings import Earnings
from storage.ids import new_id
from storage.pool import Pool
from storage.verify import verify
from tests.storage.earning import DAY_S, PART, WEEK_S, earned, sell
from tests.storage.world import User, World, charge_of, check_books, make_world


async def release(pool: Pool, delay_s: int = WEEK_S) -> int:
    async with pool.acquire() as conn:
        return await earnings.release_due(conn, delay_s=delay_s)


async def seen(pool: Pool, user_id: UUID, delay_s: int = WEEK_S) -> Earnings:
    async with pool.acquire() as conn:
        return await earnings.read_earnings(conn, user_id, "PTS", delay_s=delay_s)


async def refund(world: World, call_id: UUID) -> None:
    operator = await world.user()
    async with world.pool.acquire() as conn, conn.transaction():
        await refunds.refund_call(conn, call_id, operator=operator.id, reason="a test")


async def take_out(pool: Pool, provider: User, amount: int) -> UUID:
    payout_id = new_id()
    async with pool.acquire() as conn, conn.transaction():
        await payouts.request(
            conn,
            payout_id=payout_id,
            user_id=provider.id,
            amount_minor=amount,
            currency="PTS",
            destination="DE89 0000",
            note=None,
        )
    return payout_id


async def test_what_has_rested_is_released_and_what_is_young_stays(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        await sell(world, kai, 3, age_s=8 * DAY_S)
        await sell(world, kai, 2, age_s=2 * DAY_S)
    assert await earned(pool, kai.id) == (5 * PART, 0)

    assert await release(pool) == 1
    assert await earned(pool, kai.id) == (2 * PART, 3 * PART)
    assert await release(pool) == 0
    assert await release(pool, DAY_S) == 1
    assert await earned(pool, kai.id) == (0, 5 * PART)
    await check_books(pool)


async def test_without_a_delay_everything_is_released(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        await sell(world, kai, 1)
    assert await release(pool, 0) == 1
    assert await earned(pool, kai.id) == (0, PART)


async def test_every_provider_is_released_and_nobody_else(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earnings, "IN_LINE", earnings.IN_LINE.replace("limit 1000", "limit 2"))
    monkeypatch.setattr(earnings, "PAGE", 2)
    async with make_world(pool) as world:
        providers = [await world.user(provider=True) for _ in range(5)]
        for provider in providers:
            await sell(world, provider, 1, age_s=WEEK_S)
    assert await release(pool) == 5
    assert {await earned(pool, each.id) for each in providers} == {(0, PART)}


async def test_nodes_that_release_at_once_release_once(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        await sell(world, kai, 3, age_s=WEEK_S)
    released = await asyncio.gather(*(release(pool) for _ in range(6)))
    assert sum(released) == 1
    assert await earned(pool, kai.id) == (0, 3 * PART)
    await check_books(pool)


async def test_a_running_call_goes_on_earning_beside_releases(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        await sell(world, kai, 2, age_s=WEEK_S)
        call = world.authorise(await world.user(money=10_000), kai)
        await world.combiner.do(call)

        async def talk() -> None:
            for n in range(1, 9):
                await world.combiner.do(charge_of(call, n))

        await asyncio.gather(talk(), *(release(pool) for _ in range(8)))
        assert await earned(pool, kai.id) == (8 * PART, 2 * PART)
        await check_books(pool)


async def test_a_refund_of_young_earnings_holds_no_old_ones_back(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        await sell(world, kai, 3, age_s=WEEK_S)
        young = await sell(world, kai, 2)
        await refund(world, young.call_id)
    await release(pool)
    assert await earned(pool, kai.id) == (0, 3 * PART)


async def test_a_refund_after_the_release_takes_no_more_than_its_part(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        old = await sell(world, kai, 3, age_s=WEEK_S)
        await release(pool)
        await refund(world, old.call_id)
        await sell(world, kai, 2, age_s=WEEK_S)
    await release(pool)
    assert await earned(pool, kai.id) == (0, 2 * PART)
    await check_books(pool)


async def test_earnings_say_where_everything_is_and_when_more_comes(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        assert await seen(pool, kai.id) == Earnings(0, 0, 0, 0, None)
        await sell(world, kai, 5, age_s=WEEK_S)
        due = await seen(pool, kai.id)
        await release(pool)
        newer = await sell(world, kai, 1, age_s=2 * DAY_S)
        await sell(world, kai, 1, age_s=DAY_S)
    now = await pool.fetchval("select now()")
    assert due.pending_minor == 5 * PART
    assert due.next_release_at is not None
    assert due.next_release_at <= now
    async with pool.acquire() as conn:
        operator = await pool.fetchval("select id from users where id <> $1", kai.id)
        paid, asked = await take_out(pool, kai, 100), await take_out(pool, kai, 20)
        async with conn.transaction():
            await payouts.decide(conn, paid, "approve", operator=operator)
            await payouts.decide(conn, paid, "pay", operator=operator, reference="T1")
            await payouts.decide(conn, asked, "approve", operator=operator)

    found = await seen(pool, kai.id)

    assert (found.pending_minor, found.available_minor) == (2 * PART, 5 * PART - 120)
    assert (found.in_payout_minor, found.paid_out_minor) == (20, 100)
    assert found.total_minor == 7 * PART
    at = await pool.fetchval("select max(at) from operation where ref = $1", newer.call_id)
    assert found.next_release_at == at + timedelta(seconds=WEEK_S)


async def test_a_stranger_currency_has_no_earnings(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
        await sell(world, kai, 1)
    async with pool.acquire() as conn:
        found = await earnings.read_earnings(conn, kai.id, "EUR", delay_s=0)
    assert found.total_minor == 0


async def test_a_missing_account_is_made_for_the_release(pool: Pool) -> None:
    async with make_world(pool) as world:
        kai = await world.user(provider=True)
    async with pool.acquire() as conn, conn.transaction():
        euros = (await ledger.open_accounts(conn, kai.id, "EUR", ["earnings_pending"]))[
            "earnings_pending"
        ]
        assert await earnings.available_of(conn, euros) != euros
    async with pool.acquire() as conn:
        assert [check for check in await verify(conn, lambda *_: 0) if check.faults] == []
