"""Where people are logged in, for operators, and ending it."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rest.http.body import read_query
from rest.http.errors import Fault
from rest.http.identity import NO_USER, caller
from rest.http.pages import PageQuery, first_row
from rest.http.reply import Done, reply
from rest.http.route import Route, path_id
from rest.operators.people_bodies import (
    LOGIN_EXAMPLE,
    LoginList,
    LoginsEnded,
    LoginView,
    ReasonQuery,
)
from storage import sanctions
from storage.deadline import Deadline
from storage.pool import Pool

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
TAG = "operators"
LOGINS = "/operators/users/{id}/sessions"

NO_SESSION = Fault(404, "SESSION_NOT_FOUND", "They have no such session.")


class LoginRoutes:
    def __init__(
        self, pool: Pool, *, clock: Callable[[], int], end_session: Callable[..., None]
    ) -> None:
        """`clock` gives Unix ms; `end_session` is told of the ids of sessions that were revoked,
        to refuse their tokens and close their sockets."""
        self._pool = pool
        self._clock = clock
        self._end_session = end_session

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                LOGINS,
                self.logins,
                summary="Where somebody is logged in, the latest log-in first",
                returns=LoginList,
                query=PageQuery,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_USER,),
                example=LoginList(items=[LOGIN_EXAMPLE], total=1, limit=20, offset=0),
            ),
            Route(
                "DELETE",
                f"{LOGINS}/{{session}}",
                self.end,
                summary="End one log-in of somebody and close its sockets",
                returns=Done,
                query=ReasonQuery,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_SESSION,),
                example=Done(),
            ),
            Route(
                "DELETE",
                LOGINS,
                self.end_all,
                summary="End all log-ins of somebody and close their sockets",
                returns=LoginsEnded,
                query=ReasonQuery,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_USER,),
                example=LoginsEnded(ended=2),
            ),
        ]

    async def logins(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await sanctions.list_logins(
                conn, path_id(request), now_ms=self._clock(), limit=query.limit, offset=offset
            )
        items = [
            LoginView(
                id=each.id,
                device=each.device,
                created_at=each.created_at,
                last_seen_at=each.last_seen_at,
            )
            for each in found
        ]
        return reply(LoginList(items=items, total=total, limit=query.limit, offset=offset))

    async def end(self, request: web.Request) -> web.Response:
        query = read_query(request, ReasonQuery)
        session_id = path_id(request, "session")
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            await sanctions.end_login(
                conn,
                path_id(request),
                session_id,
                operator=caller(request).user_id,
                reason=query.reason,
                now_ms=self._clock(),
            )
        # Also when it had ended before: that request may not have got to this point.
        self._end_session(session_id)
        return reply(Done())

    async def end_all(self, request: web.Request) -> web.Response:
        query = read_query(request, ReasonQuery)
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            ended = await sanctions.end_logins(
                conn,
                path_id(request),
                operator=caller(request).user_id,
                reason=query.reason,
                now_ms=self._clock(),
            )
        self._end_session(*ended)
        return reply(LoginsEnded(ended=len(ended)))
