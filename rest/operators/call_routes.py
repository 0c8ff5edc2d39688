"""Calls of everybody: which there are, what happened in one, and its end by an operator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault, Problem
from rest.http.identity import caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.operators.call_bodies import CallAnswer, CallList, CallsQuery, EndBody, TimelineAnswer
from rest.operators.call_examples import DETAIL, LIST, TIMELINE
from rest.operators.call_words import call_detail, call_view
from rest.operators.timeline import timeline
from signalling.calls.oversight import LiveCall
from signalling.codes import Code, Refused, State
from storage import call_journals, calls, operator_calls
from storage.deadline import Deadline
from storage.operator_calls import DAYS_DEFAULT, Owned, Wanted
from storage.pool import Connection, Pool

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
TAG = "operators"
CALLS, CALL = "/operators/calls", "/operators/calls/{id}"

CALL_NOT_FOUND = Fault(404, "CALL_NOT_FOUND", "There is no such call.")


class Overseer(Protocol):
    """Live calls of all nodes (`signalling.calls.oversight`)."""

    async def look(
        self, wanted: Mapping[str, Sequence[UUID]], *, journal: bool = False
    ) -> dict[UUID, LiveCall]: ...


class OperatorCallRoutes:
    def __init__(
        self,
        pool: Pool,
        overseer: Overseer,
        *,
        stop: Callable[[UUID], Awaitable[object]],
        clock: Callable[[], int],
    ) -> None:
        """`stop` ends a live call of any node as the operator, and raises `Refused`."""
        self._pool = pool
        self._overseer = overseer
        self._stop = stop
        self._clock = clock

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                CALLS,
                self.calls,
                summary="Calls of everybody, the newest first, by state, user, reason and time",
                returns=CallList,
                query=CallsQuery,
                tag=TAG,
                roles=ADMIN,
                example=LIST,
            ),
            Route(
                "GET",
                CALL,
                self.one,
                summary="A call with its tariff, legs, meter and postings",
                returns=CallAnswer,
                tag=TAG,
                roles=ADMIN,
                errors=(CALL_NOT_FOUND,),
                example=DETAIL,
            ),
            Route(
                "GET",
                f"{CALL}/timeline",
                self.timeline,
                summary="What happened in a call: inputs, events, money and operators, in order",
                returns=TimelineAnswer,
                tag=TAG,
                roles=ADMIN,
                errors=(CALL_NOT_FOUND,),
                example=TIMELINE,
            ),
            Route(
                "POST",
                f"{CALL}/end",
                self.end,
                summary="End a live call, on whichever node; one that has ended stays as it is",
                returns=CallAnswer,
                body=EndBody,
                tag=TAG,
                roles=ADMIN,
                errors=(CALL_NOT_FOUND, "UNAVAILABLE"),
                example=DETAIL,
                body_example=EndBody(reason="Reported by the callee."),
            ),
        ]

    async def calls(self, request: web.Request) -> web.Response:
        query = read_query(request, CallsQuery)
        offset, wanted = first_row(query), _wanted(query)
        async with DEADLINE():
            async with self._pool.acquire() as conn, conn.transaction(readonly=True):
                found, total = await operator_calls.find(conn, wanted, query.limit, offset)
            live, now_ms = await self._look(found), self._clock()
        views = [call_view(each, live.get(each.row.call_id), now_ms) for each in found]
        return reply(CallList(items=views, total=total, limit=query.limit, offset=offset))

    async def one(self, request: web.Request) -> web.Response:
        return reply(await self._answer(path_id(request)))

    async def timeline(self, request: web.Request) -> web.Response:
        call_id = path_id(request)
        async with DEADLINE():
            async with (
                self._pool.acquire() as conn,
                conn.transaction(isolation="repeatable_read", readonly=True),
            ):
                owned = await _read(conn, call_id)
                parts = (
                    await call_journals.of_call(conn, call_id),
                    await calls.read_units(conn, call_id),
                    await operator_calls.transfers(conn, call_id),
                    await operator_calls.audited(conn, call_id),
                )
            live = await self._look([owned], journal=True)
        return reply(timeline(owned, live.get(call_id), *parts))

    async def end(self, request: web.Request) -> web.Response:
        body = await read_body(request, EndBody)
        call_id, operator = path_id(request), caller(request).user_id
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            owned = await _read(conn, call_id)
            if owned.row.state != State.ENDED:
                # Before it is done: another node does it, and not in this transaction.
                await operator_calls.note_end(conn, call_id, actor=operator, reason=body.reason)
        if owned.row.state != State.ENDED:
            await self._end(call_id)
        return reply(await self._answer(call_id))

    async def _end(self, call_id: UUID) -> None:
        try:
            await self._stop(call_id)
        except Refused as refused:
            if refused.code is not Code.NOT_FOUND:
                raise
            # It has ended meanwhile, or goes from one node to another at this moment.
            async with DEADLINE(), self._pool.acquire() as conn:
                owned = await _read(conn, call_id)
            if owned.row.state != State.ENDED:
                raise Refused(
                    Code.UNAVAILABLE, "The call is on its way; ask again.", retry_after_ms=500
                ) from None

    async def _answer(self, call_id: UUID) -> CallAnswer:
        async with DEADLINE():
            async with (
                self._pool.acquire() as conn,
                conn.transaction(isolation="repeatable_read", readonly=True),
            ):
                owned = await _read(conn, call_id)
                postings = await calls.read_units(conn, call_id)
            live = await self._look([owned])
        return CallAnswer(call=call_detail(owned, live.get(call_id), postings, self._clock()))

    async def _look(self, found: Sequence[Owned], *, journal: bool = False) -> dict[UUID, LiveCall]:
        """What their nodes say of those that have not ended, or have at this moment."""
        wanted: dict[str, list[UUID]] = defaultdict(list)
        for each in found:
            if each.address is not None and (each.row.state != State.ENDED or journal):
                wanted[each.address].append(each.row.call_id)
        return await self._overseer.look(wanted, journal=journal)


async def _read(conn: Connection, call_id: UUID) -> Owned:
    """
    Raises:
        Problem: 404 CALL_NOT_FOUND.
    """
    owned = await operator_calls.read(conn, call_id)
    if owned is None:
        raise CALL_NOT_FOUND.problem()
    return owned


def _wanted(query: CallsQuery) -> Wanted:
    """The filters in storage's terms.

    Raises:
        Problem: 400 INVALID_FILTER, they contradict each other.
    """
    for name, at in (("since", query.since), ("until", query.until)):
        # Brought to UTC, the first and the last year may lie outside of what can be counted.
        if at is not None and not MINYEAR < at.year < MAXYEAR:
            raise _contradiction(name, "That is no moment of ours.")
    live = None if query.state is None else query.state == "live"
    if live and query.reason is not None:
        raise _contradiction("reason", "A live call has no reason yet.")
    if query.since is not None and query.until is not None and query.until < query.since:
        raise _contradiction("until", "until is before since.")
    since = query.since
    if since is None and query.user_id is None and query.until is None and not live:
        since = datetime.now(UTC) - timedelta(days=DAYS_DEFAULT)
    return Wanted(
        live=live,
        user_id=query.user_id,
        reason=query.reason,
        since=since,
        until=query.until,
    )


def _contradiction(field: str, message: str) -> Problem:
    return Problem(400, "INVALID_FILTER", message, {"field": field})
