"""Bonus: money of the house in an account of its own, with a date until which it may be spent.

One account for each user; its lots say how much came when and until when it holds. What is spent
is taken from the lot that expires first, so of the account never more is left than the lots that
still hold have brought; `expire` takes the rest back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from storage import ledger, notifications
from storage.pool import Connection, Record

KIND = "bonus"
# What the moves of a lot's money are called in the ledger.
CODE = "bonus"

# The accounts with a lot whose time has come, in pages.
DUE = """
select distinct account from bonus_lot
 where expired_at is null and expires_at <= $1 and account > $2 order by account limit $3
"""
# One that somebody else holds waits for next time.
LOCK = """
select a.id from account a where a.id = any ($1::bigint[])
 order by a.id for no key update of a skip locked
"""
# Of locked accounts: how much must go, which is what is left beyond the lots that still hold. Asked
# after the lock, for a statement that waits for one sees the lots as they were before.
LEFT = """
select a.id, a.owner, a.currency, a.posted, a.held, a.version,
       coalesce((select sum(l.amount) from bonus_lot l
                  where l.account = a.id and l.expired_at is null and l.expires_at > $2), 0)::bigint
           as holding
  from account a where a.id = any ($1::bigint[]) order by a.id
"""
# Bonus that comes back after its lot has gone belongs to that lot again, for a while.
REOPEN = """
update bonus_lot l set expired_at = null, expires_at = now() + $2::interval
 where l.key = (select key from bonus_lot where account = $1 order by expires_at desc, key limit 1)
   and not exists (select from bonus_lot o where o.account = $1 and o.expired_at is null)
"""
BACK_FOR = timedelta(days=30)


class Expired(msgspec.Struct, frozen=True):
    """What went back to the house from one user's bonus."""

    user_id: UUID
    currency: str
    amount_minor: int


async def open_lot(
    conn: Connection,
    *,
    user_id: UUID,
    currency: str,
    amount_minor: int,
    expires_at: datetime,
    key: str,
) -> int:
    """Note a lot, once for each `key`, and return the account its money goes to.

    The caller moves the money there in the same transaction, by an operation of the ledger.
    """
    accounts = await ledger.open_accounts(conn, user_id, currency, [KIND])
    account = accounts[KIND]
    await conn.execute(
        "insert into bonus_lot (key, account, amount, expires_at) values ($1, $2, $3, $4) "
        "on conflict do nothing",
        key,
        account,
        amount_minor,
        expires_at,
    )
    return account


async def close_lot(conn: Connection, key: str) -> bool:
    """The money of a lot goes back to the house before its time; False if it had gone already.

    The caller moves the money in the same transaction.
    """
    done = await conn.execute(
        "update bonus_lot set expired_at = now() where key = $1 and expired_at is null", key
    )
    return done == "UPDATE 1"


async def reopen(conn: Connection, accounts: Iterable[int]) -> None:
    """A refund has brought bonus back: see to it that it has an end, 30 days from now or later.

    The caller has locked the accounts; those that are none of bonus are left alone.
    """
    for account in accounts:
        await conn.execute(REOPEN, account, BACK_FOR)


async def expire(conn: Connection, now: datetime, *, page: int = 100) -> list[Expired]:
    """Take back what has not been spent in time, and tell its owners.

    `page` accounts are one transaction; `conn` must not be in one. Safe to repeat and beside other
    nodes: an account that somebody else holds waits for next time, and so does bonus that a running
    call has set aside.
    """
    gone: list[Expired] = []
    after = 0
    while due := [row["account"] for row in await conn.fetch(DUE, now, after, page)]:
        async with conn.transaction():
            locked = [row["id"] for row in await conn.fetch(LOCK, due)]
            for row in await conn.fetch(LEFT, locked, now):
                gone += await _expire(conn, row, now)
        after = due[-1]
    return gone


async def _expire(conn: Connection, row: Record, now: datetime) -> list[Expired]:
    """What goes of one locked account; nothing, or one sum."""
    gone: list[Expired] = []
    spare_minor = row["posted"] - row["holding"]
    amount_minor = min(spare_minor, row["posted"] - row["held"])
    if amount_minor > 0:
        # A posting counts the account's version up, so that this one is named by it.
        key = f"bonus_expiry:{row['id']}:{row['version']}"
        await _take_back(conn, key, row["id"], row["currency"], amount_minor)
        gone.append(Expired(row["owner"], row["currency"], amount_minor))
        await notifications.add(
            conn,
            user_id=row["owner"],
            type="BONUS_EXPIRED",
            message="Bonus that you had not used in time has expired.",
            source=key,
            category="wallet_alert",
        )
    if amount_minor >= spare_minor:
        await conn.execute(
            "update bonus_lot set expired_at = now() "
            "where account = $1 and expired_at is null and expires_at <= $2",
            row["id"],
            now,
        )
    return gone


async def _take_back(
    conn: Connection, key: str, account: int, currency: str, amount_minor: int
) -> None:
    house = await ledger.system_account(conn, "breakage", "", currency)
    await ledger.post(
        conn,
        key=key,
        kind="bonus_expiry",
        moves=[ledger.Move(account, house, amount_minor, "bonus_expiry")],
    )
