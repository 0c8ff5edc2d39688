"""People's wallets and payments, for operators to look at."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from rest.http.body import read_query
from rest.http.errors import Fault
from rest.http.identity import NO_USER, caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.operators.money_bodies import (
    ACCOUNTS_EXAMPLE,
    PAYMENTS_EXAMPLE,
    POSTINGS_EXAMPLE,
    AccountList,
    AccountView,
    FoundPayments,
    FoundPaymentView,
    PaymentQuery,
    PostingList,
    PostingQuery,
    PostingView,
)
from storage import ledger, payment_search, wallet
from storage.deadline import Deadline
from storage.payment_search import FoundPayment
from storage.pool import Pool
from storage.selling import Sellers
from storage.wallet import Wanted

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
TAG = "operators"
WALLETS = "/operators/users/{id}/wallets"

NO_WALLET = Fault(404, "WALLET_NOT_FOUND", "They have no such wallet.")


class MoneyRoutes:
    def __init__(self, pool: Pool, *, sellers: Sellers) -> None:
        """Of what is sold, only `sellers` can take back what was sold."""
        self._pool = pool
        self._sellers = sellers

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                WALLETS,
                self.wallets,
                summary="Somebody's wallets",
                returns=AccountList,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_USER,),
                example=ACCOUNTS_EXAMPLE,
            ),
            Route(
                "GET",
                f"{WALLETS}/{{wallet}}/entries",
                self.entries,
                summary="What moved in one of somebody's wallets, newest first",
                returns=PostingList,
                query=PostingQuery,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_WALLET,),
                example=POSTINGS_EXAMPLE,
            ),
            Route(
                "GET",
                "/operators/payments",
                self.payments,
                summary="Everybody's payments, newest first, and which can be refunded",
                returns=FoundPayments,
                query=PaymentQuery,
                tag=TAG,
                roles=ADMIN,
                example=PAYMENTS_EXAMPLE,
            ),
        ]

    async def wallets(self, request: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await wallet.list_wallets(conn, path_id(request))
        if not found:
            # Accounts are made at sign-up.
            raise NO_USER.problem()
        items = [
            AccountView(
                id=each.id,
                type=each.kind,
                balance=each.posted_minor,
                available=each.available_minor,
                held=each.held_minor,
                currency=each.currency,
            )
            for each in found
        ]
        return reply(AccountList(items=items))

    async def entries(self, request: web.Request) -> web.Response:
        query = read_query(request, PostingQuery)
        offset = first_row(query)
        user_id = path_id(request)
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await wallet.read_wallet(conn, user_id, path_id(request, "wallet"))
            if found is None:
                raise NO_WALLET.problem()
            entries, total = await wallet.list_entries(
                conn,
                user_id,
                [found.account],
                limit=query.limit,
                offset=offset,
                wanted=Wanted(kind=query.kind, direction=query.direction),
            )
            keys = await ledger.keys_of(conn, [each.id for each in entries])
        items = [
            PostingView(
                operation=each.id,
                key=keys[each.id],
                kind=each.kind,
                amount=each.amount_minor,
                direction="credit" if each.amount_minor > 0 else "debit",
                currency=found.currency,
                ref=each.ref,
                at=each.at,
            )
            for each in entries
        ]
        return reply(
            PostingList(
                wallet_id=found.id, items=items, total=total, limit=query.limit, offset=offset
            )
        )

    async def payments(self, request: web.Request) -> web.Response:
        query = read_query(request, PaymentQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await payment_search.search(
                conn,
                user_id=query.user_id,
                status=query.status,
                gateway=query.gateway,
                limit=query.limit,
                offset=offset,
            )
        me = caller(request).user_id
        items = [self._payment(each, me) for each in found]
        return reply(FoundPayments(items=items, total=total, limit=query.limit, offset=offset))

    def _payment(self, payment: FoundPayment, me: UUID) -> FoundPaymentView:
        fields: dict[str, Any] = msgspec.structs.asdict(payment)
        can_go_back = payment.wallet is not None or payment.purpose in self._sellers
        return FoundPaymentView(
            amount=fields.pop("amount_minor"),
            **fields,
            # One's own is for somebody else to decide on.
            refundable=payment.status == "completed" and can_go_back and payment.user_id != me,
        )
