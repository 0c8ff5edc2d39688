import pytest
from msgspec.structs import replace

from storage.pool import Connection, Pool
from storage.verify import RULES, verify
from storage.verify_adjustments import ADJUSTMENT_RULES
from storage.verify_earnings import EARNINGS_RULES
from storage.verify_payments import PAYMENT_RULES
from storage.works import Authorise, Authorised, Settled
from tests.storage.paying import make_payments
from tests.storage.world import (
    NOW_MS,
    World,
    charge_of,
    check_books,
    cost,
    give_bonus,
    make_world,
    settle_of,
)

PRICE = "charged is the cost of the billable time"
# Looked at in tests of their own.
ELSEWHERE = {rule.name for rule in (*ADJUSTMENT_RULES, *EARNINGS_RULES, *PAYMENT_RULES)}


async def make_books(pool: Pool) -> tuple[Authorise, Authorise]:
    """Books with some of everything; a live call and a settled one."""
    async with make_world(pool) as world:
        live, settled = await world.call(), await world.call()
        for call in (live, settled):
            await world.combiner.do(charge_of(call, 1, connected_ms=NOW_MS))
        outcome = await world.combiner.do(settle_of(settled, 2))
        assert isinstance(outcome, Settled)
        await open_bonus_call(world)
    async with pool.acquire() as conn, conn.transaction():
        await make_payments(conn, live.caller_id)
    return live, settled


async def open_bonus_call(world: World) -> None:
    """A live call that is paid out of a bonus of 200 and 100 of one's own."""
    caller, callee = await world.user(money=100), await world.user(provider=True)
    async with world.pool.acquire() as conn, conn.transaction():
        account = await give_bonus(conn, caller.id, 200)
    call = replace(world.authorise(caller, callee), bonus=account)
    assert isinstance(await world.combiner.do(call), Authorised)
    await world.combiner.do(charge_of(call, 1, connected_ms=NOW_MS))


async def faulty(conn: Connection) -> set[str]:
    return {check.name for check in await verify(conn, cost) if check.faults}


async def test_good_books_have_no_faults_and_everything_was_looked_at(pool: Pool) -> None:
    await make_books(pool)
    # A call of a fenced node counts too.
    await pool.execute("update node set fenced = true")
    await check_books(pool)
    async with pool.acquire() as conn:
        checks = await verify(conn, cost)
    assert {check.name for check in checks if not check.checked} == {
        rule.name for rule in (*ADJUSTMENT_RULES, *EARNINGS_RULES)
    }
    assert len(checks) == len(RULES) + 1


async def test_empty_books_are_good(pool: Pool) -> None:
    await check_books(pool)


# Each plants one fault, with all triggers and foreign keys off, and names who must notice.
FAULTS = {
    "a bonus lot nobody paid for": (
        "update bonus_lot set amount = amount + 1 where key like 'lot:%'",
        {"a bonus account got what its lots say"},
    ),
    "a hold that stands in the wrong account": (
        "update meter set bonus_hold = bonus_hold - 1 where bonus_hold > 0",
        {"held is the sum of the holds of open meters"},
    ),
    "an account without its counterpart": (
        "update account set posted = posted + 1 where kind = 'platform_fee'",
        {"all accounts of a currency sum to zero", "a balance is the sum of its transfers"},
    ),
    "money shifted beside the transfers": (
        "update account set posted = posted + case when kind = 'promo' then 1 else -1 end "
        "where kind in ('promo', 'platform_fee')",
        {"a balance is the sum of its transfers"},
    ),
    "a transfer into nowhere": (
        "update transfer set to_account = 999999 where code = 'platform_fee'",
        {
            "transfers have two accounts of one currency and an operation",
            "a balance is the sum of its transfers",
        },
    ),
    "a transfer between currencies": (
        "update account set currency = 'EUR' where kind = 'platform_fee'",
        {
            "transfers have two accounts of one currency and an operation",
            "all accounts of a currency sum to zero",
        },
    ),
    "a balance below the floor": (
        "alter table account drop constraint account_check; "
        "update account set floor = 0 where kind = 'promo'",
        {"no account is below its floor"},
    ),
    "a hold that outlived its meter": (
        "update account set held = held + 5 where id = (select payer from meter where "
        "state = 'settled')",
        {"held is the sum of the holds of open meters"},
    ),
    "a meter that holds what its payer does not": (
        "update meter set hold = hold + 5 where state = 'open'",
        {"held is the sum of the holds of open meters"},
    ),
    "a posting that no version counted": (
        "update account set version = 0 where kind = 'platform_fee'",
        {"versions count every posting"},
    ),
    "an operation that moved nothing": (
        "insert into operation (key, kind) values ('empty', 'adjustment')",
        {"operations moved something, and no key was used twice"},
    ),
    "a key used twice": (
        "alter table operation drop constraint operation_key_key; "
        "update operation set key = 'undo' where kind = 'grant'",
        {"operations moved something, and no key was used twice"},
    ),
    "a reversal of something else": (
        "update operation set reverses = (select min(id) from operation) where id = "
        "(select max(id) from operation where reverses is not null)",
        {
            "a reversal mirrors its operation",
            "a payment is refunded exactly when all that it posted is reversed",
        },
    ),
    "a meter that charged more than was moved": (
        "update meter set charged = charged + 120, billable_ms = billable_ms + 60000 "
        "where state = 'open'",
        {"charged is what the call's transfers moved, earned and platform together"},
    ),
    "earnings given to the platform": (
        "update meter set earned = earned - 1 where state = 'open'",
        {"charged is what the call's transfers moved, earned and platform together"},
    ),
    "a charge of a call without a meter": (
        "update operation set ref = gen_random_uuid() where kind = 'call_charge' and ref = "
        "(select call_id from meter where state = 'open' limit 1)",
        {
            "charged is what the call's transfers moved, earned and platform together",
            "the key of a posting is the call's total after it",
        },
    ),
    "a posting under another total": (
        "update operation set key = key || '0' where id = (select max(id) from operation "
        "where kind = 'call_charge')",
        {"the key of a posting is the call's total after it"},
    ),
    "a settled meter that still holds": (
        "alter table meter drop constraint meter_check1; "
        "update meter set running = true where state = 'settled'",
        {"a settled meter holds nothing, and its call ended with the same totals"},
    ),
    "a call that ended with other totals": (
        "update call set charged_minor = 1 where state = 'ended'",
        {"a settled meter holds nothing, and its call ended with the same totals"},
    ),
    "a slot of a call that ended": (
        "insert into call_slot select caller_id, id from call where state = 'ended'",
        {
            "a live call has an open meter and both slots, an ended one neither",
            "a slot names a live call",
        },
    ),
    "a slot of no call": (
        "insert into call_slot values (gen_random_uuid(), gen_random_uuid())",
        {"a slot names a live call"},
    ),
    "a live call that one user is not in": (
        "delete from call_slot where user_id in "
        "(select caller_id from call where state <> 'ended')",
        {"a live call has an open meter and both slots, an ended one neither"},
    ),
    "a call of nobody, and one of which only the meter is left": (
        "update call set callee_id = gen_random_uuid() where state = 'ended'; "
        "insert into meter (call_id, owner_epoch, payer, platform, asof_ms) "
        "select gen_random_uuid(), max(epoch), 1, 1, 0 from node",
        {"a call has two people, and a meter a call"},
    ),
    "an open meter of an ended call": (
        "update call set state = 'ended', reason = 'hangup', ended_at = now() "
        "where state <> 'ended'; delete from call_slot",
        {"a live call has an open meter and both slots, an ended one neither"},
    ),
    "a meter that nobody owns": (
        "update meter set owner_epoch = 999 where state = 'open'",
        {"an open meter has an owner"},
    ),
    "a meter whose owner was fenced long ago": (
        "update node set fenced = true, started_at = now() - interval '1 hour'",
        {"an open meter has an owner"},
    ),
    "a posting by a fenced node": (
        "update node set fenced = true, beat_at = now() - interval '1 hour'",
        {"a fenced node posted nothing after its last beat"},
    ),
    "a settled call that cost more than its time": (
        "update meter set billable_ms = 1 where state = 'settled'; "
        "update call set billable_ms = 1 where state = 'ended'",
        {PRICE},
    ),
    "a live call charged ahead of its time": (
        "update meter set billable_ms = 0 where state = 'open'",
        {PRICE},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_planted_fault_is_found(pool: Pool, fault: str) -> None:
    statements, expected = FAULTS[fault]
    await make_books(pool)
    async with pool.acquire() as conn:
        await conn.execute(
            f"begin; set local session_replication_role = replica; {statements}; commit"
        )
        assert await faulty(conn) == expected


def test_every_rule_has_a_planted_fault() -> None:
    noticed = {name for _, expected in FAULTS.values() for name in expected}
    assert noticed | ELSEWHERE == {rule.name for rule in RULES} | {PRICE}


async def test_a_meter_waiting_to_be_adopted_is_no_fault(pool: Pool) -> None:
    await make_books(pool)
    await pool.execute(
        "update node set fenced = true, started_at = now() - interval '1 hour'; "
        "insert into node (name, beat_ms) values ('main', 0)"
    )
    await check_books(pool)


async def test_only_so_many_faults_are_listed(pool: Pool) -> None:
    await make_books(pool)
    await pool.execute(
        "insert into call_slot select gen_random_uuid(), gen_random_uuid() "
        "from generate_series(1, 150)"
    )
    async with pool.acquire() as conn:
        checks = {check.name: check for check in await verify(conn, cost)}
    check = checks["a slot names a live call"]
    assert (check.checked, len(check.faults)) == (154, 100)
