"""The operators' side of payouts: who waits, and what becomes of it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from rest.http.body import Body, read_body, read_query
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency
from rest.http.identity import caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Handler, Route, path_id
from rest.wallet.payout_bodies import (
    ApproveBody,
    DeskPayoutAnswer,
    DeskPayoutList,
    DeskPayoutView,
    LineQuery,
    PaidBody,
    RefuseBody,
)
from rest.wallet.payout_routes import EXAMPLE, PAYOUT_NOT_FOUND, view_of
from storage import payouts
from storage.deadline import Deadline
from storage.payouts import Payout, Verb
from storage.pool import Pool

DEADLINE = Deadline(4.0)

DESK_EXAMPLE = {
    "payout": {
        **EXAMPLE["payout"],
        "userId": "0198f2a0-0000-7000-8000-000000000002",
        "decidedBy": None,
    }
}


class PayoutDesk:
    def __init__(self, pool: Pool, *, idempotency: Idempotency) -> None:
        self._pool = pool
        self._idempotency = idempotency

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/payouts",
                self.in_line,
                summary="Everybody's payouts in one status, newest first",
                returns=DeskPayoutList,
                query=LineQuery,
                tag="payouts",
                roles=("admin",),
            ),
            self._verb("approve", self.approve, ApproveBody, "Approve a requested payout"),
            self._verb("reject", self.reject, RefuseBody, "Refuse a requested payout"),
            self._verb("paid", self.paid, PaidBody, "An approved payout has been paid"),
            self._verb("returned", self.returned, RefuseBody, "The bank sent an approved one back"),
        ]

    def _verb(
        self,
        verb: str,
        handler: Handler,
        body: type[ApproveBody | RefuseBody | PaidBody],
        summary: str,
    ) -> Route:
        return Route(
            "POST",
            f"/payouts/{{id}}/{verb}",
            handler,
            summary=summary,
            returns=DeskPayoutAnswer,
            body=body,
            body_optional=body is ApproveBody,
            tag="payouts",
            roles=("admin",),
            errors=(PAYOUT_NOT_FOUND, "SELF_APPROVAL", "WRONG_STATE", *KEY_ERRORS),
            example=DESK_EXAMPLE,
        )

    async def in_line(self, request: web.Request) -> web.Response:
        query = read_query(request, LineQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await payouts.list_by_status(
                conn, query.status, limit=query.limit, offset=offset
            )
        items = [_desk_view(each) for each in found]
        return reply(DeskPayoutList(items=items, total=total, limit=query.limit, offset=offset))

    async def approve(self, request: web.Request) -> web.Response:
        body = await read_body(request, ApproveBody, optional=True)
        return await self._decide(request, body, "approve", reason=body.reason or "")

    async def reject(self, request: web.Request) -> web.Response:
        body = await read_body(request, RefuseBody)
        return await self._decide(request, body, "reject", reason=body.reason)

    async def paid(self, request: web.Request) -> web.Response:
        body = await read_body(request, PaidBody)
        return await self._decide(request, body, "pay", reference=body.reference)

    async def returned(self, request: web.Request) -> web.Response:
        body = await read_body(request, RefuseBody)
        return await self._decide(request, body, "return", reason=body.reason)

    async def _decide(
        self,
        request: web.Request,
        body: Body,
        verb: Verb,
        *,
        reason: str = "",
        reference: str | None = None,
    ) -> web.Response:
        payout_id, operator = path_id(request), caller(request).user_id

        async def work() -> web.Response:
            async with (
                DEADLINE(),
                self._pool.acquire() as conn,
                conn.transaction(),
            ):
                payout = await payouts.decide(
                    conn, payout_id, verb, operator=operator, reason=reason, reference=reference
                )
            return reply(DeskPayoutAnswer(payout=_desk_view(payout)))

        return await self._idempotency.once(request, body, work)


def _desk_view(payout: Payout) -> DeskPayoutView:
    return DeskPayoutView(
        **msgspec.structs.asdict(view_of(payout)),
        user_id=payout.user_id,
        decided_by=payout.decided_by,
    )
