"""What a provider has earned, and taking it out."""

from __future__ import annotations

from uuid import UUID, uuid5

from aiohttp import web

from rest.http.body import Body, read_body, read_query
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency, key_of
from rest.http.identity import FRESH_LOGIN_REQUIRED, CheckFresh, caller
from rest.http.pages import PageQuery, first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.wallet.payout_bodies import (
    EarningsView,
    PayoutAnswer,
    PayoutBody,
    PayoutList,
    PayoutView,
)
from storage import earnings, payouts
from storage.deadline import Deadline
from storage.ids import new_id
from storage.payouts import Payout
from storage.pool import Pool

DEADLINE = Deadline(4.0)
# Whoever can be paid by others; a customer has nothing to take out.
EARNERS = ("companion", "technician", "store_owner", "delivery_partner")

PAYOUT_NOT_FOUND = Fault(404, "PAYOUT_NOT_FOUND", "There is no such payout.")
BELOW_MINIMUM = Fault(400, "INVALID_AMOUNT", "Less than the smallest payout.")
IN_DEBT = Fault(409, "IN_DEBT", "What you owe comes first.")

# Any fixed UUID will do; it keeps ids made of keys apart from other name-based ids.
_PAYOUTS = UUID("0f4b7a7e-6f3c-5c58-9d0d-3f0b8f6f1c52")
EXAMPLE = {
    "payout": {
        "id": "0198f2a0-0000-7000-8000-000000000001",
        "amount": 5000,
        "currency": "PTS",
        "status": "requested",
        "destination": "IBAN XX00 0000 0000",
        "note": None,
        "requestedAt": "2026-01-01T10:00:00Z",
        "decidedAt": None,
        "reason": None,
        "reference": None,
    }
}


class PayoutRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        idempotency: Idempotency,
        currency: str,
        release_after_s: int,
        amount_min: int,
        check_fresh: CheckFresh,
    ) -> None:
        """`currency` is the deployment's; earnings are available `release_after_s` after they came,
        and `amount_min` is the smallest payout. Only who passes `check_fresh` may ask for one."""
        self._pool = pool
        self._idempotency = idempotency
        self._currency = currency
        self._release_after_s = release_after_s
        self._amount_min = amount_min
        self._check_fresh = check_fresh

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/wallet/earnings",
                self.earnings,
                summary="What you have earned, and where it is",
                returns=EarningsView,
                tag="wallet",
                example={
                    "pending": 1200,
                    "available": 8400,
                    "inPayout": 0,
                    "paidOut": 20000,
                    "totalEarned": 29600,
                    "currency": "PTS",
                    "nextReleaseAt": "2026-01-08T10:00:00Z",
                },
            ),
            Route(
                "POST",
                "/wallet/payouts",
                self.request,
                summary="Take available earnings out; they leave the wallet with the request",
                returns=PayoutAnswer,
                body=PayoutBody,
                tag="wallet",
                status=201,
                roles=EARNERS,
                errors=(FRESH_LOGIN_REQUIRED, "INSUFFICIENT_FUNDS", IN_DEBT, *KEY_ERRORS),
                example=EXAMPLE,
            ),
            Route(
                "GET",
                "/wallet/payouts",
                self.mine,
                summary="Your payouts, newest first",
                returns=PayoutList,
                query=PageQuery,
                tag="wallet",
            ),
            Route(
                "GET",
                "/wallet/payouts/{id}",
                self.one,
                summary="One of your payouts",
                returns=PayoutAnswer,
                tag="wallet",
                errors=(PAYOUT_NOT_FOUND,),
                example=EXAMPLE,
            ),
            Route(
                "POST",
                "/wallet/payouts/{id}/cancel",
                self.cancel,
                summary="Take a payout back that nobody has decided on; the money is yours again",
                returns=PayoutAnswer,
                tag="wallet",
                errors=(PAYOUT_NOT_FOUND, "WRONG_STATE", *KEY_ERRORS),
            ),
        ]

    async def earnings(self, request: web.Request) -> web.Response:
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = await earnings.read_earnings(
                conn, caller(request).user_id, self._currency, delay_s=self._release_after_s
            )
        return reply(
            EarningsView(
                pending=found.pending_minor,
                available=found.available_minor,
                in_payout=found.in_payout_minor,
                paid_out=found.paid_out_minor,
                total_earned=found.total_minor,
                currency=self._currency,
                next_release_at=found.next_release_at,
            )
        )

    async def request(self, request: web.Request) -> web.Response:
        body = await read_body(request, PayoutBody)
        if body.amount < self._amount_min:
            raise BELOW_MINIMUM.problem(field="amount", minimum=self._amount_min)
        me, key = caller(request), key_of(request)
        user_id = me.user_id
        # Outside of the key, which would keep the refusal: after a log-in the same key is good.
        async with DEADLINE(), self._pool.acquire() as conn:
            await self._check_fresh(conn, me)
        # An attempt that crashed after its commit finds its payout again under the same id.
        payout_id = new_id() if key is None else uuid5(_PAYOUTS, f"{user_id}:{key}")

        async def work() -> web.Response:
            async with (
                DEADLINE(),
                self._pool.acquire() as conn,
                conn.transaction(),
            ):
                payout = await payouts.request(
                    conn,
                    payout_id=payout_id,
                    user_id=user_id,
                    amount_minor=body.amount,
                    currency=self._currency,
                    destination=body.destination,
                    note=body.note,
                )
            return reply(PayoutAnswer(payout=view_of(payout)), 201)

        return await self._idempotency.once(request, body, work)

    async def mine(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await payouts.list_of(
                conn, caller(request).user_id, limit=query.limit, offset=offset
            )
        items = [view_of(each) for each in found]
        return reply(PayoutList(items=items, total=total, limit=query.limit, offset=offset))

    async def one(self, request: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await payouts.read(conn, caller(request).user_id, path_id(request))
        if found is None:
            raise PAYOUT_NOT_FOUND.problem()
        return reply(PayoutAnswer(payout=view_of(found)))

    async def cancel(self, request: web.Request) -> web.Response:
        payout_id, user_id = path_id(request), caller(request).user_id

        async def work() -> web.Response:
            async with (
                DEADLINE(),
                self._pool.acquire() as conn,
                conn.transaction(),
            ):
                payout = await payouts.cancel(conn, user_id, payout_id)
            return reply(PayoutAnswer(payout=view_of(payout)))

        return await self._idempotency.once(request, Body(), work)


def view_of(payout: Payout) -> PayoutView:
    """A payout as its owner sees it."""
    return PayoutView(
        id=payout.id,
        amount=payout.amount_minor,
        currency=payout.currency,
        status=payout.status,
        destination=payout.destination,
        note=payout.note,
        requested_at=payout.requested_at,
        decided_at=payout.decided_at,
        reason=payout.reason,
        reference=payout.paid_reference,
    )
