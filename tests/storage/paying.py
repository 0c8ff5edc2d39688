"""Orders, settling them, and a seller, for the tests of payments."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from storage import payments, plans, settlement
from storage.errors import Conflict
from storage.ids import new_id
from storage.payments import Payment
from storage.plans import Plan
from storage.pool import Connection
from storage.selling import Price, Sellers
from storage.settlement import Finding

PAID = Finding("paid", 1000, "PTS")


async def order(
    conn: Connection,
    user_id: UUID,
    *,
    amount: int = 1000,
    purpose: str = "topup",
    target_id: UUID | None = None,
    wallet: str | None = "call_credits",
    gateway: str = "sandbox",
) -> Payment:
    payment = await payments.create(
        conn,
        payment_id=new_id(),
        user_id=user_id,
        purpose=purpose,
        target_id=target_id,
        wallet=wallet,
        gateway=gateway,
        amount_minor=amount,
        currency="PTS",
        reference=f"pay_{new_id().hex}",
        description="more minutes",
    )
    return await payments.opened(
        conn, payment.id, gateway_ref=f"sbx_{payment.reference}", checkout_url="http://x/"
    )


async def settle(
    conn: Connection, payment: Payment, finding: Finding = PAID, sellers: Sellers | None = None
) -> str:
    _, outcome = await settlement.settle(
        conn,
        gateway=payment.gateway,
        reference=payment.reference,
        finding=finding,
        sellers=sellers or {},
    )
    return outcome


async def balance_of(conn: Connection, user_id: UUID, kind: str = "call_credits") -> int:
    found = await conn.fetchval(
        "select posted from account where owner = $1 and kind = $2", user_id, kind
    )
    return found or 0


@dataclass(slots=True)
class Stall:
    """Sells one quote to anybody; it notes what it was told, and may be told to fail."""

    target_id: UUID = field(default_factory=new_id)
    amount_minor: int = 1000
    sold_out: bool = False
    broken: bool = False
    final: bool = False
    told: list[str] = field(default_factory=list)

    async def price(self, conn: Connection, user_id: UUID, target_id: UUID) -> Price | None:
        if self.sold_out or target_id != self.target_id:
            return None
        return Price(self.amount_minor, "PTS")

    async def paid(self, conn: Connection, payment: Payment) -> None:
        if self.broken:
            raise RuntimeError("the stall fell over")
        self.told.append(f"paid {payment.status}")

    async def refunded(self, conn: Connection, payment: Payment) -> None:
        if self.final:
            raise Conflict("it was eaten")
        self.told.append("refunded")


async def make_plan(
    conn: Connection, *, price: int = 1000, points: int = 1200, bonus: int = 100
) -> Plan:
    plan = Plan(
        id=new_id(), title="A plan", price_minor=price, points_minor=points, bonus_minor=bonus
    )
    await plans.save(conn, plan)
    return plan


async def buy(conn: Connection, user_id: UUID, plan: Plan) -> Payment:
    """A completed top-up that was ordered for the plan."""
    payment = await order(conn, user_id, amount=plan.price_minor)
    await plans.promise(conn, payment.id, plan)
    await settle(conn, payment, Finding("paid", plan.price_minor, "PTS"))
    found = await payments.lock(conn, payment.id)
    assert found is not None
    return found


async def make_payments(conn: Connection, user_id: UUID) -> None:
    """One of each: a plan that waits, stands and was refunded, a primary wallet, out of it, a sale,
    and one that failed."""
    plan = await make_plan(conn)
    await plans.promise(conn, (await order(conn, user_id)).id, plan)
    await settle(conn, await order(conn, user_id), Finding("failed", 1000, "PTS"))
    await buy(conn, user_id, plan)
    await settlement.refund(conn, await buy(conn, user_id, plan), reason="a test", sellers={})
    await settle(conn, await order(conn, user_id, wallet="primary"))
    from_wallet = await order(conn, user_id, amount=400, gateway="wallet")
    await settle(conn, from_wallet, Finding("paid", 400, "PTS"))
    stall = Stall()
    sale = await order(conn, user_id, purpose="quote", target_id=stall.target_id, wallet=None)
    await settle(conn, sale, sellers={"quote": stall})
