"""Webhooks as operators see them: endpoints and their secrets, deliveries, and another try."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiohttp import web
from msgspec import UNSET

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.identity import caller
from rest.http.pages import first_row
from rest.http.reply import Done, reply
from rest.http.route import Route, path_id
from rest.operators.webhook_bodies import (
    AttemptView,
    DeliveryAnswer,
    DeliveryDetail,
    DeliveryList,
    DeliveryMade,
    DeliveryQuery,
    DeliveryView,
    EndpointAnswer,
    EndpointBody,
    EndpointChange,
    EndpointList,
    EndpointSecret,
    EndpointView,
)
from rest.operators.webhook_events import trial_news
from rest.operators.webhook_urls import fault_of
from storage import audit, webhook_deliveries, webhooks
from storage.deadline import Deadline
from storage.ids import new_id
from storage.jobs import Changed
from storage.pool import Connection, Pool
from storage.webhook_deliveries import Attempt, Delivery
from storage.webhooks import Endpoint

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
TAG = "webhooks"
ENDPOINTS, ENDPOINT = "/webhooks/endpoints", "/webhooks/endpoints/{id}"
DELIVERIES, DELIVERY = "/webhooks/deliveries", "/webhooks/deliveries/{id}"

INVALID_URL = Fault(400, "INVALID_WEBHOOK_URL", "Nothing can be sent to that URL.")
TOO_MANY = Fault(409, "TOO_MANY_ENDPOINTS", "There are 10 endpoints already; delete one first.")
ENDPOINT_NOT_FOUND = Fault(404, "ENDPOINT_NOT_FOUND", "There is no such endpoint.")
ENDPOINT_DISABLED = Fault(409, "ENDPOINT_DISABLED", "Nothing is sent to that endpoint any more.")
DELIVERY_NOT_FOUND = Fault(404, "DELIVERY_NOT_FOUND", "There is no such delivery.")

_ENDPOINT = EndpointView(
    id=UUID("019b0a4e-7c1d-7000-8000-000000000001"),
    url="https://example.org/talktime",
    events=["call.ended", "call.settled"],
    disabled=False,
    disabled_by=None,
    old_secret_until=None,
    created_at=datetime(2026, 1, 1, 9, tzinfo=UTC),
)
_SECRET = EndpointSecret(
    endpoint=_ENDPOINT, secret="whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
)
_BODY = EndpointBody(url=_ENDPOINT.url, events=["call.ended", "call.settled"])


class WebhookRoutes:
    def __init__(
        self, pool: Pool, *, strict: bool, changed: Callable[[], None] = lambda: None
    ) -> None:
        """`strict`: only public addresses by TLS. `changed` hears of each change of endpoints."""
        self._pool = pool
        self._strict = strict
        self._changed = changed

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                ENDPOINTS,
                self.create,
                summary="Tell a server of yours of calls; its secret is shown this once",
                returns=EndpointSecret,
                body=EndpointBody,
                tag=TAG,
                status=201,
                roles=ADMIN,
                errors=(INVALID_URL, TOO_MANY),
                example=_SECRET,
                body_example=_BODY,
            ),
            Route(
                "GET",
                ENDPOINTS,
                self.endpoints,
                summary="The endpoints, the oldest first",
                returns=EndpointList,
                tag=TAG,
                roles=ADMIN,
                example=EndpointList(items=[_ENDPOINT]),
            ),
            Route(
                "PATCH",
                ENDPOINT,
                self.change,
                summary="Change an endpoint, disable it, or enable it again",
                returns=EndpointAnswer,
                body=EndpointChange,
                tag=TAG,
                roles=ADMIN,
                errors=(INVALID_URL, ENDPOINT_NOT_FOUND),
                example=EndpointAnswer(endpoint=_ENDPOINT),
                body_example=EndpointChange(url=_ENDPOINT.url, events=["call.ended"]),
            ),
            Route(
                "DELETE",
                ENDPOINT,
                self.delete,
                summary="Tell an endpoint nothing more; what is on its way fails",
                returns=Done,
                tag=TAG,
                roles=ADMIN,
                errors=(ENDPOINT_NOT_FOUND,),
                example=Done(),
            ),
            Route(
                "POST",
                f"{ENDPOINT}/secret",
                self.rotate,
                summary="A new secret; for 24 hours the old one signs as well",
                returns=EndpointSecret,
                tag=TAG,
                roles=ADMIN,
                errors=(ENDPOINT_NOT_FOUND,),
                example=_SECRET,
            ),
            Route(
                "POST",
                f"{ENDPOINT}/test",
                self.test,
                summary="Send a test event",
                returns=DeliveryMade,
                tag=TAG,
                status=202,
                roles=ADMIN,
                errors=(ENDPOINT_NOT_FOUND, ENDPOINT_DISABLED),
            ),
            Route(
                "GET",
                DELIVERIES,
                self.deliveries,
                summary="What was told and is to be told, the newest first",
                returns=DeliveryList,
                query=DeliveryQuery,
                tag=TAG,
                roles=ADMIN,
                errors=("INVALID_QUERY",),
            ),
            Route(
                "GET",
                DELIVERY,
                self.delivery,
                summary="One delivery with its attempts",
                returns=DeliveryAnswer,
                tag=TAG,
                roles=ADMIN,
                errors=(DELIVERY_NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{DELIVERY}/resend",
                self.resend,
                summary="Send an event again, now and with all its tries",
                returns=Done,
                tag=TAG,
                roles=ADMIN,
                errors=(DELIVERY_NOT_FOUND, ENDPOINT_DISABLED),
                example=Done(),
            ),
        ]

    # -- endpoints

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, EndpointBody)
        self._check(body.url)
        secret = webhooks.new_secret()
        async with self._transaction() as conn:
            made = await webhooks.create(
                conn, new_id(), url=body.url, events=sorted(set(body.events)), secret=secret
            )
            if made is None:
                raise TOO_MANY.problem()
            if body.disabled:
                made = _found(await webhooks.change(conn, made.id, disabled=True))
            await self._note(conn, request, "webhook_endpoint_created", made)
        self._changed()
        return reply(EndpointSecret(endpoint=_endpoint_view(made), secret=secret), 201)

    async def endpoints(self, _: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await webhooks.list_all(conn)
        return reply(EndpointList(items=[_endpoint_view(each) for each in found]))

    async def change(self, request: web.Request) -> web.Response:
        body = await read_body(request, EndpointChange)
        if body.url is not UNSET:
            self._check(body.url)
        async with self._transaction() as conn:
            changed = _found(
                await webhooks.change(
                    conn,
                    path_id(request),
                    url=None if body.url is UNSET else body.url,
                    events=None if body.events is UNSET else sorted(set(body.events)),
                    disabled=None if body.disabled is UNSET else body.disabled,
                )
            )
            await self._note(conn, request, "webhook_endpoint_changed", changed)
        self._changed()
        return reply(EndpointAnswer(endpoint=_endpoint_view(changed)))

    async def delete(self, request: web.Request) -> web.Response:
        async with self._transaction() as conn:
            endpoint = _found(await webhooks.read(conn, path_id(request)))
            await webhooks.delete(conn, endpoint.id)
            await self._note(conn, request, "webhook_endpoint_deleted", endpoint)
        self._changed()
        return reply(Done())

    async def rotate(self, request: web.Request) -> web.Response:
        secret = webhooks.new_secret()
        async with self._transaction() as conn:
            endpoint = _found(await webhooks.rotate(conn, path_id(request), secret))
            await self._note(conn, request, "webhook_secret_changed", endpoint)
        return reply(EndpointSecret(endpoint=_endpoint_view(endpoint), secret=secret))

    async def test(self, request: web.Request) -> web.Response:
        async with self._transaction() as conn:
            endpoint = _found(await webhooks.read(conn, path_id(request)))
            if endpoint.disabled is not None:
                raise ENDPOINT_DISABLED.problem()
            news = trial_news(new_id(), endpoint.id, time.time_ns() // 1_000_000)
            made = await webhook_deliveries.add_for(conn, endpoint.id, news)
        assert made is not None, "a new event has no delivery"
        return reply(DeliveryMade(delivery_id=made), 202)

    # -- deliveries

    async def deliveries(self, request: web.Request) -> web.Response:
        query = read_query(request, DeliveryQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await webhook_deliveries.list_of(
                conn,
                endpoint_id=query.endpoint_id,
                status=query.status,
                call_id=query.call_id,
                limit=query.limit,
                offset=offset,
            )
        items = [DeliveryView(**_delivery_fields(each)) for each in found]
        return reply(DeliveryList(items=items, total=total, limit=query.limit, offset=offset))

    async def delivery(self, request: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await webhook_deliveries.read(conn, path_id(request))
        if found is None:
            raise DELIVERY_NOT_FOUND.problem()
        known, body, attempts = found
        detail = DeliveryDetail(
            **_delivery_fields(known),
            body=body,
            attempts=[_attempt_view(each) for each in attempts],
        )
        return reply(DeliveryAnswer(delivery=detail))

    async def resend(self, request: web.Request) -> web.Response:
        async with self._transaction() as conn:
            changed = await webhook_deliveries.resend(conn, path_id(request))
        match changed:
            case Changed.NOT_FOUND:
                raise DELIVERY_NOT_FOUND.problem()
            case Changed.WRONG_STATE:
                raise ENDPOINT_DISABLED.problem()
        return reply(Done())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            yield conn

    def _check(self, url: str) -> None:
        fault = fault_of(url, strict=self._strict)
        if fault is not None:
            raise INVALID_URL.problem(field="url", why=fault)

    async def _note(
        self, conn: Connection, request: web.Request, action: str, endpoint: Endpoint
    ) -> None:
        # A path or query may hold a token of the receiver's, so the log has neither.
        await audit.record(
            conn,
            actor=caller(request).user_id,
            action=action,
            target_type="webhook_endpoint",
            target_id=endpoint.id,
            reason="",
            details={"events": endpoint.events, "disabled": endpoint.disabled},
        )


def _found(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise ENDPOINT_NOT_FOUND.problem()
    return endpoint


def _endpoint_view(endpoint: Endpoint) -> EndpointView:
    return EndpointView(
        id=endpoint.id,
        url=endpoint.url,
        events=endpoint.events,
        disabled=endpoint.disabled is not None,
        disabled_by=endpoint.disabled,
        old_secret_until=endpoint.old_secret_until,
        created_at=endpoint.created_at,
    )


def _delivery_fields(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "type": delivery.type,
        "call_id": delivery.call_id,
        "status": delivery.status,
        "tries": delivery.tries,
        "created_at": delivery.created_at,
        "due_at": delivery.due_at if delivery.status == "waiting" else None,
        "done_at": delivery.done_at,
    }


def _attempt_view(attempt: Attempt) -> AttemptView:
    assert attempt.at is not None
    return AttemptView(
        at=attempt.at,
        took_ms=attempt.took_ms,
        status=attempt.status,
        error=attempt.error,
        answer=attempt.answer,
    )
