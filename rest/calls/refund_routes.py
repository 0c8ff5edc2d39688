"""Giving calls back, by operators."""

from __future__ import annotations

from aiohttp import web

from rest.calls.history_bodies import RefundAnswer, RefundBody
from rest.calls.table import CALL_NOT_FOUND
from rest.http.body import read_body
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency
from rest.http.identity import caller
from rest.http.reply import reply
from rest.http.route import Route, path_id
from storage import refunds
from storage.deadline import Deadline
from storage.pool import Pool

DEADLINE = Deadline(4.0)

CALL_NOT_ENDED = Fault(409, "CALL_NOT_ENDED", "The call has not ended.")
NOTHING_TO_REFUND = Fault(409, "NOTHING_TO_REFUND", "The call cost nothing.")
ALREADY_REFUNDED = Fault(409, "ALREADY_REFUNDED", "The call was refunded before.")
EARNINGS_PAID_OUT = Fault(
    409, "EARNINGS_PAID_OUT", "The provider was paid out; the house may bear it."
)


class RefundRoutes:
    def __init__(self, pool: Pool, *, idempotency: Idempotency, release_after_s: int = 0) -> None:
        """Earnings are pending for `release_after_s`."""
        self._pool = pool
        self._idempotency = idempotency
        self._release_after_s = release_after_s

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/calls/{id}/refund",
                self.refund,
                summary="Give everything back that an ended call cost, once",
                returns=RefundAnswer,
                body=RefundBody,
                tag="calls",
                roles=("admin",),
                errors=(
                    CALL_NOT_FOUND,
                    "SELF_APPROVAL",
                    CALL_NOT_ENDED,
                    NOTHING_TO_REFUND,
                    ALREADY_REFUNDED,
                    EARNINGS_PAID_OUT,
                    *KEY_ERRORS,
                ),
                example={
                    "callId": "0198f2a0-0000-7000-8000-000000000001",
                    "refunded": 360,
                    "recalled": 0,
                    "houseBore": 0,
                    "currency": "PTS",
                },
            )
        ]

    async def refund(self, request: web.Request) -> web.Response:
        body = await read_body(request, RefundBody)
        call_id, operator = path_id(request), caller(request).user_id

        async def work() -> web.Response:
            async with (
                DEADLINE(),
                self._pool.acquire() as conn,
                conn.transaction(),
            ):
                done = await refunds.refund_call(
                    conn,
                    call_id,
                    operator=operator,
                    reason=body.reason,
                    delay_s=self._release_after_s,
                    house_bears=body.house_bears,
                )
            return reply(
                RefundAnswer(
                    call_id=done.call_id,
                    refunded=done.amount_minor,
                    recalled=done.recalled_minor,
                    house_bore=done.borne_minor,
                    currency=done.currency,
                )
            )

        return await self._idempotency.once(request, body, work)
