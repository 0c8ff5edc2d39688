"""Corrections of wallets by hand: small ones at once, larger ones when a second operator agrees.

An approved adjustment has posted one operation, in the transaction that approved it: money of the
house comes, or goes back there. What an operator adjusts alone within a day counts together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from storage import audit, ledger, notifications, users
from storage import wallet as wallets
from storage.errors import Conflict, IdempotencyMismatch, NotFound, Refusal
from storage.ledger import Move
from storage.pool import Connection

KIND = "adjustment"
ALONE_WITHIN = "24 hours"
AMOUNT_MAX = 1_000_000_000

Wallet = Literal["call_credits", "primary", "earnings_available"]
Status = Literal["pending", "approved", "rejected"]

# The account of the house on the other side: a gift is the promotion's, what somebody should have
# earned is a loss.
HOUSE: dict[Wallet, str] = {
    "call_credits": "promo",
    "primary": "promo",
    "earnings_available": "loss",
}


class Adjustment(msgspec.Struct, frozen=True):
    """`amount_minor` is below 0 for what is taken. `decided_by` is None while it waits, and for
    what was approved with the request itself; `decision` is why it was decided so."""

    id: UUID
    user_id: UUID
    user_name: str
    wallet: Wallet
    amount_minor: int
    currency: str
    reason: str
    status: Status
    requested_by: UUID
    requested_by_name: str
    requested_at: datetime
    decided_by: UUID | None
    decided_by_name: str | None
    decided_at: datetime | None
    decision: str | None


READ = """
select a.id, a.user_id, u.name as user_name, a.wallet, a.amount_minor, a.currency, a.reason,
       a.status, a.requested_by, q.name as requested_by_name, a.requested_at, a.decided_by,
       d.name as decided_by_name, a.decided_at, a.decision
  from adjustment a
  join users u on u.id = a.user_id
  join users q on q.id = a.requested_by
  left join users d on d.id = a.decided_by
"""
ADD = """
insert into adjustment (id, user_id, wallet, amount_minor, currency, reason, requested_by, status,
                        decided_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, case when $8 = 'approved' then clock_timestamp() end)
"""
ALONE = f"""
select coalesce(sum(abs(amount_minor)), 0)::bigint from adjustment
 where requested_by = $1 and status = 'approved' and decided_by is null
   and requested_at > clock_timestamp() - interval '{ALONE_WITHIN}'
"""


async def request(
    conn: Connection,
    *,
    adjustment_id: UUID,
    user_id: UUID,
    wallet: Wallet,
    amount_minor: int,
    currency: str,
    reason: str,
    operator: UUID,
    alone_max_minor: int,
) -> Adjustment:
    """Adjust a wallet, or ask for it, once for each id. In the caller's transaction.

    It is posted at once if all that the operator adjusts alone within 24 hours, credits and debits
    alike, comes to `alone_max_minor` at most; otherwise it is pending.

    Raises:
        NotFound: user_not_found. Refusal: self_approval, it is the operator's own wallet.
        InsufficientFunds: it was to be posted, and the wallet has less; nothing is written.
        IdempotencyMismatch: the id belongs to another adjustment.
    """
    if user_id == operator:
        raise Refusal("Somebody else must adjust your wallet.", code="self_approval")
    # One request of an operator at a time, or each of several would find the others not there yet.
    await users.lock(conn, operator)
    asked = (user_id, wallet, amount_minor, currency, reason, operator)
    known = await read(conn, adjustment_id)
    if known is not None:
        if _asked(known) != asked:
            raise IdempotencyMismatch("this key was used for another adjustment")
        return known
    await _check_there(conn, user_id)
    alone_minor: int = await conn.fetchval(ALONE, operator)
    at_once = alone_minor + abs(amount_minor) <= alone_max_minor
    status: Status = "approved" if at_once else "pending"
    await conn.execute(ADD, adjustment_id, *asked, status)
    made = await _find(conn, adjustment_id)
    await _note(conn, made, operator, "post" if at_once else "request", reason)
    if at_once:
        await _post(conn, made)
    return made


async def approve(
    conn: Connection, adjustment_id: UUID, *, operator: UUID, reason: str
) -> Adjustment:
    """Post what another operator asked for. In the caller's transaction; of several one is heard.

    Raises:
        NotFound: adjustment_not_found; user_not_found, the account was deleted meanwhile.
        Conflict: wrong_state. Refusal: self_approval, the operator asked for it or has the wallet.
        InsufficientFunds: the wallet has less; with the transaction undone it is pending still.
    """
    adjustment = await _lock(conn, adjustment_id)
    if operator in (adjustment.requested_by, adjustment.user_id):
        raise Refusal("Somebody else must approve it.", code="self_approval")
    await _check_there(conn, adjustment.user_id)
    decided = await _decide(conn, adjustment, "approved", operator, reason)
    await _note(conn, decided, operator, "approve", reason)
    await _post(conn, decided)
    return decided


async def reject(
    conn: Connection, adjustment_id: UUID, *, operator: UUID, reason: str
) -> Adjustment:
    """Turn it down; who asked for it may do so too. In the caller's transaction.

    Raises:
        NotFound: adjustment_not_found. Conflict: wrong_state. Refusal: self_approval, it is about
            the operator's own wallet.
    """
    adjustment = await _lock(conn, adjustment_id)
    if operator == adjustment.user_id:
        raise Refusal("Somebody else must decide on your wallet.", code="self_approval")
    decided = await _decide(conn, adjustment, "rejected", operator, reason)
    await _note(conn, decided, operator, "reject", reason)
    return decided


async def read(conn: Connection, adjustment_id: UUID) -> Adjustment | None:
    row = await conn.fetchrow(f"{READ} where a.id = $1", adjustment_id)
    return None if row is None else Adjustment(**dict(row))


async def list_of(
    conn: Connection, status: Status | None, *, limit: int, offset: int
) -> tuple[list[Adjustment], int]:
    """Adjustments in one status, or all, the newest first, and how many there are."""
    where, given = ("", []) if status is None else (" where a.status = $3", [status])
    rows = await conn.fetch(
        f"{READ}{where} order by a.requested_at desc, a.id desc limit $1 offset $2",
        limit,
        offset,
        *given,
    )
    total = await conn.fetchval(
        "select count(*) from adjustment" + where.replace("a.", "").replace("$3", "$1"), *given
    )
    return [Adjustment(**dict(row)) for row in rows], total


def operation_key(adjustment_id: UUID) -> str:
    return f"adjustment:{adjustment_id}"


async def _post(conn: Connection, adjustment: Adjustment) -> None:
    user_id, currency = adjustment.user_id, adjustment.currency
    accounts = await ledger.open_accounts(conn, user_id, currency, [adjustment.wallet])
    own = accounts[adjustment.wallet]
    house = await ledger.system_account(conn, HOUSE[adjustment.wallet], "", currency)
    gives = adjustment.amount_minor > 0
    source, target = (house, own) if gives else (own, house)
    await ledger.post(
        conn,
        key=operation_key(adjustment.id),
        kind=KIND,
        ref=adjustment.id,
        moves=[Move(source, target, abs(adjustment.amount_minor), KIND)],
    )
    if adjustment.wallet == wallets.SPENDING_KIND:
        await wallets.tell(conn, user_id, currency, reason=KIND)
    await notifications.add(
        conn,
        user_id=user_id,
        type="WALLET_ADJUSTED",
        message="Your wallet was credited." if gives else "Your wallet was debited.",
        source=operation_key(adjustment.id),
        category="wallet_alert",
        related_type="adjustment",
        related_id=adjustment.id,
    )


async def _lock(conn: Connection, adjustment_id: UUID) -> Adjustment:
    """The adjustment as it stays until the transaction ends, if nobody has decided on it."""
    # Alone: the statement that waits would read the names, and the row, as they were before.
    await conn.execute("select from adjustment where id = $1 for no key update", adjustment_id)
    adjustment = await _find(conn, adjustment_id)
    if adjustment.status != "pending":
        raise Conflict(
            f"The adjustment is {adjustment.status}.", code="wrong_state", status=adjustment.status
        )
    return adjustment


async def _decide(
    conn: Connection, adjustment: Adjustment, status: Status, operator: UUID, reason: str
) -> Adjustment:
    await conn.execute(
        """
        update adjustment set status = $2, decided_by = $3, decided_at = clock_timestamp(),
                              decision = $4
         where id = $1
        """,
        adjustment.id,
        status,
        operator,
        reason,
    )
    return await _find(conn, adjustment.id)


async def _find(conn: Connection, adjustment_id: UUID) -> Adjustment:
    found = await read(conn, adjustment_id)
    if found is None:
        raise NotFound("There is no such adjustment.", code="adjustment_not_found")
    return found


async def _check_there(conn: Connection, user_id: UUID) -> None:
    """The account is there, and is not deleted before the transaction ends."""
    status = await conn.fetchval("select status from users where id = $1 for key share", user_id)
    if status in (None, "deleted"):
        raise NotFound("There is no such account.", code="user_not_found")


async def _note(
    conn: Connection, adjustment: Adjustment, operator: UUID, verb: str, reason: str
) -> None:
    await audit.record(
        conn,
        actor=operator,
        action=f"adjustment.{verb}",
        target_type="adjustment",
        target_id=adjustment.id,
        reason=reason,
        details={
            "userId": str(adjustment.user_id),
            "wallet": adjustment.wallet,
            "amount": adjustment.amount_minor,
            "currency": adjustment.currency,
        },
    )


def _asked(adjustment: Adjustment) -> tuple[UUID, str, int, str, str, UUID]:
    return (
        adjustment.user_id,
        adjustment.wallet,
        adjustment.amount_minor,
        adjustment.currency,
        adjustment.reason,
        adjustment.requested_by,
    )
