"""Where the caller is logged in, and ending one of these sessions from another."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aiohttp import web

from rest.auth import bodies
from rest.auth.desk import SessionDesk
from rest.http.errors import Fault
from rest.http.identity import caller
from rest.http.reply import Done, reply
from rest.http.route import Route, path_id
from storage import credentials
from storage.credentials import LiveSession
from storage.pool import Pool, within

DB_S = 4.0
SESSIONS_MAX = 100

SESSION_NOT_FOUND = Fault(404, "SESSION_NOT_FOUND", "You have no such session.")


class SessionRoutes:
    def __init__(self, pool: Pool, desk: SessionDesk, *, clock: Callable[[], int]) -> None:
        """`clock` gives Unix ms."""
        self._pool = pool
        self._desk = desk
        self._clock = clock

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/auth/sessions",
                self.mine,
                summary="Where you are logged in, latest first, 100 at most",
                returns=bodies.SessionList,
                tag="auth",
                example={
                    "sessions": [
                        {
                            "id": "0192f1a0-0000-7000-8000-000000000000",
                            "device": "TalkApp/2.1 (Android 15)",
                            "createdAt": "2026-01-31T09:30:00Z",
                            "current": True,
                        }
                    ]
                },
            ),
            Route(
                "DELETE",
                "/auth/sessions/{id}",
                self.end,
                summary="End one of your sessions and close its sockets",
                returns=Done,
                tag="auth",
                errors=(SESSION_NOT_FOUND,),
                example={},
            ),
        ]

    async def mine(self, request: web.Request) -> web.Response:
        me = caller(request)
        views = [
            bodies.SessionView(
                id=each.id,
                device=each.device,
                created_at=each.created_at,
                current=each.id == me.session_id,
            )
            for each in await within(DB_S, self._read(me.user_id))
        ]
        return reply(bodies.SessionList(sessions=views))

    async def _read(self, user_id: UUID) -> list[LiveSession]:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await credentials.list_sessions(
                conn, user_id, now_ms=self._clock(), limit=SESSIONS_MAX
            )

    async def end(self, request: web.Request) -> web.Response:
        session_id = path_id(request)
        if not await within(DB_S, self._revoke(session_id, caller(request).user_id)):
            raise SESSION_NOT_FOUND.problem()
        self._desk.end(session_id)
        return reply(Done())

    async def _revoke(self, session_id: UUID, user_id: UUID) -> bool:
        """True if it is the user's and, as far as this process knew, had not ended."""
        async with self._pool.acquire(timeout=DB_S) as conn:
            revoked = await credentials.revoke_session(
                conn, session_id, why="ended_by_owner", now_ms=self._clock(), user_id=user_id
            )
            # A request before may have committed and not heard of it: its tokens still pass here.
            return revoked or (
                self._desk.is_live(session_id)
                and await credentials.is_revoked(conn, session_id, user_id)
            )
