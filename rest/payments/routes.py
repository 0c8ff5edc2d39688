"""Payments of the caller, and the gateways' webhook."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web

from rest.http.body import BODY_BYTES_MAX, read_body, read_query, read_raw
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency, key_of
from rest.http.identity import caller
from rest.http.pages import PageQuery, first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.http.signature import Forged
from rest.payments.asking import Asker
from rest.payments.bodies import (
    PaymentAnswer,
    PaymentBody,
    PaymentList,
    PaymentOpened,
    WebhookAnswer,
    WebhookQuery,
)
from rest.payments.gateways.port import Gateway, GatewayDown, GatewayRefused
from rest.payments.opening import ERRORS as OPENING_ERRORS
from rest.payments.opening import GATEWAY_DEADLINE, GATEWAY_UNAVAILABLE, PaymentOpener
from rest.payments.settle import Settler
from rest.payments.views import payment_view
from storage import payments
from storage.deadline import Deadline
from storage.pool import Pool
from storage.selling import Sellers

DEADLINE = Deadline(4.0)
PROVIDER_HEADER = "X-Payment-Provider"
REFERENCE_PATTERN = "[A-Za-z0-9_-]+"

PAYMENT_NOT_FOUND = Fault(404, "PAYMENT_NOT_FOUND", "You have no such payment.")
# One answer for everything that is not a proven event: a forger learns nothing.
INVALID_WEBHOOK = Fault(400, "INVALID_WEBHOOK", "This is not a signed event of a gateway here.")


class PaymentRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        gateways: Iterable[Gateway],
        settler: Settler,
        sellers: Sellers,
        idempotency: Idempotency,
        currency: str,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives Unix ms; `currency` is the deployment's."""
        self._pool = pool
        self._gateways = {gateway.name: gateway for gateway in gateways}
        self._settler = settler
        self._idempotency = idempotency
        self._clock = clock
        self._asker = Asker(pool, self._gateways.values(), settler)
        self._opener = PaymentOpener(
            pool, gateways=self._gateways, settler=settler, sellers=sellers, currency=currency
        )

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/payments",
                self.create,
                summary="Top up or pay for something: at checkoutUrl, with clientSecret, or from "
                "your own wallet",
                returns=PaymentOpened,
                body=PaymentBody,
                tag="payments",
                status=201,
                errors=(*OPENING_ERRORS, *KEY_ERRORS),
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
            return reply(await self._opener.open(body, user_id, key=key_of(request)), 201)

        return await self._idempotency.once(request, body, work)

    async def mine(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await payments.list_of(
                conn, caller(request).user_id, limit=query.limit, offset=offset
            )
        items = [payment_view(each) for each in found]
        return reply(PaymentList(items=items, total=total, limit=query.limit, offset=offset))

    async def one(self, request: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await payments.read(conn, caller(request).user_id, path_id(request))
        if found is None:
            raise PAYMENT_NOT_FOUND.problem()
        return reply(PaymentAnswer(payment=payment_view(found)))

    async def verify(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await payments.read_by_reference(conn, caller(request).user_id, reference)
        if found is None:
            raise PAYMENT_NOT_FOUND.problem()
        return reply(PaymentAnswer(payment=payment_view(await self._asker.ask(found))))

    async def webhook(self, request: web.Request) -> web.Response:
        raw = await read_raw(request, BODY_BYTES_MAX)
        query = read_query(request, WebhookQuery)
        gateway = self._sender(request, query)
        try:
            event = gateway.parse_webhook(request.headers, raw, self._clock() // 1000)
            async with GATEWAY_DEADLINE():
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
