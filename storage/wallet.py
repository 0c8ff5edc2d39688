"""What an owner may read of their accounts: balances, and one line per operation.

Reading only: accounts and transfers are written by the ledger. Every query carries the owner, so
nobody's id opens anybody else's account.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

import msgspec

from storage import outbox
from storage.pool import Connection

SPENDING_KIND = "call_credits"
# What calls are paid from.
SPENDING_KINDS = (SPENDING_KIND, "bonus")
# Promised by whoever moves money of the spending wallet beside calls and payments; the body is
# {currency, reason, balance} for the event `wallet_updated`, and `bonusAccount` for a live call.
CHANGED_TOPIC = "wallet_changed"

# Two index look-ups for those without a bonus.
_BALANCE = """
       a.posted + coalesce(b.posted, 0), a.held + coalesce(b.held, 0),
       a.posted - a.held - a.floor + coalesce(b.posted - b.held, 0), now(), coalesce(b.posted, 0),
       case when b.posted > 0 then
           (select min(l.expires_at) from bonus_lot l
             where l.account = b.id and l.expired_at is null) end, b.id
"""
_BONUS = """
  left join account b on b.kind = 'bonus' and b.owner = a.owner and b.label = ''
                     and b.currency = a.currency
"""
BALANCE = f"""
select {_BALANCE}
  from account a {_BONUS}
 where a.kind = 'call_credits' and a.owner = $1 and a.label = '' and a.currency = $2
"""
# The limit leaves none out, but makes the planner expect few owners and look each of them up.
BALANCES = f"""
select q.n, {_BALANCE}
  from (select unnest($1::int[]) as n, unnest($2::uuid[]) as owner limit $4) q
  join account a on a.kind = 'call_credits' and a.owner = q.owner and a.label = ''
                and a.currency = $3
       {_BONUS}
"""

# Any fixed UUID will do; it keeps wallet ids apart from other name-based ids.
_WALLETS = UUID("5b0c1ba2-6f0e-5d9f-9b59-8a3a1f3c7e11")


class Balance(msgspec.Struct, frozen=True):
    """`available_minor` may be spent now; `posted_minor` also counts what running calls hold.

    All of them include the bonus, of which `bonus_minor` is left; some of it, if it is not spent
    before, expires at `bonus_expires_at`. `bonus_account` is internal.
    """

    posted_minor: int
    held_minor: int
    available_minor: int
    at: datetime
    bonus_minor: int = 0
    bonus_expires_at: datetime | None = None
    bonus_account: int | None = None


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


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: `since` counts, `until` does not. None is no condition."""

    kind: str | None = None
    direction: Literal["credit", "debit"] | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = Wanted()


def wallet_id(owner: UUID, kind: str, currency: str) -> UUID:
    """The public id of an account: the same for ever, and telling nothing of other accounts."""
    return uuid5(_WALLETS, f"{owner}:{kind}:{currency}")


async def read_balance(conn: Connection, user_id: UUID, currency: str) -> Balance | None:
    """The spending wallet as it is at this moment, with the bonus."""
    row = await conn.fetchrow(BALANCE, user_id, currency)
    return None if row is None else Balance(*row)


async def read_balances(
    conn: Connection, owners: Sequence[UUID], currency: str
) -> list[Balance | None]:
    """As `read_balance`, of each owner."""
    if len(owners) == 1:  # A query for many costs a fourth more.
        return [await read_balance(conn, owners[0], currency)]
    found: list[Balance | None] = [None] * len(owners)
    for n, *row in await conn.fetch(BALANCES, range(len(owners)), owners, currency, len(owners)):
        found[n] = Balance(*row)
    return found


async def account_of(conn: Connection, user_id: UUID, kind: str, currency: str) -> int | None:
    """The owner's account of that kind."""
    found: int | None = await conn.fetchval(
        """
        select id from account
        where kind = $3 and owner = $1 and label = '' and currency = $2
        """,
        user_id,
        currency,
        kind,
    )
    return found


async def spending_account(conn: Connection, user_id: UUID, currency: str) -> int | None:
    """The account that calls are paid from and top-ups go to."""
    return await account_of(conn, user_id, SPENDING_KIND, currency)


async def tell(conn: Connection, user_id: UUID, currency: str, *, reason: str) -> None:
    """Promise the owner's devices the new balance of the spending wallet, after this commits.

    `reason` is that of the event `wallet_updated`. Call it after the movement and other locks.
    """
    balance = await read_balance(conn, user_id, currency)
    assert balance is not None, "accounts are made at sign-up"
    body: dict[str, object] = {
        "currency": currency,
        "reason": reason,
        "balance": balance.posted_minor,
    }
    if balance.bonus_account is not None:
        body["bonusAccount"] = balance.bonus_account
    await outbox.add(conn, topic=CHANGED_TOPIC, user_id=user_id, body=body)


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
    conn: Connection,
    user_id: UUID,
    accounts: Collection[int],
    *,
    limit: int,
    offset: int,
    wanted: Wanted = ALL,
) -> tuple[list[Entry], int]:
    """The newest operations on an owner's accounts, one line each, and how many there are in all.

    The transfers of one operation are one line: of a call's unit the payer sees the price, not
    how provider and platform share it.
    """
    rows = await conn.fetch(
        """
        with mine as (
            select id from account where id = any ($2::bigint[]) and owner = $1
        ),
        moved as (
            select t.operation, -t.amount as amount, t.at
            from transfer t join mine on t.from_account = mine.id
            where t.at >= coalesce($7::timestamptz, '-infinity')
              and t.at < coalesce($8::timestamptz, 'infinity')
            union all
            select t.operation, t.amount, t.at
            from transfer t join mine on t.to_account = mine.id
            where t.code <> 'platform_fee' and t.at >= coalesce($7::timestamptz, '-infinity')
              and t.at < coalesce($8::timestamptz, 'infinity')
        ),
        line as (
            select operation, sum(amount)::bigint as amount, max(at) as at
            from moved group by operation
            having ($6::text is null or (sum(amount) > 0) = ($6 = 'credit'))
               and ($5::text is null
                    or exists (select from operation o where o.id = operation and o.kind = $5))
        ),
        page as (select * from line order by operation desc limit $3 offset $4)
        select (select count(*) from line) as total, p.operation, o.kind, o.ref, p.amount, p.at
        from (select 1) one left join page p on true left join operation o on o.id = p.operation
        order by p.operation desc
        """,
        user_id,
        list(accounts),
        limit,
        offset,
        wanted.kind,
        wanted.direction,
        wanted.since,
        wanted.until,
    )
    entries = [
        Entry(row["operation"], row["kind"], row["ref"], row["amount"], row["at"])
        for row in rows
        if row["operation"] is not None
    ]
    return entries, rows[0]["total"]
