from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from storage import earnings, payouts
from storage.errors import (
    Conflict,
    IdempotencyMismatch,
    InsufficientFunds,
    NotFound,
    Refusal,
)
from storage.ids import new_id
from storage.payouts import Payout, Verb
from storage.pool import Pool
from tests.storage.earning import PART, accounts, sell
from tests.storage.world import User, World, check_books, make_world

FUNDS = 10 * PART


@pytest.fixture
async def world(pool: Pool) -> AsyncIterator[World]:
    async with make_world(pool) as made:
        yield made


@pytest.fixture
async def kai(world: World) -> User:
    """A provider with ten units of available earnings."""
    provider = await world.user(provider=True)
    await sell(world, provider, 10)
    async with world.pool.acquire() as conn:
        await earnings.release_due(conn, delay_s=0)
    return provider


async def ask(
    world: World, owner: User, amount: int, *, payout_id: UUID | None = None, to: str = "DE89 0000"
) -> Payout:
    async with world.pool.acquire() as conn, conn.transaction():
        return await payouts.request(
            conn,
            payout_id=payout_id or new_id(),
            user_id=owner.id,
            amount_minor=amount,
            currency="PTS",
            destination=to,
            note=None,
        )


async def decide(world: World, payout: Payout, verb: Verb, operator: User) -> Payout:
    async with world.pool.acquire() as conn, conn.transaction():
        return await payouts.decide(
            conn,
            payout.id,
            verb,
            operator=operator.id,
            reason="a test",
            reference="T1" if verb == "pay" else None,
        )


async def cancel(world: World, owner: User, payout: Payout) -> Payout:
    async with world.pool.acquire() as conn, conn.transaction():
        return await payouts.cancel(conn, owner.id, payout.id)


async def available(world: World, owner: User) -> int:
    return (await accounts(world.pool, owner.id))["earnings_available"]


async def test_the_money_leaves_with_the_request_and_stays_away_when_paid(
    world: World, kai: User
) -> None:
    operator = await world.user()
    payout = await ask(world, kai, 500)
    assert (payout.status, payout.amount_minor, payout.decided_at) == ("requested", 500, None)
    assert await available(world, kai) == FUNDS - 500

    assert (await decide(world, payout, "approve", operator)).status == "approved"
    paid = await decide(world, payout, "pay", operator)

    assert (paid.status, paid.paid_reference, paid.decided_by) == ("paid", "T1", operator.id)
    assert await available(world, kai) == FUNDS - 500
    assert (
        await world.pool.fetchval(
            "select posted from account where kind = 'clearing' and label = 'payouts'"
        )
        == 500
    )
    rows = await world.pool.fetch("select type from notification order by created_at")
    assert [row["type"] for row in rows] == ["PAYOUT_APPROVED", "PAYOUT_PAID"]
    rows = await world.pool.fetch("select actor, action from audit_log order by id")
    assert [tuple(row) for row in rows] == [
        (operator.id, "payout.approve"),
        (operator.id, "payout.pay"),
    ]
    await check_books(world.pool)


@pytest.mark.parametrize("verbs", [["reject"], ["approve", "return"]])
async def test_a_refused_payout_is_back_to_the_coin(
    world: World, kai: User, verbs: list[Verb]
) -> None:
    operator = await world.user()
    payout = await ask(world, kai, 500)
    for verb in verbs:
        decided = await decide(world, payout, verb, operator)
    assert (decided.status, decided.reason) == ("rejected", "a test")
    assert await available(world, kai) == FUNDS
    told = await world.pool.fetchval("select type from notification order by created_at desc")
    assert told == "PAYOUT_REJECTED"
    await check_books(world.pool)


async def test_an_owner_takes_it_back_while_nobody_has_decided(world: World, kai: User) -> None:
    operator, stranger = await world.user(), await world.user()
    payout, other = await ask(world, kai, 500), await ask(world, kai, 100)
    with pytest.raises(NotFound):
        await cancel(world, stranger, payout)

    assert (await cancel(world, kai, payout)).status == "cancelled"

    assert await available(world, kai) == FUNDS - 100
    await decide(world, other, "approve", operator)
    for each in (payout, other):
        with pytest.raises(Conflict) as refused:
            await cancel(world, kai, each)
        assert refused.value.code == "wrong_state"
    await check_books(world.pool)


async def test_nobody_decides_on_their_own_payout(world: World, kai: User) -> None:
    payout = await ask(world, kai, 500)
    for verb in ("approve", "reject"):
        with pytest.raises(Refusal) as refused:
            await decide(world, payout, verb, kai)
        assert refused.value.code == "self_approval"
    assert await world.pool.fetchval("select count(*) from audit_log") == 0


@pytest.mark.parametrize(
    ("done", "verb"),
    [
        ([], "pay"),
        ([], "return"),
        (["approve"], "approve"),
        (["approve"], "reject"),
        (["approve", "pay"], "return"),
        (["reject"], "approve"),
        (["reject"], "reject"),
    ],
)
async def test_steps_have_an_order(world: World, kai: User, done: list[Verb], verb: Verb) -> None:
    operator = await world.user()
    payout = await ask(world, kai, 500)
    for each in done:
        await decide(world, payout, each, operator)
    with pytest.raises(Conflict) as refused:
        await decide(world, payout, verb, operator)
    assert refused.value.code == "wrong_state"
    await check_books(world.pool)


async def test_of_many_decisions_at_once_one_is_heard(world: World, kai: User) -> None:
    operators = [await world.user() for _ in range(5)]
    payout = await ask(world, kai, 500)

    outcomes = await asyncio.gather(
        *(
            decide(world, payout, "approve" if n % 2 else "reject", operators[n % 5])
            for n in range(20)
        ),
        cancel(world, kai, payout),
        return_exceptions=True,
    )

    heard = [each for each in outcomes if isinstance(each, Payout)]
    assert len(heard) == 1
    assert all(isinstance(each, Conflict) for each in outcomes if each is not heard[0])
    back = 0 if heard[0].status == "approved" else 500
    assert await available(world, kai) == FUNDS - 500 + back
    await check_books(world.pool)


async def test_money_cannot_be_asked_for_twice(world: World, kai: User) -> None:
    outcomes = await asyncio.gather(
        *(ask(world, kai, 500) for _ in range(8)), return_exceptions=True
    )

    assert sum(isinstance(each, Payout) for each in outcomes) == FUNDS // 500
    assert sum(isinstance(each, InsufficientFunds) for each in outcomes) == 8 - FUNDS // 500
    assert await world.pool.fetchval("select count(*) from payout") == FUNDS // 500
    await check_books(world.pool)


async def test_the_same_request_is_one_payout(world: World, kai: User) -> None:
    payout_id = new_id()
    made = await asyncio.gather(*(ask(world, kai, 500, payout_id=payout_id) for _ in range(5)))
    assert made == [made[0]] * 5
    assert await available(world, kai) == FUNDS - 500
    for amount, to in ((501, "DE89 0000"), (500, "somewhere else")):
        with pytest.raises(IdempotencyMismatch):
            await ask(world, kai, amount, payout_id=payout_id, to=to)


async def test_pending_earnings_cannot_be_taken_out(world: World, kai: User) -> None:
    await sell(world, kai, 1)
    with pytest.raises(InsufficientFunds) as refused:
        await ask(world, kai, FUNDS + 1)
    assert refused.value.details == {"required": FUNDS + 1, "available": FUNDS}


async def test_who_owes_money_is_not_paid(world: World, kai: User) -> None:
    await world.pool.execute(
        "update account set floor = -50, posted = -1, version = version + 1 where id = $1",
        kai.wallet,
    )
    with pytest.raises(Conflict) as refused:
        await ask(world, kai, 100)
    assert refused.value.code == "in_debt"


async def test_lists_are_the_owner_s_or_of_one_status(world: World, kai: User) -> None:
    operator, stranger = await world.user(), await world.user()
    made = [await ask(world, kai, 10 + n) for n in range(4)]
    await decide(world, made[0], "reject", operator)
    async with world.pool.acquire() as conn:
        page, total = await payouts.list_of(conn, kai.id, limit=2, offset=1)
        assert ([each.id for each in page], total) == ([made[2].id, made[1].id], 4)
        assert await payouts.list_of(conn, stranger.id, limit=2, offset=0) == ([], 0)
        page, total = await payouts.list_by_status(conn, "requested", limit=2, offset=0)
        assert ([each.id for each in page], total) == ([made[3].id, made[2].id], 3)
        assert await payouts.read(conn, kai.id, made[1].id) == made[1]
        assert await payouts.read(conn, stranger.id, made[1].id) is None


async def test_a_closed_payout_and_what_was_asked_for_stay(world: World, kai: User) -> None:
    operator = await world.user()
    payout, closed = await ask(world, kai, 500), await ask(world, kai, 100)
    await decide(world, closed, "reject", operator)
    for payout_id, change in (
        (payout.id, "amount_minor = 1"),
        (payout.id, "destination = 'elsewhere'"),
        (closed.id, "reason = 'another'"),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await world.pool.execute(f"update payout set {change} where id = $1", payout_id)
