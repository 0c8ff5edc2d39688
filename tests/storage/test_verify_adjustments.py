"""What `ledger verify` knows of adjustments: each rule notices what it is for, and no other."""

from uuid import UUID

import pytest

from storage import adjustments
from storage.adjustments import Wallet
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.verify import verify
from storage.verify_adjustments import ADJUSTMENT_RULES
from tests.storage.world import check_books, cost, make_user

POSTED, OTHERS = (rule.name for rule in ADJUSTMENT_RULES)

# Each plants one fault, with all triggers and foreign keys off, and names who must notice.
FAULTS = {
    "an approved one that was never posted": (
        "update adjustment set status = 'approved', decided_at = now() where status = 'pending'",
        {POSTED},
    ),
    "a pending one that was posted": (
        "update adjustment set status = 'pending', decided_at = null where amount_minor < 0",
        {POSTED},
    ),
    "one posted with another amount": (
        "update adjustment set amount_minor = amount_minor + 1 where wallet = 'primary'",
        {POSTED},
    ),
    "one posted the other way": (
        "update adjustment set amount_minor = -amount_minor where amount_minor < 0",
        {POSTED},
    ),
    "an operation that nobody asked for": (
        "delete from adjustment where wallet = 'primary'",
        {POSTED},
    ),
    "money in another wallet": (
        "update adjustment set wallet = 'earnings_available' where wallet = 'primary'",
        {POSTED},
    ),
    "money in the wallet of another": (
        "update adjustment set user_id = gen_random_uuid() where wallet = 'primary'",
        {POSTED},
    ),
    "money of another currency": (
        "update adjustment set currency = 'EUR' where wallet = 'primary'",
        {POSTED},
    ),
    "an operation of another kind": (
        "update operation set kind = 'grant' where kind = 'adjustment'",
        {POSTED},
    ),
    "an operation about something else": (
        "update operation set ref = gen_random_uuid() where kind = 'adjustment'",
        {POSTED},
    ),
    "one approved by who asked for it": (
        "alter table adjustment drop constraint adjustment_check1; "
        "update adjustment set decided_by = requested_by where wallet = 'primary'",
        {OTHERS},
    ),
    "an operator's own wallet": (
        "alter table adjustment drop constraint adjustment_check; "
        "update adjustment set requested_by = user_id where wallet = 'primary'",
        {OTHERS},
    ),
}


async def adjust(
    conn: Connection, operator: UUID, user_id: UUID, wallet: Wallet, amount: int
) -> None:
    await adjustments.request(
        conn,
        adjustment_id=new_id(),
        user_id=user_id,
        wallet=wallet,
        amount_minor=amount,
        currency="PTS",
        reason="a test",
        operator=operator,
        alone_max_minor=1_000,
    )


async def books(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        operator, user = await make_user(conn), await make_user(conn, money=100)
        await adjust(conn, operator.id, user.id, "call_credits", -50)
        await adjust(conn, operator.id, user.id, "primary", 70)
        await adjust(conn, operator.id, user.id, "earnings_available", 80)
        await adjust(conn, operator.id, user.id, "earnings_available", 5_000)


async def test_good_adjustments_have_no_faults(pool: Pool) -> None:
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
