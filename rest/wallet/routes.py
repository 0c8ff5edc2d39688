"""Balances, entries and what calls have cost, of the caller only."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid5

from aiohttp import web

from rest.http.body import read_query
from rest.http.errors import Fault
from rest.http.identity import caller
from rest.http.pages import first_row, span_of
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.wallet.bodies import (
    BalanceView,
    EntryList,
    EntryQuery,
    EntryView,
    UsageList,
    UsageQuery,
    UsageView,
    WalletAnswer,
    WalletList,
    WalletView,
)
from storage import call_history, wallet
from storage.call_history import Usage
from storage.deadline import Deadline
from storage.pool import Connection, Pool
from storage.together import Together
from storage.wallet import Balance, Wallet, Wanted

DEADLINE = Deadline(4.0)
WALLET_NOT_FOUND = Fault(404, "WALLET_NOT_FOUND", "You have no such wallet.")
PAGE_FAULTS = ("INVALID_QUERY",)
USAGE_EXAMPLE = {
    "items": [
        {
            "usageId": "0198f2a0-0000-7000-8000-000000000001",
            "callId": "0198f2a0-0000-7000-8000-000000000001",
            "otomoId": "0198f2a0-0000-7000-8000-000000000002",
            "otomoName": "Kai",
            "usedPoints": 240,
            "refundedPoints": 0,
            "durationMinutes": 2,
            "durationSeconds": 70,
            "createdAt": "2026-01-01T10:01:15Z",
        }
    ],
    "total": 1,
    "limit": 20,
    "offset": 0,
}


class WalletRoutes:
    def __init__(self, pool: Pool, *, currency: str) -> None:
        """`currency` is the deployment's: the one calls are paid in."""
        self._pool = pool
        self._currency = currency
        self._balances: Together[UUID, Balance | None] = Together(self._read_balances)

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/wallet/balance",
                self.balance,
                summary="What you may spend on calls",
                returns=BalanceView,
                tag="wallet",
                errors=(WALLET_NOT_FOUND,),
            ),
            Route(
                "GET",
                "/wallet/entries",
                self.spending_entries,
                summary="What moved in the wallet that pays for calls, newest first",
                returns=EntryList,
                query=EntryQuery,
                tag="wallet",
                errors=(WALLET_NOT_FOUND, *PAGE_FAULTS),
            ),
            Route(
                "GET",
                "/wallet/usage",
                self.usage,
                summary="What your calls have cost you, one row for each that has ended",
                returns=UsageList,
                query=UsageQuery,
                tag="wallet",
                example=USAGE_EXAMPLE,
            ),
            Route(
                "GET",
                "/wallets",
                self.wallets,
                summary="Your wallets",
                returns=WalletList,
                tag="wallet",
            ),
            Route(
                "GET",
                "/wallets/{id}",
                self.one,
                summary="One of your wallets",
                returns=WalletAnswer,
                tag="wallet",
                errors=(WALLET_NOT_FOUND,),
            ),
            Route(
                "GET",
                "/wallets/{id}/entries",
                self.entries,
                summary="What moved in one of your wallets, newest first",
                returns=EntryList,
                query=EntryQuery,
                tag="wallet",
                errors=(WALLET_NOT_FOUND, *PAGE_FAULTS),
            ),
        ]

    async def balance(self, request: web.Request) -> web.Response:
        user_id = caller(request).user_id
        found = await self._balances.ask(user_id)
        if found is None:
            raise WALLET_NOT_FOUND.problem()
        return reply(
            BalanceView(
                user_id=user_id,
                balance=found.posted_minor,
                available=found.available_minor,
                held=found.held_minor,
                bonus=found.bonus_minor,
                bonus_expires_at=found.bonus_expires_at,
                currency=self._currency,
                updated_at=found.at,
            )
        )

    async def _read_balances(self, owners: Sequence[UUID]) -> list[Balance | None]:
        async with DEADLINE(), self._pool.acquire() as conn:
            return await wallet.read_balances(conn, owners, self._currency)

    async def wallets(self, request: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await wallet.list_wallets(conn, caller(request).user_id)
        return reply(WalletList(items=[_view(each) for each in found]))

    async def one(self, request: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await self._own(conn, request)
        return reply(WalletAnswer(wallet=_view(found)))

    async def entries(self, request: web.Request) -> web.Response:
        query = read_query(request, EntryQuery)
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await self._own(conn, request)
            return await self._entries(conn, request, query, found, [found.account])

    async def spending_entries(self, request: web.Request) -> web.Response:
        """Of both accounts that calls are paid from: one's own money and the bonus."""
        query = read_query(request, EntryQuery)
        async with DEADLINE(), self._pool.acquire() as conn:
            found = [
                each
                for each in await wallet.list_wallets(conn, caller(request).user_id)
                if each.kind in wallet.SPENDING_KINDS and each.currency == self._currency
            ]
            if not found:
                raise WALLET_NOT_FOUND.problem()
            # Made at sign-up, so it stands before the bonus.
            accounts = [each.account for each in found]
            return await self._entries(conn, request, query, found[0], accounts)

    async def usage(self, request: web.Request) -> web.Response:
        query = read_query(request, UsageQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            rows, total = await call_history.list_usage(
                conn,
                caller(request).user_id,
                with_user=query.otomo_id,
                oldest_first=query.sort == "oldest",
                limit=query.limit,
                offset=offset,
            )
        items = [_usage(row) for row in rows]
        return reply(UsageList(items=items, total=total, limit=query.limit, offset=offset))

    async def _entries(
        self,
        conn: Connection,
        request: web.Request,
        query: EntryQuery,
        found: Wallet,
        accounts: list[int],
    ) -> web.Response:
        offset = first_row(query)
        since, until = span_of(query)
        items, total = await wallet.list_entries(
            conn,
            caller(request).user_id,
            accounts,
            limit=query.limit,
            offset=offset,
            wanted=Wanted(kind=query.kind, direction=query.direction, since=since, until=until),
        )
        views = [
            EntryView(
                # The operation's number would tell how many there are in the whole deployment.
                id=uuid5(found.id, str(entry.id)),
                kind=entry.kind,
                amount=entry.amount_minor,
                direction="credit" if entry.amount_minor > 0 else "debit",
                currency=found.currency,
                ref=entry.ref,
                at=entry.at,
            )
            for entry in items
        ]
        return reply(
            EntryList(
                wallet_id=found.id, items=views, total=total, limit=query.limit, offset=offset
            )
        )

    async def _own(self, conn: Connection, request: web.Request) -> Wallet:
        found = await wallet.read_wallet(conn, caller(request).user_id, path_id(request))
        if found is None:
            raise WALLET_NOT_FOUND.problem()
        return found


def _view(found: Wallet) -> WalletView:
    return WalletView(
        id=found.id,
        type=found.kind,
        balance=found.posted_minor,
        available=found.available_minor,
        held=found.held_minor,
        currency=found.currency,
        created_at=found.created_at,
    )


def _usage(row: Usage) -> UsageView:
    return UsageView(
        # One row for each call.
        usage_id=row.call_id,
        call_id=row.call_id,
        otomo_id=row.callee_id,
        otomo_name=row.callee_name,
        used_points=row.charged_minor,
        refunded_points=row.refunded_minor,
        duration_minutes=-(-row.talk_ms // 60_000),
        duration_seconds=-(-row.talk_ms // 1_000),
        created_at=row.ended_at,
    )
