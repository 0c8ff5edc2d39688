"""What providers earn: pending at first, and theirs to take out after a delay.

Calls pay into `earnings_pending`; `release_due` moves what has rested long enough on to
`earnings_available`. Of the pending money the newest is what came in last, so what came in since
the cutoff stays, and everything beyond it may go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from storage import ledger
from storage.ledger import Move
from storage.pool import Connection

PENDING = "earnings_pending"
AVAILABLE = "earnings_available"
RELEASE = "earnings_release"
# Released money that a refund of its call takes back to where it came from.
RECALL = "earnings_recall"
# The house's own money in the place of earnings that were paid out.
COVER = "refund_cover"

PAGE = 1_000


class Earnings(msgspec.Struct, frozen=True):
    """`total_minor` is everything ever earned that was not given back, wherever it is by now.

    `in_payout_minor` is asked for but not paid yet. `next_release_at` is when the first of the
    pending money becomes available, None without any.
    """

    pending_minor: int
    available_minor: int
    in_payout_minor: int
    paid_out_minor: int
    next_release_at: datetime | None

    @property
    def total_minor(self) -> int:
        return (
            self.pending_minor + self.available_minor + self.in_payout_minor + self.paid_out_minor
        )


# What came in since the cutoff and is still here: an operation that was reversed has left again,
# and what a refund moves in it also moves out.
YOUNG = f"""
select t.at, t.operation, t.amount
  from transfer t
 where t.to_account = $1 and t.code not in ('platform_fee', '{RECALL}', '{COVER}')
   and t.at > now() - $2::interval
   and not exists (select from operation r where r.reverses = t.operation)
"""

# The pending money is the top of a pile of inflows; the oldest of those in it goes next.
NEXT = f"""
select coalesce(sum(amount), 0)::bigint as young, now() as now,
       min(at) filter (where above < $3) + $2::interval as next_at
  from (select at, amount, sum(amount) over (order by at desc, operation desc) - amount as above
          from ({YOUNG}) young) pile
"""

IN_LINE = f"""
select id, owner, currency, posted from account
 where kind = '{PENDING}' and (owner, label, currency) > ($1, '', $2)
 order by owner, label, currency limit {PAGE}
"""


async def read_earnings(
    conn: Connection, user_id: UUID, currency: str, *, delay_s: int
) -> Earnings:
    """What this user has earned, and where it is; of one moment if the transaction sees one."""
    rows = await conn.fetch(
        f"""
        select kind, id, posted from account
         where owner = $1 and currency = $2 and label = '' and kind in ('{PENDING}', '{AVAILABLE}')
        """,
        user_id,
        currency,
    )
    accounts = {row["kind"]: row for row in rows}
    if len(accounts) < 2:
        return Earnings(0, 0, 0, 0, None)
    paid = await conn.fetchrow(
        """
        select coalesce(sum(amount_minor) filter (where status <> 'paid'), 0)::bigint,
               coalesce(sum(amount_minor) filter (where status = 'paid'), 0)::bigint
          from payout
         where user_id = $1 and currency = $2 and status in ('requested', 'approved', 'paid')
        """,
        user_id,
        currency,
    )
    pending_minor = accounts[PENDING]["posted"]
    pile = await conn.fetchrow(
        NEXT, accounts[PENDING]["id"], timedelta(seconds=delay_s), pending_minor
    )
    assert paid is not None
    assert pile is not None
    next_at = None
    if pending_minor > 0:
        # More than the young inflows: some of it waits for nothing but the next run.
        next_at = pile["next_at"] if pile["young"] >= pending_minor else pile["now"]
    return Earnings(pending_minor, accounts[AVAILABLE]["posted"], paid[0], paid[1], next_at)


async def release_due(conn: Connection, *, delay_s: int) -> int:
    """Make available what has been pending for `delay_s`; how many accounts gave something.

    Safe at any time, twice and on several nodes: each account is a transaction of its own, judged
    under its lock. `conn` must not be in a transaction.
    """
    released, after = 0, (UUID(int=0), "")
    while True:
        rows = await conn.fetch(IN_LINE, *after)
        for row in rows:
            if row["posted"] > 0:
                async with conn.transaction():
                    released += await _release(conn, row["id"], timedelta(seconds=delay_s))
        if len(rows) < PAGE:
            return released
        after = (rows[-1]["owner"], rows[-1]["currency"])


async def _release(conn: Connection, pending: int, delay: timedelta) -> bool:
    available = await available_of(conn, pending)
    # Both at once, in the ledger's order. The version counts postings: as part of the key it makes
    # this release the only one that was judged on this state.
    here = (await ledger.lock(conn, [pending, available]))[pending]
    due_minor = here.free_minor - await young_of(conn, pending, delay)
    if due_minor <= 0:
        return False
    await ledger.post(
        conn,
        key=f"release:{pending}:{here.version}",
        kind=RELEASE,
        moves=[Move(pending, available, due_minor, RELEASE)],
    )
    return True


async def young_of(
    conn: Connection, pending: int, delay: timedelta, *, without: Sequence[int] = ()
) -> int:
    """What came in within `delay` and is still here, but for these operations."""
    found: int = await conn.fetchval(
        f"select coalesce(sum(amount), 0)::bigint from ({YOUNG}) young "
        "where operation <> all ($3::bigint[])",
        pending,
        delay,
        without,
    )
    return found


async def available_of(conn: Connection, pending: int) -> int:
    """The account that the money of `pending` is released to; made if missing."""
    row = await conn.fetchrow("select owner, currency from account where id = $1", pending)
    assert row is not None
    accounts = await ledger.open_accounts(conn, row["owner"], row["currency"], [AVAILABLE])
    return accounts[AVAILABLE]
