"""Adjusting wallets by hand: small sums at once, larger ones with a second operator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

import msgspec
from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency, key_of
from rest.http.identity import NO_USER, caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Handler, Route, path_id
from rest.operators.adjustment_bodies import (
    ADJUSTMENT_EXAMPLE,
    BODY_EXAMPLE,
    AdjustmentAnswer,
    AdjustmentBody,
    AdjustmentList,
    AdjustmentQuery,
    AdjustmentView,
)
from rest.operators.people_bodies import ReasonBody
from storage import adjustments
from storage.adjustments import Adjustment
from storage.deadline import Deadline
from storage.errors import InsufficientFunds
from storage.ids import new_id
from storage.pool import Connection, Pool

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
TAG = "operators"
ADJUSTMENTS, ADJUSTMENT = "/operators/adjustments", "/operators/adjustments/{id}"

ADJUSTMENT_NOT_FOUND = Fault(404, "ADJUSTMENT_NOT_FOUND", "There is no such adjustment.")
NOTHING = Fault(400, "INVALID_AMOUNT", "An adjustment adds or takes something.")
# Not 402: it is not the caller who is short of money.
INSUFFICIENT_FUNDS = Fault(409, "INSUFFICIENT_FUNDS", "The wallet has less than that.")

# Any fixed UUID will do; it keeps ids made of keys apart from other name-based ids.
_ADJUSTMENTS = UUID("6d8f3b52-3f5e-5b0f-8a3e-2f1f0c9d7a44")


class AdjustmentRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        idempotency: Idempotency,
        currency: str,
        alone_max: int,
        kick: Callable[[], None],
    ) -> None:
        """`alone_max` is what an operator may adjust alone within 24 hours, in minor units; `kick`
        wakes the outbox relay after a commit."""
        self._pool = pool
        self._idempotency = idempotency
        self._currency = currency
        self._alone_max = alone_max
        self._kick = kick

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                ADJUSTMENTS,
                self.request,
                summary="Adjust a wallet; what is too much for one waits for a second operator",
                returns=AdjustmentAnswer,
                body=AdjustmentBody,
                tag=TAG,
                status=201,
                roles=ADMIN,
                errors=(NO_USER, "SELF_APPROVAL", INSUFFICIENT_FUNDS, *KEY_ERRORS),
                example=AdjustmentAnswer(adjustment=ADJUSTMENT_EXAMPLE),
                body_example=BODY_EXAMPLE,
            ),
            Route(
                "GET",
                ADJUSTMENTS,
                self.adjustments,
                summary="Adjustments of wallets, the newest first",
                returns=AdjustmentList,
                query=AdjustmentQuery,
                tag=TAG,
                roles=ADMIN,
                example=AdjustmentList(items=[ADJUSTMENT_EXAMPLE], total=1, limit=20, offset=0),
            ),
            self._verb(
                "approve",
                self.approve,
                "Post what another operator asked for",
                (NO_USER, INSUFFICIENT_FUNDS),
            ),
            self._verb("reject", self.reject, "Turn a pending adjustment down", ()),
        ]

    def _verb(self, verb: str, handler: Handler, summary: str, errors: tuple[Fault, ...]) -> Route:
        return Route(
            "POST",
            f"{ADJUSTMENT}/{verb}",
            handler,
            summary=summary,
            returns=AdjustmentAnswer,
            body=ReasonBody,
            tag=TAG,
            roles=ADMIN,
            errors=(ADJUSTMENT_NOT_FOUND, "SELF_APPROVAL", "WRONG_STATE", *errors, *KEY_ERRORS),
            example=AdjustmentAnswer(adjustment=ADJUSTMENT_EXAMPLE),
            body_example=ReasonBody(reason="I have seen the call's log."),
        )

    async def request(self, request: web.Request) -> web.Response:
        body = await read_body(request, AdjustmentBody)
        if body.amount == 0:
            raise NOTHING.problem(field="amount")
        operator, key = caller(request).user_id, key_of(request)
        # An attempt that crashed after its commit finds its adjustment again under the same id.
        adjustment_id = new_id() if key is None else uuid5(_ADJUSTMENTS, f"{operator}:{key}")

        async def work(conn: Connection) -> Adjustment:
            return await adjustments.request(
                conn,
                adjustment_id=adjustment_id,
                user_id=body.user_id,
                wallet=body.wallet,
                amount_minor=body.amount,
                currency=self._currency,
                reason=body.reason,
                operator=operator,
                alone_max_minor=self._alone_max,
            )

        return await self._once(request, body, work, 201)

    async def adjustments(self, request: web.Request) -> web.Response:
        query = read_query(request, AdjustmentQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await adjustments.list_of(
                conn, query.status, limit=query.limit, offset=offset
            )
        items = [_view(each) for each in found]
        return reply(AdjustmentList(items=items, total=total, limit=query.limit, offset=offset))

    async def approve(self, request: web.Request) -> web.Response:
        return await self._decide(request, adjustments.approve)

    async def reject(self, request: web.Request) -> web.Response:
        return await self._decide(request, adjustments.reject)

    async def _decide(
        self, request: web.Request, decide: Callable[..., Awaitable[Adjustment]]
    ) -> web.Response:
        body = await read_body(request, ReasonBody)
        adjustment_id, operator = path_id(request), caller(request).user_id

        async def work(conn: Connection) -> Adjustment:
            return await decide(conn, adjustment_id, operator=operator, reason=body.reason)

        return await self._once(request, body, work, 200)

    async def _once(
        self,
        request: web.Request,
        body: AdjustmentBody | ReasonBody,
        work: Callable[[Connection], Awaitable[Adjustment]],
        status: int,
    ) -> web.Response:
        async def done() -> web.Response:
            try:
                async with (
                    DEADLINE(),
                    self._pool.acquire() as conn,
                    conn.transaction(),
                ):
                    adjustment = await work(conn)
            except InsufficientFunds as short:
                raise INSUFFICIENT_FUNDS.problem(**short.details) from None
            self._kick()
            return reply(AdjustmentAnswer(adjustment=_view(adjustment)), status)

        return await self._idempotency.once(request, body, done)


def _view(adjustment: Adjustment) -> AdjustmentView:
    fields: dict[str, Any] = msgspec.structs.asdict(adjustment)
    return AdjustmentView(amount=fields.pop("amount_minor"), **fields)
