"""What an owner may read of their accounts: balances, and one line per operation.

Reading only: accounts and transfers are written by the ledger. Every query carries the owner, so
nobody's id opens anybody else's account.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

import msgspec

from storage.pool import Connection

SPENDING_KIND = "call_credits"
# Promised by whoever moves money of the spending wallet beside calls and payments; the body is
# {currency, reason, balance} for the event `wallet_updated`.
CHANGED_TOPIC = "wallet_changed"

# Any fixed UUID will do; it keeps wallet ids apart from other name-based ids.
_WALLETS = UUID("5b0c1ba2-6f0e-5d9f-9b59-8a3a1f3c7e11")


class Balance(msgspec.Struct, frozen=True):
    """`available_minor` may be spent now; `posted_minor` also counts what running calls hold."""

    posted_minor: int
    held_minor: int
    available_minor: int
    at: datetime


class Wallet(msgspec.Struct, frozen=True):
    """One account of an owner. `account` is internal; `id` is the public name of it."""

    id: UUID
    account: int
    kind: str
    currency: str
    posted_minor: int
    held_minor: int
    available_minor: int
    created_at: datetime


class Entry(msgspec.Struct, frozen=True):
    """What one operation did to one account: `amount_minor` is positive for money in."""

    id: int
    kind: str
    ref: UUID | None
    amount_minor: int
    at: datetime


def wallet_id(owner: UUID, kind: str, currency: str) -> UUID:
    """The public id of an account: the same for ever, and telling nothing of other accounts."""
    return uuid5(_WALLETS, f"{owner}:{kind}:{currency}")


async def read_balance(conn: Connection, user_id: UUID, currency: str) -> Balance | None:
    """The spending wallet as it is at this moment, in one index look-up."""
    row = await conn.fetchrow(
        """
        select posted, held, posted - held - floor as available, now() as at
        from account
        where kind = 'call_credits' and owner = $1 and label = '' and currency = $2
        """,
        user_id,
        currency,
    )
    if row is None:
        return None
    return Balance(row["posted"], row["held"], row["available"], row["at"])


async def spending_account(conn: Connection, user_id: UUID, currency: str) -> int | None:
    """The account that calls are paid from and top-ups go to."""
    found: int | None = await conn.fetchval(
        """
        select id from account
        where kind = 'call_credits' and owner = $1 and label = '' and currency = $2
        """,
        user_id,
        currency,
    )
    return found


async def list_wallets(conn: Connection, user_id: UUID) -> list[Wallet]:
    """All accounts of an owner, in the order they were made; they are made at sign-up."""
    rows = await conn.fetch(
        """
        select a.id, a.kind, a.currency, a.posted, a.held, a.posted - a.held - a.floor as available,
               u.created_at
        from account a join users u on u.id = a.owner
        where a.owner = $1
        order by a.id
        """,
        user_id,
    )
    return [
        Wallet(
            id=wallet_id(user_id, row["kind"], row["currency"]),
            account=row["id"],
            kind=row["kind"],
            currency=row["currency"],
            posted_minor=row["posted"],
            held_minor=row["held"],
            available_minor=row["available"],
            created_at=row["created_at"],
        )
        for row in rows
    ]


async def read_wallet(conn: Connection, user_id: UUID, public_id: UUID) -> Wallet | None:
    """The owner's wallet with that public id; None for anybody else's."""
    for wallet in await list_wallets(conn, user_id):
        if wallet.id == public_id:
            return wallet
    return None


async def list_entries(
    conn: Connection, user_id: UUID, account: int, *, limit: int, offset: int
) -> tuple[list[Entry], int]:
    """The newest operations on an account, one line each, and how many there are in all.

    The transfers of one operation are one line: of a call's unit the payer sees the price, not
    how provider and platform share it.
    """
    rows = await conn.fetch(
        """
        with mine as (select id from account where id = $2 and owner = $1),
        moved as (
            select t.operation, -t.amount as amount, t.at
            from transfer t join mine on t.from_account = mine.id
            union all
            select t.operation, t.amount, t.at
            from transfer t join mine on t.to_account = mine.id
            where t.code <> 'platform_fee'
        ),
        line as (
            select operation, sum(amount)::bigint as amount, max(at) as at
            from moved group by operation
        ),
        page as (select * from line order by operation desc limit $3 offset $4)
        select (select count(*) from line) as total, p.operation, o.kind, o.ref, p.amount, p.at
        from (select 1) one left join page p on true left join operation o on o.id = p.operation
        order by p.operation desc
        """,
        user_id,
        account,
        limit,
        offset,
    )
    entries = [
        Entry(row["operation"], row["kind"], row["ref"], row["amount"], row["at"])
        for row in rows
        if row["operation"] is not None
    ]
    return entries, rows[0]["total"]
