"""Bonus: money of the house in an account of its own, with a date until which it may be spent.

One account for each user; its lots say how much came when and until when it holds. What is spent
is taken from the lot that expires first, so of the account never more is left than the lots that
still hold have brought; `expire` takes the rest back.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from storage import ledger
from storage.pool import Connection

KIND = "bonus"


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
