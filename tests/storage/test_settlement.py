from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from storage import deletion, ledger, payments, plans, settlement
from storage.errors import Conflict, InsufficientFunds
from storage.ledger import Move
from storage.payments import Payment
from storage.pool import Connection, Pool
from storage.selling import Sellers
from storage.settlement import Finding
from tests.storage.paying import PAID, Stall, balance_of, make_plan, order, settle
from tests.storage.world import NOW_MS, make_user, somebody_waits

FAILED = Finding("failed", 1000, "PTS")


async def test_a_paid_payment_credits_the_wallet_once_and_tells_once(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)

    outcomes = [await settle(conn, payment, PAID) for _ in range(3)]

    assert outcomes == ["completed", "unchanged", "unchanged"]
    assert await balance_of(conn, user.id) == 1000
    found = await payments.read(conn, user.id, payment.id)
    assert found is not None
    assert found.status == "completed"
    assert found.completed_at is not None
    told = await conn.fetch(
        "select topic, body from outbox where user_id = $1 order by id", user.id
    )
    assert [(row["topic"], row["body"]) for row in told] == [
        (
            "payment_completed",
            {
                "paymentId": str(payment.id),
                "purpose": "topup",
                "amount": 1000,
                "currency": "PTS",
                "balance": 1000,
                "available": 1000,
            },
        ),
        ("notification", told[1]["body"]),
    ]
    assert (
        told[1]["body"].items()
        >= {
            "type": "PAYMENT_COMPLETED",
            "relatedEntityType": "payment",
            "relatedEntityId": str(payment.id),
        }.items()
    )
    operation = await conn.fetchrow("select * from operation where ref = $1", payment.id)
    assert operation is not None
    assert (operation["key"], operation["kind"]) == (f"payment:{payment.id}", "topup")


async def test_failed_after_paid_changes_nothing(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    await settle(conn, payment, PAID)

    assert await settle(conn, payment, FAILED) == "unchanged"
    assert await balance_of(conn, user.id) == 1000


async def test_money_that_arrives_after_a_failed_try_is_credited(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)

    assert await settle(conn, payment, FAILED) == "failed"
    assert await settle(conn, payment, FAILED) == "unchanged"
    assert await balance_of(conn, user.id) == 0
    assert await settle(conn, payment, PAID) == "completed"
    assert await balance_of(conn, user.id) == 1000


@pytest.mark.parametrize(
    "finding",
    [Finding("paid", 999, "PTS"), Finding("paid", 1001, "PTS"), Finding("paid", 1000, "NGN")],
)
async def test_another_sum_than_was_asked_for_is_not_credited(
    conn: Connection, finding: Finding
) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)

    assert await settle(conn, payment, finding) == "mismatch"
    assert await balance_of(conn, user.id) == 0
    assert await payments.read(conn, user.id, payment.id) == payment


async def test_a_reference_of_another_gateway_is_unknown(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)

    found = await settlement.settle(
        conn, gateway="stripe", reference=payment.reference, finding=PAID, sellers={}
    )

    assert found == (None, "unknown")


async def test_many_settlements_at_once_credit_once(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        user = await make_user(conn)
        payment = await order(conn, user.id)

    async def attempt() -> str:
        async with pool.acquire() as conn, conn.transaction():
            return await settle(conn, payment, PAID)

    outcomes = await asyncio.gather(*(attempt() for _ in range(30)))

    assert sorted(outcomes) == ["completed"] + ["unchanged"] * 29
    async with pool.acquire() as conn:
        assert await balance_of(conn, user.id) == 1000
        assert await conn.fetchval("select sum(posted) from account") == 0


async def test_a_top_up_of_the_primary_wallet_leaves_the_spending_one_alone(
    conn: Connection,
) -> None:
    user = await make_user(conn)

    await settle(conn, await order(conn, user.id, wallet="primary"))

    assert await balance_of(conn, user.id, "primary") == 1000
    assert await balance_of(conn, user.id) == 0
    told = await conn.fetchval(
        "select body from outbox where user_id = $1 and topic = 'payment_completed'", user.id
    )
    assert "balance" not in told


async def test_a_failed_try_and_its_success_are_both_told(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)

    await settle(conn, payment, FAILED)
    await settle(conn, payment)

    rows = await conn.fetch("select type from notification where user_id = $1 order by id", user.id)
    assert [row["type"] for row in rows] == ["PAYMENT_FAILED", "PAYMENT_COMPLETED"]


async def sale_of(conn: Connection, user_id: UUID, stall: Stall, **more: Any) -> Payment:
    return await order(
        conn, user_id, purpose="quote", target_id=stall.target_id, wallet=None, **more
    )


async def escrow_of(conn: Connection) -> int:
    account = await settlement.escrow_account(conn, "quote", "PTS")
    found: int = await conn.fetchval("select posted from account where id = $1", account)
    return found


async def test_what_is_sold_is_paid_into_escrow_and_delivered_once(conn: Connection) -> None:
    user, stall = await make_user(conn), Stall()
    payment = await sale_of(conn, user.id, stall)

    outcomes = [await settle(conn, payment, sellers={"quote": stall}) for _ in range(2)]

    assert outcomes == ["completed", "unchanged"]
    assert stall.told == ["paid completed"]
    assert await escrow_of(conn) == 1000
    assert await balance_of(conn, user.id, "primary") == 0


@pytest.mark.parametrize(
    "sellers",
    [
        lambda stall: {},
        lambda stall: {"order": stall},
        lambda stall: {"quote": replace(stall, sold_out=True)},
        lambda stall: {"quote": replace(stall, amount_minor=999)},
    ],
    ids=["nobody sells it", "another sells", "sold out", "price changed"],
)
async def test_money_that_comes_too_late_is_the_payers_own(
    conn: Connection, sellers: Callable[[Stall], Sellers]
) -> None:
    user, stall = await make_user(conn), Stall()
    payment = await sale_of(conn, user.id, stall)

    outcome = await settle(conn, payment, sellers=sellers(stall))

    assert outcome == "completed"
    assert await escrow_of(conn) == 0
    assert await balance_of(conn, user.id, "primary") == 1000
    found = await payments.read(conn, user.id, payment.id)
    assert found is not None
    assert (found.status, found.wallet, stall.told) == ("completed", "primary", [])


async def test_a_seller_that_fails_undoes_all_of_it(conn: Connection) -> None:
    user, stall = await make_user(conn), Stall(broken=True)
    payment = await sale_of(conn, user.id, stall)

    with pytest.raises(RuntimeError, match="fell over"):
        async with conn.transaction():
            await settle(conn, payment, sellers={"quote": stall})

    assert await payments.read(conn, user.id, payment.id) == payment
    assert await conn.fetchval("select count(*) from operation where ref = $1", payment.id) == 0
    stall.broken = False
    assert await settle(conn, payment, sellers={"quote": stall}) == "completed"


async def test_a_wallet_pays_only_what_it_has(conn: Connection) -> None:
    user = await make_user(conn)
    await settle(conn, await order(conn, user.id, wallet="primary"))
    first, second = [await order(conn, user.id, amount=600, gateway="wallet") for _ in range(2)]

    assert await settle(conn, first, Finding("paid", 600, "PTS")) == "completed"
    with pytest.raises(InsufficientFunds) as short:
        await settle(conn, second, Finding("paid", 600, "PTS"))

    assert (short.value.required_minor, short.value.available_minor) == (600, 400)
    assert await balance_of(conn, user.id, "primary") == 400
    assert await balance_of(conn, user.id) == 600


async def test_a_refund_goes_back_where_it_came_from(conn: Connection) -> None:
    user = await make_user(conn)
    await settle(conn, await order(conn, user.id, wallet="primary"))
    payment = await order(conn, user.id, amount=600, gateway="wallet")
    await settle(conn, payment, Finding("paid", 600, "PTS"))
    completed = await payments.lock(conn, payment.id)
    assert completed is not None

    refunded = await settlement.refund(conn, completed, reason="a test", sellers={})

    assert (refunded.status, refunded.completed_at) == ("refunded", completed.completed_at)
    assert await balance_of(conn, user.id, "primary") == 1000
    assert await balance_of(conn, user.id) == 0
    told = await conn.fetch("select body from outbox where topic = 'wallet_changed'")
    assert [row["body"] for row in told] == [{"currency": "PTS", "reason": "refund", "balance": 0}]
    with pytest.raises(Conflict):
        await settlement.refund(conn, refunded, reason="a test", sellers={})


async def test_a_sale_is_refunded_with_its_sellers_consent(conn: Connection) -> None:
    user, stall = await make_user(conn), Stall(final=True)
    payment = await sale_of(conn, user.id, stall)
    await settle(conn, payment, sellers={"quote": stall})
    completed = await payments.lock(conn, payment.id)
    assert completed is not None

    for sellers in ({"quote": stall}, {}):
        with pytest.raises(Conflict):
            await settlement.refund(conn, completed, reason="a test", sellers=sellers)
    assert await escrow_of(conn) == 1000
    stall.final = False
    await settlement.refund(conn, completed, reason="a test", sellers={"quote": stall})

    assert stall.told == ["paid completed", "refunded"]
    assert await escrow_of(conn) == 0


async def test_a_refund_of_escrow_that_was_moved_on_is_refused(conn: Connection) -> None:
    user, stall = await make_user(conn), Stall()
    payment = await sale_of(conn, user.id, stall)
    await settle(conn, payment, sellers={"quote": stall})
    completed = await payments.lock(conn, payment.id)
    assert completed is not None
    escrow = await settlement.escrow_account(conn, "quote", "PTS")
    move = Move(escrow, user.earnings, 1000, "earning")
    await ledger.post(conn, key="delivered", kind="earning", moves=[move])

    with pytest.raises(InsufficientFunds):
        await settlement.refund(conn, completed, reason="a test", sellers={"quote": stall})


async def test_money_that_the_gateway_took_back_is_taken_back_here_once(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    await settle(conn, payment)
    back = Finding("refunded", 1000, "PTS")

    assert [await settle(conn, payment, back) for _ in range(2)] == ["refunded", "unchanged"]
    assert await balance_of(conn, user.id) == 0


@pytest.mark.parametrize(
    "finding",
    [
        Finding("refunded", 999, "PTS"),
        Finding("refunded", 1000, "EUR"),
    ],
)
async def test_a_part_given_back_is_for_people_to_judge(conn: Connection, finding: Finding) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    await settle(conn, payment)

    assert await settle(conn, payment, finding) == "flagged"
    assert await balance_of(conn, user.id) == 1000


async def test_money_taken_back_after_it_was_spent_is_flagged_and_owed_by_nobody(
    conn: Connection,
) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    await settle(conn, payment)
    promo = await ledger.system_account(conn, "promo", "", "PTS")
    move = Move(user.wallet, promo, 1, "spent")
    await ledger.post(conn, key=f"spend:{payment.id}", kind="spend", moves=[move])

    assert await settle(conn, payment, Finding("refunded", 1000, "PTS")) == "flagged"
    assert await balance_of(conn, user.id) == 999


@pytest.mark.parametrize("before", ["processing", "failed", "cancelled"])
async def test_money_that_went_back_before_it_was_heard_of_is_never_credited(
    conn: Connection, before: str
) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    await plans.promise(conn, payment.id, await make_plan(conn))
    await conn.execute("update payment set status = $2 where id = $1", payment.id, before)

    assert await settle(conn, payment, Finding("refunded", 1000, "PTS")) == "refunded"
    assert await settle(conn, payment) == "unchanged"

    assert await balance_of(conn, user.id) == 0
    assert await balance_of(conn, user.id, "bonus") == 0
    assert await conn.fetchval("select count(*) from operation where reverses is not null") == 2


async def test_money_for_an_account_that_is_gone_goes_back(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    await deletion.delete_account(conn, user.id, forfeit=False, now_ms=NOW_MS)

    assert [await settle(conn, payment) for _ in range(2)] == ["refunded", "unchanged"]

    assert await balance_of(conn, user.id) == 0
    jobs = await conn.fetch("select entrypoint, convert_from(payload, 'utf8') as p from pgqueuer")
    assert [(job["entrypoint"], str(payment.id) in job["p"]) for job in jobs] == [
        (settlement.REFUND_JOB, True)
    ]


async def test_a_payment_that_is_settled_during_a_deletion_is_seen_by_it(pool: Pool) -> None:
    async with pool.acquire() as deleting, pool.acquire() as settling, pool.acquire() as watching:
        user = await make_user(settling)
        payment = await order(settling, user.id)
        async with settling.transaction():
            await settle(settling, payment)
            task = asyncio.create_task(delete_in(deleting, user.id))
            await somebody_waits(watching)
        with pytest.raises(deletion.WalletNotEmpty):
            await task


async def delete_in(conn: Connection, user_id: UUID) -> None:
    async with conn.transaction():
        await deletion.delete_account(conn, user_id, forfeit=False, now_ms=NOW_MS)
