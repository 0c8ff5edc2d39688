"""Payouts: earnings that a provider takes out, decided by an operator and paid at the bank.

A payout goes requested → approved → paid. It ends early as cancelled (by its owner, while
requested) or rejected (by an operator: instead of the approval, or because the bank sent it back).
The money leaves `earnings_available` with the request, so that it cannot be asked for twice, and
both early ends reverse that one operation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from storage import audit, ledger, notifications
from storage.earnings import AVAILABLE
from storage.errors import Conflict, IdempotencyMismatch, NotFound, Refusal
from storage.ledger import Move
from storage.pool import Connection, Record

KIND = "payout"
HOUSE = ("clearing", "payouts")

Status = Literal["requested", "approved", "paid", "rejected", "cancelled"]
Verb = Literal["approve", "reject", "pay", "return"]


class Payout(msgspec.Struct, frozen=True):
    id: UUID
    user_id: UUID
    amount_minor: int
    currency: str
    status: Status
    destination: str
    note: str | None
    requested_at: datetime
    decided_at: datetime | None
    decided_by: UUID | None
    reason: str | None
    paid_reference: str | None


class Step(msgspec.Struct, frozen=True):
    """What an operator may do: from which status to which, and what the provider hears of it."""

    before: Status
    after: Status
    told: str


STEPS: dict[Verb, Step] = {
    "approve": Step("requested", "approved", "Your payout was approved and is on its way."),
    "reject": Step("requested", "rejected", "Your payout was refused; the money is back."),
    "pay": Step("approved", "paid", "Your payout was paid."),
    "return": Step("approved", "rejected", "Your payout could not be paid; the money is back."),
}

_COLUMNS = """id, user_id, amount_minor, currency, status, destination, note, requested_at,
              decided_at, decided_by, reason, paid_reference"""


async def request(
    conn: Connection,
    *,
    payout_id: UUID,
    user_id: UUID,
    amount_minor: int,
    currency: str,
    destination: str,
    note: str | None,
) -> Payout:
    """Ask for earnings, once for each id, in the caller's transaction: the money moves with it.

    Raises:
        InsufficientFunds: less is available. Conflict: in_debt, an account of theirs is below 0.
        IdempotencyMismatch: the id belongs to another request.
    """
    in_debt = await conn.fetchval(
        "select exists (select from account where owner = $1 and posted < 0)", user_id
    )
    if in_debt:
        raise Conflict("What you owe comes first.", code="in_debt")
    asked = (user_id, amount_minor, currency, destination, note)
    row = await conn.fetchrow(
        f"""
        insert into payout (id, user_id, amount_minor, currency, destination, note)
        values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing returning {_COLUMNS}
        """,
        payout_id,
        *asked,
    )
    if row is None:
        known = await _find(conn, payout_id)
        if _asked(known) != asked:
            raise IdempotencyMismatch("this key was used for another payout")
        return known
    payout = _payout(row)
    accounts = await ledger.open_accounts(conn, user_id, currency, [AVAILABLE])
    house = await ledger.system_account(conn, *HOUSE, currency)
    await ledger.post(
        conn,
        key=operation_key(payout_id),
        kind=KIND,
        ref=payout_id,
        moves=[Move(accounts[AVAILABLE], house, amount_minor, KIND)],
    )
    return payout


async def read(conn: Connection, user_id: UUID, payout_id: UUID) -> Payout | None:
    row = await conn.fetchrow(
        f"select {_COLUMNS} from payout where id = $2 and user_id = $1", user_id, payout_id
    )
    return None if row is None else _payout(row)


async def list_of(
    conn: Connection, user_id: UUID, *, limit: int, offset: int
) -> tuple[list[Payout], int]:
    """The owner's payouts, newest first, and how many there are in all."""
    rows = await conn.fetch(
        f"""
        select {_COLUMNS} from payout where user_id = $1
        order by requested_at desc, id desc limit $2 offset $3
        """,
        user_id,
        limit,
        offset,
    )
    total = await conn.fetchval("select count(*) from payout where user_id = $1", user_id)
    return [_payout(row) for row in rows], total


async def list_by_status(
    conn: Connection, status: Status, *, limit: int, offset: int
) -> tuple[list[Payout], int]:
    """Everybody's payouts in one status, newest first, and how many. For operators."""
    rows = await conn.fetch(
        f"""
        select {_COLUMNS} from payout where status = $1
        order by requested_at desc, id desc limit $2 offset $3
        """,
        status,
        limit,
        offset,
    )
    total = await conn.fetchval("select count(*) from payout where status = $1", status)
    return [_payout(row) for row in rows], total


async def cancel(conn: Connection, user_id: UUID, payout_id: UUID) -> Payout:
    """The owner takes it back; the money is theirs again. In the caller's transaction.

    Raises:
        NotFound: not theirs. Conflict: wrong_state, it was decided.
    """
    payout = await _lock(conn, payout_id, "requested", owner=user_id)
    row = await conn.fetchrow(
        f"""
        update payout set status = 'cancelled', decided_at = now() where id = $1
        returning {_COLUMNS}
        """,
        payout.id,
    )
    await _give_back(conn, payout, "cancelled by its owner")
    assert row is not None
    return _payout(row)


async def decide(
    conn: Connection,
    payout_id: UUID,
    verb: Verb,
    *,
    operator: UUID,
    reason: str = "",
    reference: str | None = None,
) -> Payout:
    """An operator's step: audited, told to the provider, in the caller's transaction.

    `reference` is the bank's, for `pay`. Of several operators at once one is heard.

    Raises:
        NotFound: no such payout. Conflict: wrong_state. Refusal: self_approval, it is their own.
    """
    step = STEPS[verb]
    payout = await _lock(conn, payout_id, step.before)
    if payout.user_id == operator:
        raise Refusal("Somebody else must decide on your payout.", code="self_approval")
    row = await conn.fetchrow(
        f"""
        update payout
           set status = $2, decided_at = now(), decided_by = $3,
               reason = coalesce(nullif($4, ''), reason), paid_reference = $5
         where id = $1 returning {_COLUMNS}
        """,
        payout.id,
        step.after,
        operator,
        reason,
        reference,
    )
    assert row is not None
    if step.after == "rejected":
        await _give_back(conn, payout, reason)
    await audit.record(
        conn,
        actor=operator,
        action=f"payout.{verb}",
        target_type="payout",
        target_id=payout.id,
        reason=reason,
        details={"amount": payout.amount_minor, "reference": reference},
    )
    await notifications.add(
        conn,
        user_id=payout.user_id,
        type=f"PAYOUT_{step.after.upper()}",
        message=step.told,
        source=f"payout:{payout.id}:{step.after}",
        category="wallet_alert",
        related_type="payout",
        related_id=payout.id,
    )
    return _payout(row)


def operation_key(payout_id: UUID) -> str:
    return f"payout:{payout_id}"


async def _lock(
    conn: Connection, payout_id: UUID, wanted: Status, *, owner: UUID | None = None
) -> Payout:
    row = await conn.fetchrow(
        f"""
        select {_COLUMNS} from payout where id = $1 and ($2::uuid is null or user_id = $2)
        for no key update
        """,
        payout_id,
        owner,
    )
    if row is None:
        raise NotFound("There is no such payout.", code="payout_not_found")
    payout = _payout(row)
    if payout.status != wanted:
        raise Conflict(f"The payout is {payout.status}.", code="wrong_state", status=payout.status)
    return payout


async def _give_back(conn: Connection, payout: Payout, reason: str) -> None:
    key = operation_key(payout.id)
    operation = await conn.fetchval("select id from operation where key = $1", key)
    await ledger.reverse(conn, f"{key}:back", operation, reason)


async def _find(conn: Connection, payout_id: UUID) -> Payout:
    row = await conn.fetchrow(f"select {_COLUMNS} from payout where id = $1", payout_id)
    assert row is not None, "payouts are never deleted"
    return _payout(row)


def _asked(payout: Payout) -> tuple[UUID, int, str, str, str | None]:
    return (
        payout.user_id,
        payout.amount_minor,
        payout.currency,
        payout.destination,
        payout.note,
    )


def _payout(row: Record) -> Payout:
    return Payout(**dict(row.items()))
