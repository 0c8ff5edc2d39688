"""Plans: what a top-up of a certain price gives in points and bonus, and who has got one.

The house pays for what a plan gives beyond its price, from the promotion account.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from storage import bonus, ledger, wallet
from storage.errors import InsufficientFunds
from storage.ledger import Move
from storage.payments import Payment
from storage.pool import Connection, Record


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`points_minor` counts the price in; the bonus comes on top and ends after `bonus_days`."""

    id: UUID
    title: str
    price_minor: int
    points_minor: int
    bonus_minor: int = 0
    bonus_days: int = 180
    description: str | None = None
    active: bool = True
    sort: int = 0


class Purchase(msgspec.Struct, frozen=True):
    """A completed top-up of the spending wallet, with the plan it was for, if there was one."""

    payment_id: UUID
    plan_id: UUID | None
    plan_title: str | None
    amount_minor: int
    points_minor: int
    bonus_minor: int
    at: datetime


_COLUMNS = """id, title, price_minor, points_minor, bonus_minor, bonus_days, description, active,
              sort"""


async def list_active(conn: Connection, *, limit: int) -> list[Plan]:
    """What can be bought, cheapest first."""
    rows = await conn.fetch(
        f"select {_COLUMNS} from plan where active order by price_minor, sort, id limit $1", limit
    )
    return [_plan(row) for row in rows]


async def read_active(conn: Connection, plan_id: UUID) -> Plan | None:
    row = await conn.fetchrow(f"select {_COLUMNS} from plan where id = $1 and active", plan_id)
    return None if row is None else _plan(row)


async def lock(conn: Connection, plan_id: UUID) -> Plan | None:
    """Active or not, as it stays until the transaction ends: for those who change it."""
    row = await conn.fetchrow(
        f"select {_COLUMNS} from plan where id = $1 for no key update", plan_id
    )
    return None if row is None else _plan(row)


async def save(conn: Connection, plan: Plan) -> None:
    """Make the plan, or give it these terms; what was promised before keeps its own."""
    await conn.execute(
        f"""
        insert into plan ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (id) do update set ({_COLUMNS})
            = row ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        *msgspec.structs.astuple(plan),
    )


async def promise(conn: Connection, payment_id: UUID, plan: Plan) -> bool:
    """Note that this payment is for this plan, on today's terms; False if it has one already."""
    done = await conn.execute(
        """
        insert into plan_purchase (payment_id, plan_id, points_minor, bonus_minor, bonus_days)
        values ($1, $2, $3, $4, $5) on conflict do nothing
        """,
        payment_id,
        plan.id,
        plan.points_minor,
        plan.bonus_minor,
        plan.bonus_days,
    )
    return done == "INSERT 0 1"


async def redeem(conn: Connection, payment: Payment) -> int:
    """Give what was promised beyond the amount of a paid top-up, once. The payment is locked.

    Returns the points and bonus of the plan in all, 0 if nothing was promised or all was given.
    """
    row = await conn.fetchrow(
        """
        update plan_purchase set redeemed_at = now() where payment_id = $1 and redeemed_at is null
        returning points_minor, bonus_minor, now() + make_interval(days => bonus_days) as until
        """,
        payment.id,
    )
    if row is None:
        return 0
    points_minor, bonus_minor = row["points_minor"], row["bonus_minor"]
    key = _key(payment.id)
    promo = await ledger.system_account(conn, "promo", "", payment.currency)
    moves = []
    if points_minor > payment.amount_minor:
        spending = await wallet.spending_account(conn, payment.user_id, payment.currency)
        assert spending is not None, "accounts are made at sign-up"
        moves.append(Move(promo, spending, points_minor - payment.amount_minor, "plan_points"))
    if bonus_minor:
        account = await bonus.open_lot(
            conn,
            user_id=payment.user_id,
            currency=payment.currency,
            amount_minor=bonus_minor,
            expires_at=row["until"],
            key=key,
        )
        moves.append(Move(promo, account, bonus_minor, bonus.CODE))
    if moves:
        await ledger.post(conn, key=key, kind="redemption", ref=payment.id, moves=moves)
    total_minor: int = points_minor + bonus_minor
    return total_minor


async def take_back(conn: Connection, payment_id: UUID, reason: str) -> None:
    """Undo what the payment's plan gave, exactly; nothing if there was none.

    Raises:
        InsufficientFunds: it was spent, or the bonus has expired.
    """
    key = _key(payment_id)
    operation = await ledger.find_operation(conn, key)
    if operation is None:
        return
    bonus_minor: int = await conn.fetchval(
        "select bonus_minor from plan_purchase where payment_id = $1", payment_id
    )
    if bonus_minor and not await bonus.close_lot(conn, key):
        raise InsufficientFunds(required_minor=bonus_minor, available_minor=0)
    await ledger.reverse(conn, f"refund:{key}", operation, reason)


async def list_purchases(
    conn: Connection, user_id: UUID, *, newest_first: bool, limit: int, offset: int
) -> tuple[list[Purchase], int]:
    """The owner's completed top-ups of the spending wallet, and how many there are in all."""
    order = "desc" if newest_first else "asc"
    rows = await conn.fetch(
        f"""
        select p.id, u.plan_id, n.title, p.amount_minor,
               coalesce(u.points_minor, p.amount_minor) as points_minor,
               coalesce(u.bonus_minor, 0) as bonus_minor, p.completed_at
        from payment p
        left join plan_purchase u on u.payment_id = p.id
        left join plan n on n.id = u.plan_id
        where p.user_id = $1 and p.status = 'completed' and p.purpose = 'topup'
          and p.wallet = 'call_credits'
        order by p.completed_at {order}, p.id {order} limit $2 offset $3
        """,
        user_id,
        limit,
        offset,
    )
    total: int = await conn.fetchval(
        """
        select count(*) from payment
        where user_id = $1 and status = 'completed' and purpose = 'topup'
          and wallet = 'call_credits'
        """,
        user_id,
    )
    return [Purchase(*row) for row in rows], total


def _key(payment_id: UUID) -> str:
    return f"redeem:{payment_id}"


def _plan(row: Record) -> Plan:
    return Plan(**dict(row.items()))
