import pytest

from storage import earnings, payouts, refunds
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.verify import verify
from storage.verify_earnings import EARNINGS_RULES
from tests.storage.earning import PART, sell
from tests.storage.world import check_books, cost, make_world

RELEASED, PAID, REFUNDED = (rule.name for rule in EARNINGS_RULES)
MIRROR = "a reversal mirrors its operation"
CHARGED = "charged is what the call's transfers moved, earned and platform together"
KEYS = "the key of a posting is the call's total after it"
MOVED = "operations moved something, and no key was used twice"


async def make_books(pool: Pool) -> None:
    """A call that was kept, one refunded from pending, one recalled and partly borne by the house;
    a payout asked for, one paid and one refused."""
    async with make_world(pool) as world:
        kai, operator = await world.user(provider=True), await world.user()
        kept = await sell(world, kai, 5)
        gone = await sell(world, kai, 2)
        async with pool.acquire() as conn:
            await earnings.release_due(conn, delay_s=0)
        plain = await sell(world, kai, 1)
    assert kept
    async with pool.acquire() as conn, conn.transaction():
        asked, paid, refused = new_id(), new_id(), new_id()
        for payout_id, amount in ((asked, 6 * PART - 9), (paid, 4), (refused, 3)):
            await payouts.request(
                conn,
                payout_id=payout_id,
                user_id=kai.id,
                amount_minor=amount,
                currency="PTS",
                destination="DE89 0000",
                note=None,
            )
        await payouts.decide(conn, paid, "approve", operator=operator.id)
        await payouts.decide(conn, paid, "pay", operator=operator.id, reference="T1")
        await payouts.decide(conn, refused, "reject", operator=operator.id, reason="closed")
        for call in (plain, gone):
            await refunds.refund_call(
                conn, call.call_id, operator=operator.id, reason="a test", house_bears=True
            )


async def test_good_books_have_no_faults_and_everything_was_looked_at(pool: Pool) -> None:
    await make_books(pool)
    await check_books(pool)
    async with pool.acquire() as conn:
        checked = {check.name: check.checked for check in await verify(conn, cost)}
    assert [checked[rule.name] for rule in EARNINGS_RULES] == [2, 3, 2]
    assert await pool.fetchval("select count(*) from call_refund where borne_minor > 0") == 1


# Each plants one fault, with all triggers and foreign keys off, and names who must notice.
FAULTS = {
    "a release to somebody else": (
        "update account set owner = (select caller_id from call limit 1), label = 'x' "
        "where kind = 'earnings_pending' and id = (select payee from meter limit 1)",
        {RELEASED},
    ),
    "a release that went the wrong way": (
        "update operation set kind = 'earnings_recall' where kind = 'earnings_release'",
        {RELEASED},
    ),
    "a payout that took nothing": (
        "insert into payout (id, user_id, amount_minor, currency, destination) "
        "select gen_random_uuid(), user_id, 7, 'PTS', 'x' from payout limit 1",
        {PAID},
    ),
    "money taken without a payout": ("delete from payout where status = 'requested'", {PAID}),
    "a payout over another sum": (
        "update payout set amount_minor = 8 where status = 'paid'",
        {PAID},
    ),
    "a payout of another's earnings": (
        "update payout set user_id = (select caller_id from call limit 1) where status = 'paid'",
        {PAID},
    ),
    "a payout refused without giving it back": (
        "update payout set status = 'cancelled', decided_at = now() where status = 'requested'",
        {PAID},
    ),
    "a payout given back and paid": (
        "update payout set status = 'paid', paid_reference = 'T2' where status = 'rejected'",
        {PAID},
    ),
    "a refund that gave nothing back": (
        "insert into call_refund (call_id, amount_minor, refunded_by) "
        "select id, charged_minor, callee_id from call "
        "where id not in (select call_id from call_refund)",
        {REFUNDED},
    ),
    "a call given back without a refund": (
        "delete from call_refund where borne_minor = 0",
        {REFUNDED},
    ),
    "a refund of another sum": (
        "update call_refund set amount_minor = amount_minor + 1 where borne_minor = 0",
        {REFUNDED},
    ),
    "a loss that no refund tells of": ("update call_refund set borne_minor = 0", {REFUNDED}),
    "a refund that tells of a loss nobody had": (
        "update call_refund set borne_minor = 1 where borne_minor = 0",
        {REFUNDED},
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


async def faulty(conn: Connection) -> set[str]:
    return {check.name for check in await verify(conn, cost) if check.faults}


def test_every_rule_has_a_planted_fault() -> None:
    noticed = {name for _, expected in FAULTS.values() for name in expected}
    assert noticed == {rule.name for rule in EARNINGS_RULES}
