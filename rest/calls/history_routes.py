"""What has become of calls: history, receipts and timelines, for their two users."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec
from aiohttp import web

from rest.calls.bodies import CallView
from rest.calls.engine import Engine
from rest.calls.history_bodies import (
    BillingView,
    CallDetail,
    CallDetailAnswer,
    CallList,
    EventList,
    HistoryQuery,
    ReceiptAnswer,
)
from rest.calls.receipt import billing_of, events_of, receipt_of
from rest.calls.table import CALL_NOT_FOUND
from rest.calls.words import unit_views, view_of_row, view_of_snapshot
from rest.http.body import read_query
from rest.http.errors import Fault
from rest.http.identity import caller
from rest.http.pages import first_row, span_of
from rest.http.reply import reply
from rest.http.route import Route, path_id
from signalling.codes import State
from storage import call_history, calls
from storage.call_history import Wanted
from storage.calls import CallRow, UnitRow
from storage.deadline import Deadline
from storage.pool import Connection, Pool

DEADLINE = Deadline(4.0)
INVALID_FILTER = Fault(400, "INVALID_FILTER", "These filters contradict each other.")

_ID = "0198f2a0-0000-7000-8000-00000000000"
RECEIPT_EXAMPLE = {
    "receipt": {
        "callId": f"{_ID}1",
        "role": "caller",
        "caller": {"id": f"{_ID}2", "name": "Mia", "avatar": None},
        "callee": {"id": f"{_ID}3", "name": "Kai", "avatar": None},
        "kind": "audio",
        "status": "completed",
        "createdAt": "2026-01-01T10:00:00Z",
        "startedAt": "2026-01-01T10:00:05Z",
        "endedAt": "2026-01-01T10:01:15Z",
        "talkSeconds": 70,
        "billedSeconds": 120,
        "billedUnits": 2,
        "tariff": {
            "name": "minute",
            "pricePerMinute": 120,
            "currency": "PTS",
            "firstMs": 60000,
            "nextMs": 60000,
            "freeMs": 0,
            "connectFee": 0,
        },
        "tariffText": "120 PTS per minute, each started minute counts",
        "currency": "PTS",
        "total": 240,
        "refunds": [],
        "paid": 240,
        "settled": True,
    }
}
EVENTS_EXAMPLE = {
    "callId": f"{_ID}1",
    "items": [
        {"type": "created", "at": "2026-01-01T10:00:00Z"},
        {"type": "connected", "at": "2026-01-01T10:00:05Z"},
        {"type": "charged", "at": "2026-01-01T10:00:05Z", "amount": 120, "total": 120},
        {"type": "ended", "at": "2026-01-01T10:00:45Z", "reason": "hangup", "by": "caller"},
    ],
}


class HistoryRoutes:
    def __init__(
        self, pool: Pool, engine: Engine, *, clock: Callable[[], int], currency_exponent: int = 0
    ) -> None:
        """`clock` gives Unix ms; `currency_exponent` is for prices in words."""
        self._pool = pool
        self._engine = engine
        self._clock = clock
        self._exponent = currency_exponent

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/calls",
                self.history,
                summary="Your calls on either side, by role, status, kind, partner and time",
                returns=CallList,
                query=HistoryQuery,
                tag="calls",
            ),
            Route(
                "GET",
                "/calls/{id}",
                self.one,
                summary="One of your calls with its billed units",
                returns=CallDetailAnswer,
                tag="calls",
                errors=(CALL_NOT_FOUND,),
            ),
            Route(
                "GET",
                "/calls/{id}/billing",
                self.billing,
                summary="What a call cost, unit by unit, from the ledger",
                returns=BillingView,
                tag="calls",
                errors=(CALL_NOT_FOUND,),
            ),
            Route(
                "GET",
                "/calls/{id}/receipt",
                self.receipt,
                summary="The receipt of a call, as one would print it",
                returns=ReceiptAnswer,
                tag="calls",
                errors=(CALL_NOT_FOUND,),
                example=RECEIPT_EXAMPLE,
            ),
            Route(
                "GET",
                "/calls/{id}/events",
                self.events,
                summary="What happened in a call, in order",
                returns=EventList,
                tag="calls",
                errors=(CALL_NOT_FOUND,),
                example=EVENTS_EXAMPLE,
            ),
        ]

    async def history(self, request: web.Request) -> web.Response:
        query = read_query(request, HistoryQuery)
        offset = first_row(query)
        wanted = _wanted(query)
        user_id = caller(request).user_id
        async with DEADLINE(), self._pool.acquire() as conn:
            if wanted.statuses is not None:
                live = await self._live_status(conn, user_id)
                wanted = msgspec.structs.replace(wanted, live=live)
            rows, total = await call_history.list_calls(conn, user_id, query.limit, offset, wanted)
        views = [await self._view(row, user_id) for row in rows]
        return reply(
            CallList(
                items=views,
                calls=views,
                total=total,
                limit=query.limit,
                offset=offset,
                page=offset // query.limit + 1,
            )
        )

    async def one(self, request: web.Request) -> web.Response:
        row, postings = await self._read(request)
        fields = msgspec.structs.asdict(await self._view(row, caller(request).user_id))
        return reply(
            CallDetailAnswer(call=CallDetail(**fields, billing_units=unit_views(postings)))
        )

    async def billing(self, request: web.Request) -> web.Response:
        row, postings = await self._read(request)
        return reply(billing_of(row, self._view_of_row(row, request), postings))

    async def receipt(self, request: web.Request) -> web.Response:
        row, _ = await self._read(request)
        view = self._view_of_row(row, request)
        return reply(ReceiptAnswer(receipt=receipt_of(row, view, exponent=self._exponent)))

    async def events(self, request: web.Request) -> web.Response:
        row, postings = await self._read(request)
        view = await self._view(row, caller(request).user_id)
        return reply(EventList(call_id=row.call_id, items=events_of(view, row, postings)))

    async def _read(self, request: web.Request) -> tuple[CallRow, list[UnitRow]]:
        """The caller's call and its postings, both of one moment.

        Raises:
            Problem: 404 CALL_NOT_FOUND.
        """
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await calls.read_call(conn, caller(request).user_id, path_id(request))
            if row is None:
                raise CALL_NOT_FOUND.problem()
            return row, await calls.read_units(conn, row.call_id)

    async def _live_status(self, conn: Connection, user_id: UUID) -> tuple[UUID, str] | None:
        """The call whose row may be behind, and its status as it is going to be shown."""
        row = await calls.live_call(conn, user_id)
        return None if row is None else (row.call_id, (await self._view(row, user_id)).status)

    def _view_of_row(self, row: CallRow, request: web.Request) -> CallView:
        """The stored call alone: its sums, times and units are of one moment."""
        return view_of_row(row, caller(request).user_id, self._clock())

    async def _view(self, row: CallRow, user_id: UUID) -> CallView:
        """The engine knows a live call better than its row, which is written behind."""
        if row.state != State.ENDED:
            snapshot = await self._engine.snapshot(user_id, row.call_id)
            if snapshot is not None:
                return view_of_snapshot(snapshot, self._clock())
        return view_of_row(row, user_id, self._clock())


def _wanted(query: HistoryQuery) -> Wanted:
    """The filters in storage's terms.

    Raises:
        Problem: 400 INVALID_FILTER.
    """
    if query.kind and query.type and query.kind != query.type:
        raise INVALID_FILTER.problem(field="type")
    side = "callee" if query.role == "receiver" else query.role
    statuses: tuple[str, ...] | None = None if query.status is None else (query.status,)
    if query.status == "missed":
        if side == "caller":
            raise INVALID_FILTER.problem(field="status")
        side, statuses = "callee", ("cancelled", "failed")
    since, until = span_of(query)
    return Wanted(
        side=side,
        statuses=statuses,
        kind=query.kind or query.type,
        with_user=query.with_user,
        since=since,
        until=until,
        oldest_first=query.sort == "oldest",
    )
