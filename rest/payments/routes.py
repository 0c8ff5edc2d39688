"""Payments of the caller, and the gateways' webhook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from uuid import UUID

from aiohttp import web

from rest.http.body import BODY_BYTES_MAX, read_body, read_query, read_raw
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency
from rest.http.identity import caller
from rest.http.pages import PageQuery, first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.http.signature import Forged
from rest.payments.bodies import (
    PaymentAnswer,
    PaymentBody,
    PaymentList,
    PaymentOpened,
    PaymentView,
    WebhookAnswer,
    WebhookQuery,
)
from rest.payments.gateways.port import (
    Checkout,
    Gateway,
    GatewayDown,
    GatewayRefused,
    Order,
)
from rest.payments.settle import Settler
from storage import payments, users
from storage.ids import new_id, new_secret
from storage.payments import Payment
from storage.pool import Pool

DEADLINE_S = 4.0
GATEWAY_DEADLINE_S = 8.0
PROVIDER_HEADER = "X-Payment-Provider"
REFERENCE_PATTERN = "[A-Za-z0-9_-]+"

PAYMENT_NOT_FOUND = Fault(404, "PAYMENT_NOT_FOUND", "You have no such payment.")
INVALID_METHOD = Fault(400, "INVALID_METHOD", "There is no such payment method here.")
CURRENCY_NOT_SUPPORTED = Fault(
    400, "CURRENCY_NOT_SUPPORTED", "Payments here are in another currency."
)
GATEWAY_UNAVAILABLE = Fault(
    503, "GATEWAY_UNAVAILABLE", "The payment company does not answer; try again."
)
PAYMENT_REFUSED = Fault(402, "PAYMENT_REFUSED", "The payment company refused this payment.")
# One answer for everything that is not a proven event: a forger learns nothing.
INVALID_WEBHOOK = Fault(400, "INVALID_WEBHOOK", "This is not a signed event of a gateway here.")


class PaymentRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        gateways: Iterable[Gateway],
        settler: Settler,
        idempotency: Idempotency,
        currency: str,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives Unix ms; `currency` is the deployment's."""
        self._pool = pool
        self._gateways = {gateway.name: gateway for gateway in gateways}
        self._settler = settler
        self._idempotency = idempotency
        self._currency = currency
        self._clock = clock

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/payments",
                self.create,
                summary="Begin a top-up; the payer pays at checkoutUrl or with clientSecret",
                returns=PaymentOpened,
                body=PaymentBody,
                tag="payments",
                status=201,
                errors=(
                    INVALID_METHOD,
                    CURRENCY_NOT_SUPPORTED,
                    PAYMENT_REFUSED,
                    GATEWAY_UNAVAILABLE,
                    *KEY_ERRORS,
                ),
                body_example={"amount": 1000, "method": "sandbox", "purpose": "topup"},
            ),
            Route(
                "GET",
                "/payments",
                self.mine,
                summary="Your payments, newest first",
                returns=PaymentList,
                query=PageQuery,
                tag="payments",
            ),
            Route(
                "GET",
                "/payments/{id}",
                self.one,
                summary="One of your payments",
                returns=PaymentAnswer,
                tag="payments",
                errors=(PAYMENT_NOT_FOUND,),
            ),
            Route(
                "POST",
                f"/payments/verify/{{reference:{REFERENCE_PATTERN}}}",
                self.verify,
                summary="Ask the gateway about your payment, and settle it if it was paid",
                returns=PaymentAnswer,
                tag="payments",
                errors=(PAYMENT_NOT_FOUND, GATEWAY_UNAVAILABLE),
            ),
            Route(
                "POST",
                "/payments/webhook",
                self.webhook,
                summary="For gateways: a signed event, known by its signature's header, "
                "by ?provider= or X-Payment-Provider",
                returns=WebhookAnswer,
                query=WebhookQuery,
                tag="payments",
                auth=False,
                errors=(
                    INVALID_WEBHOOK,
                    GATEWAY_UNAVAILABLE,
                    "TOO_LARGE",
                    "UNSUPPORTED_MEDIA_TYPE",
                ),
            ),
        ]

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, PaymentBody)
        user_id = caller(request).user_id

        async def work() -> web.Response:
            payment, checkout = await self._begin(body, user_id=user_id)
            opened = PaymentOpened(
                payment=_view(payment),
                client_secret=checkout.client_secret,
                publishable_key=checkout.publishable_key,
            )
            return reply(opened, 201)

        return await self._idempotency.once(request, body, work)

    async def _begin(self, body: PaymentBody, *, user_id: UUID) -> tuple[Payment, Checkout]:
        gateway = self._gateways.get(body.method)
        if gateway is None:
            raise INVALID_METHOD.problem(field="method")
        if body.currency not in (None, self._currency):
            raise CURRENCY_NOT_SUPPORTED.problem(field="currency", currency=self._currency)
        async with asyncio.timeout(DEADLINE_S), self._pool.acquire() as conn:
            payment = await payments.create(
                conn,
                payment_id=new_id(),
                user_id=user_id,
                purpose=body.purpose,
                gateway=gateway.name,
                amount_minor=body.amount,
                currency=self._currency,
                reference=f"pay_{new_secret(18)}",
                description=body.description,
            )
            payer = await users.read_user(conn, user_id, self._currency)
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
            async with asyncio.timeout(GATEWAY_DEADLINE_S):
                checkout = await gateway.create(order)
        except (GatewayDown, GatewayRefused, TimeoutError) as fault:
            async with asyncio.timeout(DEADLINE_S), self._pool.acquire() as conn:
                await payments.give_up(conn, payment.id)
            if isinstance(fault, GatewayRefused):
                raise PAYMENT_REFUSED.problem(reason=str(fault)) from None
            raise GATEWAY_UNAVAILABLE.problem() from None
        async with asyncio.timeout(DEADLINE_S), self._pool.acquire() as conn:
            payment = await payments.opened(
                conn, payment.id, gateway_ref=checkout.ref, checkout_url=checkout.url
            )
        return payment, checkout

    async def mine(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with asyncio.timeout(DEADLINE_S), self._pool.acquire() as conn:
            found, total = await payments.list_of(
                conn, caller(request).user_id, limit=query.limit, offset=offset
            )
        items = [_view(each) for each in found]
        return reply(PaymentList(items=items, total=total, limit=query.limit, offset=offset))

    async def one(self, request: web.Request) -> web.Response:
        async with asyncio.timeout(DEADLINE_S), self._pool.acquire() as conn:
            found = await payments.read(conn, caller(request).user_id, path_id(request))
        if found is None:
            raise PAYMENT_NOT_FOUND.problem()
        return reply(PaymentAnswer(payment=_view(found)))

    async def verify(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        async with asyncio.timeout(DEADLINE_S), self._pool.acquire() as conn:
            found = await payments.read_by_reference(conn, caller(request).user_id, reference)
        if found is None:
            raise PAYMENT_NOT_FOUND.problem()
        gateway = self._gateways.get(found.gateway)
        settled = found.status in ("completed", "refunded")
        if not settled and gateway is not None and found.gateway_ref is not None:
            try:
                async with asyncio.timeout(GATEWAY_DEADLINE_S):
                    status = await gateway.query(found.gateway_ref)
            except (GatewayDown, GatewayRefused, TimeoutError):
                raise GATEWAY_UNAVAILABLE.problem() from None
            found = await self._settler.found(found.gateway, reference, status) or found
        return reply(PaymentAnswer(payment=_view(found)))

    async def webhook(self, request: web.Request) -> web.Response:
        raw = await read_raw(request, BODY_BYTES_MAX)
        query = read_query(request, WebhookQuery)
        gateway = self._sender(request, query)
        try:
            event = gateway.parse_webhook(request.headers, raw, self._clock() // 1000)
            async with asyncio.timeout(GATEWAY_DEADLINE_S):
                event = await gateway.confirm(event)
        except (Forged, GatewayRefused):
            raise INVALID_WEBHOOK.problem() from None
        except (GatewayDown, TimeoutError):
            raise GATEWAY_UNAVAILABLE.problem() from None
        return reply(WebhookAnswer(outcome=await self._settler.event(gateway.name, event)))

    def _sender(self, request: web.Request, query: WebhookQuery) -> Gateway:
        """Gateways send their signature's header and nothing of ours; the name is for others."""
        named = query.provider or request.headers.get(PROVIDER_HEADER)
        if named is not None:
            found = [self._gateways[named]] if named in self._gateways else []
        else:
            every = self._gateways.values()
            found = [each for each in every if each.signature_header in request.headers]
        if len(found) != 1:
            raise INVALID_WEBHOOK.problem()
        return found[0]


def _view(payment: Payment) -> PaymentView:
    return PaymentView(
        id=payment.id,
        reference=payment.reference,
        amount=payment.amount_minor,
        currency=payment.currency,
        status=payment.status,
        method=payment.gateway,
        purpose=payment.purpose,
        description=payment.description,
        checkout_url=payment.checkout_url,
        created_at=payment.created_at,
        completed_at=payment.completed_at,
    )
