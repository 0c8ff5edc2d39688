"""Giving a payment back: an operator's decision, once, in the ledger and then at the gateway."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aiohttp import web

from rest.http.body import read_body
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency
from rest.http.identity import caller
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.payments.bodies import PaymentAnswer, RefundBody
from rest.payments.views import payment_view
from storage import audit, payments, settlement
from storage.deadline import Deadline
from storage.errors import Conflict, InsufficientFunds, Refusal
from storage.payments import Payment
from storage.pool import Pool
from storage.selling import Sellers

DEADLINE = Deadline(4.0)

PAYMENT_NOT_FOUND = Fault(404, "PAYMENT_NOT_FOUND", "There is no such payment.")
PAYMENT_NOT_REFUNDABLE = Fault(
    409, "PAYMENT_NOT_REFUNDABLE", "Only a completed payment can be refunded, while it is unused."
)
# Not 402: it is not the caller who is short of money.
INSUFFICIENT_FUNDS = Fault(409, "INSUFFICIENT_FUNDS", "The wallet no longer has the money.")


class RefundRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        sellers: Sellers,
        idempotency: Idempotency,
        kick: Callable[[], None],
    ) -> None:
        """`kick` wakes the outbox relay after a commit."""
        self._pool = pool
        self._sellers = sellers
        self._idempotency = idempotency
        self._kick = kick

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/payments/{id}/refund",
                self.refund,
                summary="Give a completed payment back, whole",
                returns=PaymentAnswer,
                body=RefundBody,
                tag="payments",
                roles=("admin",),
                errors=(
                    PAYMENT_NOT_FOUND,
                    "SELF_APPROVAL",
                    PAYMENT_NOT_REFUNDABLE,
                    INSUFFICIENT_FUNDS,
                    *KEY_ERRORS,
                ),
            ),
        ]

    async def refund(self, request: web.Request) -> web.Response:
        body = await read_body(request, RefundBody)
        payment_id, admin = path_id(request), caller(request).user_id

        async def work() -> web.Response:
            try:
                payment = await self._refund(payment_id, admin=admin, reason=body.reason)
            except InsufficientFunds as short:
                raise INSUFFICIENT_FUNDS.problem(**short.details) from None
            except Conflict:
                raise PAYMENT_NOT_REFUNDABLE.problem() from None
            self._kick()
            return reply(PaymentAnswer(payment=payment_view(payment)))

        return await self._idempotency.once(request, body, work)

    async def _refund(self, payment_id: UUID, *, admin: UUID, reason: str) -> Payment:
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            payment = await payments.lock(conn, payment_id)
            if payment is None:
                raise PAYMENT_NOT_FOUND.problem()
            if payment.user_id == admin:
                raise Refusal("Somebody else must decide on your payment.", code="self_approval")
            if payment.status == "refunded":
                return payment
            refunded = await settlement.refund(conn, payment, reason=reason, sellers=self._sellers)
            await audit.record(
                conn,
                actor=admin,
                action="payment_refund",
                target_type="payment",
                target_id=payment.id,
                reason=reason,
                details={"amount": payment.amount_minor, "currency": payment.currency},
            )
            await settlement.promise_refund(conn, refunded)
        return refunded
