"""Redeeming a completed top-up for a plan, and the list of what was bought."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency
from rest.http.identity import caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route
from rest.payments.bodies import (
    ChargeAnswer,
    ChargeBody,
    PurchaseList,
    PurchaseQuery,
    PurchaseView,
)
from rest.payments.opening import PLAN_NOT_FOUND
from storage import notifications, payments, plans, wallet
from storage.deadline import Deadline
from storage.payments import Payment
from storage.plans import Plan, Purchase
from storage.pool import Pool

DEADLINE = Deadline(4.0)

INVALID_AMOUNT = Fault(
    400, "INVALID_AMOUNT", "The amount, the plan's price and the payment must be the same."
)
INVALID_PAYMENT_ID = Fault(400, "INVALID_PAYMENT_ID", "This is not a paid top-up of yours.")
PAYMENT_NOT_COMPLETED = Fault(409, "PAYMENT_NOT_COMPLETED", "Verify the payment first.")
PAYMENT_ALREADY_PROCESSED = Fault(
    409, "PAYMENT_ALREADY_PROCESSED", "A plan was redeemed for this payment."
)


class PurchaseRoutes:
    def __init__(self, pool: Pool, *, idempotency: Idempotency, kick: Callable[[], None]) -> None:
        """`kick` wakes the outbox relay after a commit."""
        self._pool = pool
        self._idempotency = idempotency
        self._kick = kick

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/wallet/charge",
                self.charge,
                summary="Redeem a completed top-up for the plan of its price",
                returns=ChargeAnswer,
                body=ChargeBody,
                tag="wallet",
                errors=(
                    INVALID_AMOUNT,
                    INVALID_PAYMENT_ID,
                    PLAN_NOT_FOUND,
                    PAYMENT_NOT_COMPLETED,
                    PAYMENT_ALREADY_PROCESSED,
                    *KEY_ERRORS,
                ),
            ),
            Route(
                "GET",
                "/wallet/purchase-history",
                self.history,
                summary="Your completed top-ups, with their plans",
                returns=PurchaseList,
                query=PurchaseQuery,
                tag="wallet",
            ),
        ]

    async def charge(self, request: web.Request) -> web.Response:
        body = await read_body(request, ChargeBody)
        user_id = caller(request).user_id

        async def work() -> web.Response:
            answer = await self._charge(body, user_id)
            self._kick()
            return reply(answer)

        return await self._idempotency.once(request, body, work)

    async def _charge(self, body: ChargeBody, user_id: UUID) -> ChargeAnswer:
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            plan = await plans.read_active(conn, body.plan_id)
            payment = await payments.lock_own(conn, user_id, body.payment_id)
            plan, payment = judge(body.amount, plan, payment)
            if not await plans.promise(conn, payment.id, plan):
                raise PAYMENT_ALREADY_PROCESSED.problem()
            charged_minor = await plans.redeem(conn, payment)
            balance = await wallet.read_balance(conn, user_id, payment.currency)
            assert balance is not None, "the payment is in it"
            await wallet.tell(conn, user_id, payment.currency, reason="topup")
            await notifications.add(
                conn,
                user_id=user_id,
                type="PLAN_REDEEMED",
                message=f"Your plan was redeemed: {plan.title}.",
                source=f"redeem:{payment.id}",
                category="wallet_alert",
                related_type="payment",
                related_id=payment.id,
            )
        return ChargeAnswer(
            user_id=user_id,
            charged_points=charged_minor,
            balance=balance.posted_minor,
            plan_id=plan.id,
            payment_id=payment.id,
        )

    async def history(self, request: web.Request) -> web.Response:
        query = read_query(request, PurchaseQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await plans.list_purchases(
                conn,
                caller(request).user_id,
                newest_first=query.sort == "newest",
                limit=query.limit,
                offset=offset,
            )
        items = [_view(each) for each in found]
        return reply(PurchaseList(items=items, total=total, limit=query.limit, offset=offset))


def judge(amount_minor: int, plan: Plan | None, payment: Payment | None) -> tuple[Plan, Payment]:
    """May this payment of the caller be redeemed for this plan? That it was not yet is not asked.

    Raises:
        Problem: 400, 404 or 409; which one depends on nothing of other people's payments.
    """
    if plan is None:
        raise PLAN_NOT_FOUND.problem()
    if payment is None or payment.wallet != wallet.SPENDING_KIND:
        raise INVALID_PAYMENT_ID.problem(field="paymentId")
    if payment.status in ("pending", "processing"):
        raise PAYMENT_NOT_COMPLETED.problem()
    if payment.status != "completed":
        raise INVALID_PAYMENT_ID.problem(field="paymentId")
    if not amount_minor == plan.price_minor == payment.amount_minor:
        raise INVALID_AMOUNT.problem(field="amount", price=plan.price_minor)
    return plan, payment


def _view(purchase: Purchase) -> PurchaseView:
    return PurchaseView(
        history_id=purchase.payment_id,
        plan_id=purchase.plan_id,
        plan_title=purchase.plan_title,
        amount=purchase.amount_minor,
        points=purchase.points_minor,
        bonus_points=purchase.bonus_minor,
        payment_id=purchase.payment_id,
        created_at=purchase.at,
    )
