import asyncio
from uuid import UUID

import pytest

from storage import payments, wallet
from storage.ids import new_id
from storage.payments import Finding, Payment
from storage.pool import Connection, Pool
from tests.storage.world import make_user

PAID = Finding("paid", 1000, "PTS")
FAILED = Finding("failed", 1000, "PTS")


async def order(conn: Connection, user_id: UUID, *, amount: int = 1000) -> Payment:
    payment = await payments.create(
        conn,
        payment_id=new_id(),
        user_id=user_id,
        purpose="topup",
        gateway="sandbox",
        amount_minor=amount,
        currency="PTS",
        reference=f"pay_{new_id().hex}",
        description="more minutes",
    )
    return await payments.opened(
        conn, payment.id, gateway_ref=f"sbx_{payment.reference}", checkout_url="http://x/"
    )


async def settle(conn: Connection, payment: Payment, finding: Finding) -> str:
    _, outcome = await payments.settle(
        conn, gateway="sandbox", reference=payment.reference, finding=finding
    )
    return outcome


async def balance_of(conn: Connection, user_id: UUID) -> int:
    found = await wallet.read_balance(conn, user_id, "PTS")
    assert found is not None
    return found.available_minor


async def test_an_opened_payment_is_processing_and_has_a_checkout(conn: Connection) -> None:
    user = await make_user(conn)

    payment = await order(conn, user.id)

    assert (payment.status, payment.checkout_url) == ("processing", "http://x/")
    assert payment.completed_at is None
    assert await payments.read(conn, user.id, payment.id) == payment
    assert await payments.find(conn, "sandbox", payment.reference) == payment


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
    told = await conn.fetch("select topic, body from outbox where user_id = $1", user.id)
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
        )
    ]
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

    found = await payments.settle(conn, gateway="stripe", reference=payment.reference, finding=PAID)

    assert found == (None, "unknown")


async def test_an_event_is_fresh_once(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await order(conn, user.id)
    event = {"gateway": "sandbox", "event_id": f"evt_{new_id()}"}

    assert await payments.record_event(conn, **event, kind="payment.paid")
    assert not await payments.record_event(conn, **event, kind="payment.paid")
    await payments.close_event(conn, **event, payment_id=payment.id, outcome="completed")

    row = await conn.fetchrow("select * from psp_event where event_id = $1", event["event_id"])
    assert row is not None
    assert (row["payment_id"], row["outcome"]) == (payment.id, "completed")


async def test_a_payment_no_gateway_took_has_failed(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await payments.create(
        conn,
        payment_id=new_id(),
        user_id=user.id,
        purpose="topup",
        gateway="sandbox",
        amount_minor=5,
        currency="PTS",
        reference="pay_without_checkout",
        description=None,
    )

    await payments.give_up(conn, payment.id)

    found = await payments.read(conn, user.id, payment.id)
    assert found is not None
    assert found.status == "failed"


async def test_payments_are_read_by_their_owner_only(conn: Connection) -> None:
    user, other = await make_user(conn), await make_user(conn)
    older, newer = await order(conn, user.id), await order(conn, user.id, amount=7)

    mine, total = await payments.list_of(conn, user.id, limit=10, offset=0)

    assert {each.id for each in mine} == {older.id, newer.id}
    assert total == 2
    assert await payments.list_of(conn, other.id, limit=10, offset=0) == ([], 0)
    assert await payments.read(conn, other.id, older.id) is None
    assert await payments.read_by_reference(conn, other.id, older.reference) is None
    assert await payments.read_by_reference(conn, user.id, older.reference) == older


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
