"""How a payment begins: what it is for, what it costs, and where it is paid."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid5

from msgspec import UNSET

from rest.http.errors import Fault
from rest.payments.bodies import PaymentBody, PaymentOpened
from rest.payments.gateways.port import (
    Checkout,
    Gateway,
    GatewayDown,
    GatewayRefused,
    Order,
)
from rest.payments.settle import Settler
from rest.payments.views import payment_view
from storage import payments, plans, users
from storage.deadline import Deadline
from storage.errors import IdempotencyMismatch
from storage.ids import new_id, new_secret
from storage.payments import Payment
from storage.pool import Connection, Pool
from storage.selling import Price, Sellers
from storage.settlement import FROM_WALLET
from storage.wallet import SPENDING_KIND

DEADLINE = Deadline(4.0)
GATEWAY_DEADLINE = Deadline(8.0)

INVALID_METHOD = Fault(400, "INVALID_METHOD", "There is no such payment method here.")
CURRENCY_NOT_SUPPORTED = Fault(
    400, "CURRENCY_NOT_SUPPORTED", "Payments here are in another currency."
)
INVALID_AMOUNT = Fault(400, "INVALID_AMOUNT", "Give the amount; what has a price costs just that.")
INVALID_TARGET_ID = Fault(
    400, "INVALID_TARGET_ID", "Give targetId for a quote, order or subscription, and only then."
)
INVALID_PLAN_ID = Fault(400, "INVALID_PLAN_ID", "A plan belongs to a top-up.")
INVALID_WALLET = Fault(
    400, "INVALID_WALLET", "Plans and your own wallet fill call_credits; other purposes no wallet."
)
PLAN_NOT_FOUND = Fault(404, "PLAN_NOT_FOUND", "There is no such plan.")
TARGET_NOT_FOUND = Fault(404, "TARGET_NOT_FOUND", "There is nothing of the kind to pay for.")
GATEWAY_UNAVAILABLE = Fault(
    503, "GATEWAY_UNAVAILABLE", "The payment company does not answer; try again."
)
PAYMENT_REFUSED = Fault(402, "PAYMENT_REFUSED", "The payment company refused this payment.")
ERRORS = (
    INVALID_METHOD,
    CURRENCY_NOT_SUPPORTED,
    PLAN_NOT_FOUND,
    TARGET_NOT_FOUND,
    PAYMENT_REFUSED,
    GATEWAY_UNAVAILABLE,
    "INSUFFICIENT_FUNDS",
)


class PaymentOpener:
    def __init__(
        self,
        pool: Pool,
        *,
        gateways: Mapping[str, Gateway],
        settler: Settler,
        sellers: Sellers,
        currency: str,
    ) -> None:
        """`currency` is the deployment's: that of top-ups and plans."""
        self._pool = pool
        self._gateways = gateways
        self._settler = settler
        self._sellers = sellers
        self._currency = currency

    async def open(
        self, body: PaymentBody, user_id: UUID, *, key: str | None = None
    ) -> PaymentOpened:
        """A payment with a checkout, or one from the wallet that is completed.

        `key` is the request's own: what was paid from the wallet under it is not paid again, even
        if nobody lived to keep the answer.

        Raises:
            Problem: any of ERRORS, and the codes of the body's fields.
            InsufficientFunds: the wallet to pay from has less.
            IdempotencyMismatch: something else was paid under this key.
        """
        judge(body)
        if body.method == FROM_WALLET:
            payment_id = new_id() if key is None else uuid5(user_id, key)
            paid = await self._settler.from_wallet(
                lambda conn: self._record_once(conn, body, user_id, payment_id)
            )
            return PaymentOpened(
                payment=payment_view(paid), client_secret=None, publishable_key=None
            )
        gateway = self._gateways.get(body.method)
        if gateway is None:
            raise INVALID_METHOD.problem(field="method")
        payment, checkout = await self._at_gateway(gateway, body, user_id)
        return PaymentOpened(
            payment=payment_view(payment),
            client_secret=checkout.client_secret,
            publishable_key=checkout.publishable_key,
        )

    async def _at_gateway(
        self, gateway: Gateway, body: PaymentBody, user_id: UUID
    ) -> tuple[Payment, Checkout]:
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            payment = await self._record(conn, body, user_id, new_id())
            payer = await users.read_user(conn, user_id, payment.currency)
        order = Order(
            payment.id,
            payment.reference,
            payment.amount_minor,
            payment.currency,
            payment.description,
            payer.name if payer else "",
            payer.email if payer else None,
        )
        # No connection is held while we wait for somebody else's server.
        try:
            async with GATEWAY_DEADLINE():
                checkout = await gateway.create(order)
        except (GatewayDown, GatewayRefused, TimeoutError) as fault:
            async with DEADLINE(), self._pool.acquire() as conn:
                await payments.give_up(conn, payment.id)
            if isinstance(fault, GatewayRefused):
                raise PAYMENT_REFUSED.problem(reason=str(fault)) from None
            raise GATEWAY_UNAVAILABLE.problem() from None
        async with DEADLINE(), self._pool.acquire() as conn:
            payment = await payments.opened(
                conn, payment.id, gateway_ref=checkout.ref, checkout_url=checkout.url
            )
        return payment, checkout

    async def _record_once(
        self, conn: Connection, body: PaymentBody, user_id: UUID, payment_id: UUID
    ) -> Payment:
        known = await payments.read(conn, user_id, payment_id)
        if known is None:
            return await self._record(conn, body, user_id, payment_id)
        same = (known.purpose, known.target_id, known.plan_id)
        if same != (body.purpose, body.target_id, body.plan_id) or body.amount not in (
            UNSET,
            known.amount_minor,
        ):
            raise IdempotencyMismatch("This key was used for another payment.")
        return known

    async def _record(
        self, conn: Connection, body: PaymentBody, user_id: UUID, payment_id: UUID
    ) -> Payment:
        """The pending payment, at the price that the house, not the client, has for it."""
        plan = None
        if body.target_id is not None:
            price = await self._ask_seller(conn, body.purpose, user_id, body.target_id)
        elif body.plan_id is not None:
            plan = await plans.read_active(conn, body.plan_id)
            if plan is None:
                raise PLAN_NOT_FOUND.problem()
            price = Price(plan.price_minor, self._currency)
        else:
            assert body.amount is not UNSET, "judged before"
            price = Price(body.amount, self._currency)
        if body.amount not in (UNSET, price.amount_minor):
            raise INVALID_AMOUNT.problem(field="amount", price=price.amount_minor)
        if body.currency not in (None, price.currency):
            raise CURRENCY_NOT_SUPPORTED.problem(field="currency", currency=price.currency)
        payment = await payments.create(
            conn,
            payment_id=payment_id,
            user_id=user_id,
            purpose=body.purpose,
            target_id=body.target_id,
            wallet=None if body.target_id is not None else body.wallet or SPENDING_KIND,
            gateway=body.method,
            amount_minor=price.amount_minor,
            currency=price.currency,
            reference=f"pay_{new_secret(18)}",
            description=body.description,
        )
        if plan is not None:
            await plans.promise(conn, payment.id, plan)
        return payment

    async def _ask_seller(
        self, conn: Connection, purpose: str, user_id: UUID, target_id: UUID
    ) -> Price:
        seller = self._sellers.get(purpose)
        price = None if seller is None else await seller.price(conn, user_id, target_id)
        if price is None:
            raise TARGET_NOT_FOUND.problem()
        return price


def judge(body: PaymentBody) -> None:
    """Do the fields fit together?

    Raises:
        Problem: 400 with the code of the field that does not.
    """
    is_topup = body.purpose == "topup"
    if is_topup != (body.target_id is None):
        raise INVALID_TARGET_ID.problem(field="targetId")
    if body.plan_id is not None and not is_topup:
        raise INVALID_PLAN_ID.problem(field="planId")
    if body.wallet is not None and not is_topup:
        raise INVALID_WALLET.problem(field="wallet")
    if body.wallet == "primary" and (body.plan_id is not None or body.method == FROM_WALLET):
        raise INVALID_WALLET.problem(field="wallet")
    if is_topup and body.plan_id is None and body.amount is UNSET:
        raise INVALID_AMOUNT.problem(field="amount")
