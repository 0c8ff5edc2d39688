"""Calls that have ended, and time that has passed, for the tests of earnings."""

from uuid import UUID

from storage.pool import Connection, Pool
from storage.works import Authorise
from tests.storage.world import NOW_MS, UNIT, User, World, charge_of, settle_of

# What one unit of a call brings: 70 % of 120.
PART = 84
DAY_S = 86_400
WEEK_S = 7 * DAY_S


async def sell(world: World, provider: User, units: int, *, age_s: int = 0) -> Authorise:
    """A new customer's call that cost so many units and ended `age_s` ago, by the ledger."""
    customer = await world.user(money=10_000)
    call = world.authorise(customer, provider, hold=units * UNIT)
    await world.combiner.do(call)
    await world.combiner.do(charge_of(call, units, connected_ms=NOW_MS))
    await world.combiner.do(settle_of(call, units))
    if age_s:
        await age(world.pool, call.call_id, age_s)
    return call


async def age(pool: Pool, ref: UUID, seconds: int) -> None:
    """The operations of a call or payout happened earlier; no trigger may object."""
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        for table, which in (
            ("transfer", "operation in (select id from operation where ref = $1)"),
            ("operation", "ref = $1"),
        ):
            await conn.execute(
                f"update {table} set at = at - $2 * interval '1 s' where {which}", ref, seconds
            )


async def accounts(conn: Connection | Pool, user_id: UUID) -> dict[str, int]:
    """What is posted in each account of a user."""
    rows = await conn.fetch("select kind, posted from account where owner = $1", user_id)
    return {row["kind"]: row["posted"] for row in rows}


async def earned(pool: Pool, user_id: UUID) -> tuple[int, int]:
    """What is pending and what is available."""
    found = await accounts(pool, user_id)
    return found["earnings_pending"], found["earnings_available"]
