"""Giving an ended call back: every posting reversed exactly, once, in one transaction.

The provider's part and the platform's fee return to the caller. Earnings that were released
meanwhile go back to pending first, because a mirror image comes from the account it went to. Bonus
that comes back has an end again.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec

from storage import audit, bonus, earnings, ledger, notifications, wallet
from storage.calls import UNITS_MAX
from storage.errors import Conflict, NotFound, Refusal
from storage.ledger import Move
from storage.pool import Connection, Record

# Locked, so that of several refunds of a call the first is over when the next one looks; the meter
# is read after that, for a statement that waits for a lock sees other rows as they were before.
CALL = "select caller_id, state = 'ended' as ended from call where id = $1 for no key update"
METER = "select payee, charged, coalesce(earned, 0) as earned from meter where call_id = $1"

# A call's postings are the range of keys call:<id>:…; ';' is what comes after ':'.
POSTINGS = """
with posted as materialized (
    select id, key, at from operation
     where key >= $1 and key < $2 and kind = 'call_charge' order by key limit $3
)
select p.id, p.key, a.currency, sum(t.amount)::bigint as amount,
       array_agg(t.from_account) || array_agg(t.to_account) as accounts
  from posted p
  join transfer t on t.operation = p.id and t.at = p.at
  join account a on a.id = t.from_account
 group by p.id, p.key, a.currency order by p.id
"""


class Refunded(msgspec.Struct, frozen=True):
    """`borne_minor` of it is the house's loss; `recalled_minor` had been released already."""

    call_id: UUID
    amount_minor: int
    recalled_minor: int
    borne_minor: int
    currency: str


async def refund_call(
    conn: Connection,
    call_id: UUID,
    *,
    operator: UUID,
    reason: str,
    house_bears: bool = False,
    delay_s: int = 0,
) -> Refunded:
    """Give the caller everything back that the call cost, and tell them; audited.

    Runs in the caller's transaction, and is part of it whole or not at all. `delay_s` is for how
    long earnings are pending.

    Raises:
        NotFound: call_not_found. Refusal: self_approval, the operator made the call. Conflict:
            call_not_ended, nothing_to_refund, already_refunded; earnings_paid_out with `missing`,
            unless `house_bears` it.
    """
    call = await conn.fetchrow(CALL, call_id)
    if call is None:
        raise NotFound("There is no such call.", code="call_not_found")
    if call["caller_id"] == operator:
        raise Refusal("Somebody else must decide on your call.", code="self_approval")
    if not call["ended"]:
        raise Conflict("The call has not ended.", code="call_not_ended")
    postings = await conn.fetch(POSTINGS, f"call:{call_id}:", f"call:{call_id};", UNITS_MAX)
    if not postings:
        raise Conflict("The call cost nothing.", code="nothing_to_refund")
    if await conn.fetchval("select exists (select from call_refund where call_id = $1)", call_id):
        raise Conflict("The call was refunded before.", code="already_refunded")
    meter = await conn.fetchrow(METER, call_id)
    assert meter is not None, "what is posted was metered"
    currency = postings[0]["currency"]
    amount_minor = sum(row["amount"] for row in postings)
    assert amount_minor == meter["charged"], "all of it or nothing"
    accounts = {account for row in postings for account in row["accounts"]}
    own = [row["id"] for row in postings]
    recalled_minor, borne_minor = await _fill_pending(
        conn,
        call_id,
        meter,
        own,
        accounts,
        currency,
        house_bears=house_bears,
        delay_s=delay_s,
    )
    await ledger.reverse_all(conn, {row["id"]: f"refund:{row['key']}" for row in postings}, reason)
    await bonus.reopen(conn, accounts)
    await conn.execute(
        "insert into call_refund (call_id, amount_minor, borne_minor, refunded_by) "
        "values ($1, $2, $3, $4)",
        call_id,
        amount_minor,
        borne_minor,
        operator,
    )
    await audit.record(
        conn,
        actor=operator,
        action="call.refund",
        target_type="call",
        target_id=call_id,
        reason=reason,
        details={"amount": amount_minor, "recalled": recalled_minor, "houseBears": borne_minor},
    )
    await wallet.tell(conn, call["caller_id"], currency, reason="refund")
    await notifications.add(
        conn,
        user_id=call["caller_id"],
        type="CALL_REFUNDED",
        message="A call was refunded; the money is back in your wallet.",
        source=f"call:{call_id}:refunded",
        category="wallet_alert",
        related_type="call",
        related_id=call_id,
    )
    return Refunded(call_id, amount_minor, recalled_minor, borne_minor, currency)


async def _fill_pending(
    conn: Connection,
    call_id: UUID,
    meter: Record,
    own: list[int],
    accounts: set[int],
    currency: str,
    *,
    house_bears: bool,
    delay_s: int,
) -> tuple[int, int]:
    """See to it that the provider's pending earnings hold what the call brought them.

    Locks all that the refund will touch, in the ledger's order, or two could wait for each other.
    `own` are the operations of the call. Returns what was recalled from the available earnings, and
    what the house gave.
    """
    payee, earned_minor = meter["payee"], meter["earned"]
    if payee is None or earned_minor == 0:
        await ledger.lock(conn, accounts)
        return 0, 0
    available = await earnings.available_of(conn, payee)
    loss = await ledger.system_account(conn, "loss", "", currency)
    locked = await ledger.lock(conn, accounts | {available} | ({loss} if house_bears else set()))
    pending_minor, available_minor = locked[payee].free_minor, locked[available].free_minor
    # What younger calls brought keeps its time, so this call's own comes from where it is by now.
    young_minor = await earnings.young_of(conn, payee, timedelta(seconds=delay_s), without=own)
    released_minor = max(0, earned_minor - max(0, pending_minor - young_minor))
    recalled_minor = min(released_minor, max(0, available_minor))
    borne_minor = max(0, earned_minor - pending_minor - recalled_minor)
    if borne_minor and not house_bears:
        raise Conflict(
            "The provider was paid out; the house may bear it.",
            code="earnings_paid_out",
            missing=borne_minor,
        )
    for source, amount_minor, kind in (
        (available, recalled_minor, earnings.RECALL),
        (loss, borne_minor, earnings.COVER),
    ):
        if amount_minor:
            await ledger.post(
                conn,
                key=f"{kind}:{call_id}",
                kind=kind,
                ref=call_id,
                moves=[Move(source, payee, amount_minor, kind)],
            )
    return recalled_minor, borne_minor
