"""What `ledger verify` knows of payments: each rule notices what it is for, and no other does."""

import pytest

from storage.pool import Pool
from storage.verify import verify
from storage.verify_payments import PAYMENT_RULES
from tests.storage.paying import make_payments
from tests.storage.world import check_books, cost, make_user

POSTED, REDEEMED, REFUNDED = (rule.name for rule in PAYMENT_RULES)
LOTS = "a bonus account got what its lots say"

# Each plants one fault, with all triggers and foreign keys off, and names who must notice.
FAULTS = {
    "a completed payment that was never posted": (
        "insert into payment (id, user_id, purpose, gateway, amount_minor, currency, status, "
        "reference) select gen_random_uuid(), user_id, purpose, gateway, 1, currency, "
        "'completed', 'other' from payment where gateway = 'wallet'",
        {POSTED},
    ),
    "a pending payment that was posted": (
        "update payment set status = 'pending' where gateway = 'wallet'",
        {POSTED},
    ),
    "a payment posted with another amount": (
        "update payment set amount_minor = amount_minor - 1 where gateway = 'wallet'",
        {POSTED},
    ),
    "an operation without a payment": (
        "delete from payment where gateway = 'wallet'",
        {POSTED},
    ),
    "money of another gateway": (
        "update payment set gateway = 'stripe' where wallet = 'primary'",
        {POSTED},
    ),
    "money of a wallet said to be a gateway's": (
        "update payment set gateway = 'sandbox' where gateway = 'wallet'",
        {POSTED},
    ),
    "money in another kind of wallet": (
        "update payment set wallet = 'call_credits' where wallet = 'primary'",
        {POSTED},
    ),
    "money in the wallet of another": (
        "update payment set user_id = gen_random_uuid() where wallet = 'primary'",
        {POSTED},
    ),
    "money kept for another purpose": (
        "update payment set purpose = 'order' where purpose = 'quote'",
        {POSTED},
    ),
    "a sale posted as a top-up": (
        "update operation set kind = 'topup' where kind = 'purchase'",
        {POSTED},
    ),
    "money of another currency": (
        "update payment set currency = 'EUR' where gateway = 'wallet'",
        {POSTED},
    ),
    "an operation about another payment": (
        "update operation set ref = gen_random_uuid() where kind = 'purchase'",
        {POSTED},
    ),
    "a plan that was paid and not redeemed": (
        "update plan_purchase set redeemed_at = null",
        {REDEEMED},
    ),
    "more points than the plan has": (
        "update plan_purchase set points_minor = points_minor - 1",
        {REDEEMED},
    ),
    "less bonus than the plan has": (
        "update plan_purchase set bonus_minor = bonus_minor + 1",
        {REDEEMED},
    ),
    "a bonus whose lot says another sum": (
        "update bonus_lot set amount = amount + 1",
        {REDEEMED, LOTS},
    ),
    "a bonus without a lot": ("delete from bonus_lot", {REDEEMED, LOTS}),
    "a redemption nobody bought": ("delete from plan_purchase", {REDEEMED}),
    "a redemption about another payment": (
        "update operation set ref = gen_random_uuid() where kind = 'redemption'",
        {REDEEMED},
    ),
    "a bonus for another": (
        "update account set owner = gen_random_uuid() where kind = 'bonus'",
        {REDEEMED},
    ),
    "a plan redeemed before it was paid": (
        "insert into plan_purchase select id, gen_random_uuid(), 400, 0, 1, now() from payment "
        "where gateway = 'wallet'; update payment set status = 'pending' where gateway = 'wallet'",
        {POSTED, REDEEMED},
    ),
    "a plan for money in another wallet": (
        "insert into plan_purchase select id, gen_random_uuid(), 1000, 0, 1, now() from payment "
        "where wallet = 'primary'",
        {REDEEMED},
    ),
    "a refunded payment that was not reversed": (
        "update payment set status = 'refunded' where gateway = 'wallet'",
        {REFUNDED},
    ),
    "a reversed payment that is not refunded": (
        "update payment set status = 'completed' where status = 'refunded'",
        {REFUNDED},
    ),
    "a reversal under another key": (
        "update operation set key = 'x' || key where key like 'refund:payment:%'",
        {REFUNDED},
    ),
}


async def books(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        user = await make_user(conn)
        await make_payments(conn, user.id)


async def test_good_payments_have_no_faults(pool: Pool) -> None:
    await books(pool)
    await check_books(pool)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_planted_fault_is_found(pool: Pool, fault: str) -> None:
    statements, expected = FAULTS[fault]
    await books(pool)
    async with pool.acquire() as conn:
        await conn.execute(
            f"begin; set local session_replication_role = replica; {statements}; commit"
        )
        checks = await verify(conn, cost)
    assert {check.name for check in checks if check.faults} == expected
