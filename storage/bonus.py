"""Bonus: money of the house in an account of its own, with a date until which it may be spent.

One account for each user; its lots say how much came when and until when it holds. What is spent
is taken from the lot that expires first, so of the account never more is left than the lots that
still hold have brought; `expire` takes the rest back.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from storage import ledger, notifications
from storage.pool import Connection

KIND = "bonus"
# What the moves of a lot's money are called in the ledger.
CODE = "bonus"

# Of the accounts with a lot whose time has come: how much must go, which is what is left beyond the
# lots that still hold. What a running call has set aside stays for it.
DUE = """
select a.id, a.owner, a.currency, a.posted, a.held, a.version,
       coalesce((select sum(l.amount) from bonus_lot l
                  where l.account = a.id and l.expired_at is null and l.expires_at > $1), 0)::bigint
           as holding
  from account a
 where a.id in (select account from bonus_lot
                 where expired_at is null and expires_at <= $1 order by expires_at limit $2)
 order by a.id
   for no key update of a skip locked
"""


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


async def expire(conn: Connection, now: datetime, *, accounts_max: int = 100) -> list[Expired]:
    """Take back what has not been spent in time, of at most `accounts_max` accounts, and tell them.

    Safe to repeat and beside other nodes: an account that somebody else holds waits for next time,
    and so does bonus that a running call has set aside.
    """
    gone: list[Expired] = []
    async with conn.transaction():
        for row in await conn.fetch(DUE, now, accounts_max):
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
