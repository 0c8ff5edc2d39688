"""Payments: money that comes in through a gateway, credited exactly once.

A payment goes pending → processing (a checkout exists) → completed, failed or cancelled. Completed
is for good; a failed or cancelled attempt may still be paid, because gateways let people try
another card, and money that has arrived must be credited.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Literal
from uuid import UUID

import msgspec

from storage import ledger, outbox, wallet
from storage.ledger import Move
from storage.pool import Connection, Record

COMPLETED_TOPIC = "payment_completed"

Found = Literal["paid", "failed", "cancelled"]
Outcome = Literal["completed", "failed", "cancelled", "unchanged", "mismatch", "unknown"]


class Payment(msgspec.Struct, frozen=True):
    id: UUID
    user_id: UUID
    purpose: str
    gateway: str
    amount_minor: int
    currency: str
    status: str
    reference: str
    gateway_ref: str | None
    checkout_url: str | None
    description: str | None
    created_at: datetime
    completed_at: datetime | None


class Finding(msgspec.Struct, frozen=True):
    """What a gateway says about a payment; the amount counts only for `paid`."""

    found: Found
    amount_minor: int
    currency: str


_COLUMNS = """id, user_id, purpose, gateway, amount_minor, currency, status, reference, gateway_ref,
              checkout_url, description, created_at, completed_at"""


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
) -> Payment:
    """A pending payment. It exists before the gateway hears of it: no event can come too soon."""
    row = await conn.fetchrow(
        f"""
        insert into payment (id, user_id, purpose, gateway, amount_minor, currency, reference,
                             description)
        values ($1, $2, $3, $4, $5, $6, $7, $8) returning {_COLUMNS}
        """,
        payment_id,
        user_id,
        purpose,
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
               status = case status when 'pending' then 'processing' else status end
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


async def settle(
    conn: Connection, *, gateway: str, reference: str, finding: Finding
) -> tuple[Payment | None, Outcome]:
    """Apply what the gateway found, once; the caller's transaction holds all of it together.

    Paid: the wallet is credited under the payment's operation key and the outbox tells the owner
    (`balance` is what the wallet holds, `available` what may be spent of it).
    `unchanged`: it was settled before, or a failure came after the money. `mismatch`: another
    amount or currency than was asked for; nothing is credited. `unknown`: no such payment.
    """
    row = await conn.fetchrow(
        f"""
        select {_COLUMNS} from payment where reference = $2 and gateway = $1
        for no key update
        """,
        gateway,
        reference,
    )
    if row is None:
        return None, "unknown"
    payment = _payment(row)
    if payment.status in ("completed", "refunded"):
        return payment, "unchanged"
    if finding.found != "paid":
        if payment.status == finding.found:
            return payment, "unchanged"
        return await _move(conn, payment.id, finding.found), finding.found
    asked = (payment.amount_minor, payment.currency)
    if (finding.amount_minor, finding.currency) != asked:
        return payment, "mismatch"
    return await _complete(conn, payment), "completed"


async def _complete(conn: Connection, payment: Payment) -> Payment:
    body: dict[str, object] = {
        "paymentId": str(payment.id),
        "purpose": payment.purpose,
        "amount": payment.amount_minor,
        "currency": payment.currency,
    }
    if payment.purpose == "topup":
        await _credit(conn, payment)
        balance = await wallet.read_balance(conn, payment.user_id, payment.currency)
        assert balance is not None
        body["balance"] = balance.posted_minor
        body["available"] = balance.available_minor
    completed = await _move(conn, payment.id, "completed")
    await outbox.add(conn, topic=COMPLETED_TOPIC, user_id=payment.user_id, body=body)
    return completed


async def _credit(conn: Connection, payment: Payment) -> None:
    account = await wallet.spending_account(conn, payment.user_id, payment.currency)
    assert account is not None, "accounts are made at sign-up"
    clearing = await ledger.system_account(conn, "clearing", payment.gateway, payment.currency)
    asked = f"topup:{payment.id}:{account}:{payment.amount_minor}:{payment.currency}"
    await ledger.post(
        conn,
        key=f"payment:{payment.id}",
        kind="topup",
        ref=payment.id,
        request_hash=sha256(asked.encode()).digest(),
        moves=[Move(clearing, account, payment.amount_minor, "topup")],
    )


async def _move(conn: Connection, payment_id: UUID, status: str) -> Payment:
    """The row is locked, so its status is the one that was judged."""
    row = await conn.fetchrow(
        f"""
        update payment set status = $2,
               completed_at = case when $2 = 'completed' then now() end
        where id = $1 returning {_COLUMNS}
        """,
        payment_id,
        status,
    )
    assert row is not None
    return _payment(row)


def _payment(row: Record) -> Payment:
    return Payment(**dict(row.items()))
