"""Payments and the events of gateways about them: the rows. `storage/settlement.py` moves money.

A payment goes pending → processing (a checkout exists) → completed, failed or cancelled, and from
completed to refunded. Completed is for good otherwise; a failed or cancelled attempt may still be
paid, because gateways let people try another card, and money that has arrived must be credited.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from storage.pool import Connection, Record

Status = Literal["pending", "processing", "completed", "failed", "cancelled", "refunded"]


class Payment(msgspec.Struct, frozen=True):
    """`wallet` is the kind of account it fills; None while it is meant for `target_id`."""

    id: UUID
    user_id: UUID
    purpose: str
    target_id: UUID | None
    plan_id: UUID | None
    wallet: str | None
    gateway: str
    amount_minor: int
    currency: str
    status: Status
    reference: str
    gateway_ref: str | None
    checkout_url: str | None
    description: str | None
    created_at: datetime
    completed_at: datetime | None


_COLUMNS = """id, user_id, purpose, target_id, wallet, gateway, amount_minor, currency, status,
              reference, gateway_ref, checkout_url, description, created_at, completed_at,
              (select plan_id from plan_purchase where payment_id = payment.id) as plan_id"""


async def create(
    conn: Connection,
    *,
    payment_id: UUID,
    user_id: UUID,
    purpose: str,
    gateway: str,
    amount_minor: int,
    currency: str,
    reference: str,
    description: str | None,
    target_id: UUID | None = None,
    wallet: str | None = "call_credits",
) -> Payment:
    """A pending payment. It exists before the gateway hears of it: no event can come too soon.

    A top-up has a `wallet`, everything else a `target_id`.
    """
    row = await conn.fetchrow(
        f"""
        insert into payment (id, user_id, purpose, target_id, wallet, gateway, amount_minor,
                             currency, reference, description)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning {_COLUMNS}
        """,
        payment_id,
        user_id,
        purpose,
        target_id,
        wallet,
        gateway,
        amount_minor,
        currency,
        reference,
        description,
    )
    assert row is not None
    return _payment(row)


async def opened(
    conn: Connection, payment_id: UUID, *, gateway_ref: str, checkout_url: str | None
) -> Payment:
    """The gateway has a checkout for it. A payment that was settled meanwhile stays settled."""
    row = await conn.fetchrow(
        f"""
        update payment set gateway_ref = $2, checkout_url = $3,
               status = case status when 'pending' then 'processing' else status end,
               ask_at = case status when 'pending' then now() + interval '2 minutes' end
        where id = $1 returning {_COLUMNS}
        """,
        payment_id,
        gateway_ref,
        checkout_url,
    )
    assert row is not None
    return _payment(row)


async def give_up(conn: Connection, payment_id: UUID) -> None:
    """The gateway did not take it: nobody can pay it."""
    await conn.execute(
        "update payment set status = 'failed' where id = $1 and status = 'pending'", payment_id
    )


async def read(conn: Connection, user_id: UUID, payment_id: UUID) -> Payment | None:
    row = await conn.fetchrow(
        f"select {_COLUMNS} from payment where id = $2 and user_id = $1", user_id, payment_id
    )
    return None if row is None else _payment(row)


async def read_any(conn: Connection, payment_id: UUID) -> Payment | None:
    """A payment, whoever owns it. Not for users' requests."""
    row = await conn.fetchrow(f"select {_COLUMNS} from payment where id = $1", payment_id)
    return None if row is None else _payment(row)


async def read_by_reference(conn: Connection, user_id: UUID, reference: str) -> Payment | None:
    row = await conn.fetchrow(
        f"select {_COLUMNS} from payment where reference = $2 and user_id = $1", user_id, reference
    )
    return None if row is None else _payment(row)


async def find(conn: Connection, gateway: str, reference: str) -> Payment | None:
    """The payment a gateway calls by its reference, whoever owns it. Not for users' requests."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from payment where reference = $2 and gateway = $1", gateway, reference
    )
    return None if row is None else _payment(row)


async def lock(conn: Connection, payment_id: UUID) -> Payment | None:
    """The payment as it stays until the transaction ends, whoever owns it."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from payment where id = $1 for no key update", payment_id
    )
    return None if row is None else _payment(row)


async def lock_own(conn: Connection, user_id: UUID, payment_id: UUID) -> Payment | None:
    """The owner's payment as it stays until the transaction ends."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from payment where id = $2 and user_id = $1 for no key update",
        user_id,
        payment_id,
    )
    return None if row is None else _payment(row)


async def lock_reference(conn: Connection, gateway: str, reference: str) -> Payment | None:
    """What a gateway calls by its reference, as it stays until the transaction ends."""
    row = await conn.fetchrow(
        f"""
        select {_COLUMNS} from payment where reference = $2 and gateway = $1
        for no key update
        """,
        gateway,
        reference,
    )
    return None if row is None else _payment(row)


async def move(
    conn: Connection, payment: Payment, status: Status, *, wallet: str | None
) -> Payment:
    """Write down what became of a payment, which the caller has locked."""
    row = await conn.fetchrow(
        f"""
        update payment set status = $2, wallet = $3, ask_at = null,
               completed_at = case when $2 = 'completed' then now() else completed_at end
        where id = $1 returning {_COLUMNS}
        """,
        payment.id,
        status,
        wallet,
    )
    assert row is not None
    return _payment(row)


async def take_due(conn: Connection, *, limit: int) -> list[Payment]:
    """Payments whose gateway should have told something by now, for one of several askers.

    Each is due again when its age has doubled, until it is a week old.
    """
    rows = await conn.fetch(
        f"""
        update payment
           set ask_at = case when now() - created_at < interval '7 days'
                             then now() + greatest(now() - created_at, interval '1 minute') end
         where id in (select id from payment where ask_at <= now() order by ask_at limit $1
                         for no key update skip locked)
        returning {_COLUMNS}
        """,
        limit,
    )
    return [_payment(row) for row in rows]


async def list_of(
    conn: Connection, user_id: UUID, *, limit: int, offset: int
) -> tuple[list[Payment], int]:
    """The owner's payments, newest first, and how many there are in all."""
    rows = await conn.fetch(
        f"""
        select {_COLUMNS} from payment where user_id = $1
        order by created_at desc, id desc limit $2 offset $3
        """,
        user_id,
        limit,
        offset,
    )
    total = await conn.fetchval("select count(*) from payment where user_id = $1", user_id)
    return [_payment(row) for row in rows], total


async def record_event(conn: Connection, *, gateway: str, event_id: str, kind: str) -> bool:
    """Write down a gateway's event; False when it was seen before.

    A second delivery waits here until the transaction of the first has ended.
    """
    done = await conn.execute(
        """
        insert into psp_event (gateway, event_id, kind, outcome) values ($1, $2, $3, 'received')
        on conflict do nothing
        """,
        gateway,
        event_id,
        kind,
    )
    return done == "INSERT 0 1"


async def close_event(
    conn: Connection, *, gateway: str, event_id: str, payment_id: UUID | None, outcome: str
) -> None:
    """What came of the event, in the transaction that recorded it."""
    await conn.execute(
        """
        update psp_event set payment_id = $3, outcome = $4 where gateway = $1 and event_id = $2
        """,
        gateway,
        event_id,
        payment_id,
        outcome,
    )


def _payment(row: Record) -> Payment:
    return Payment(**dict(row.items()))
