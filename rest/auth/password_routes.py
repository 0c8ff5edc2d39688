"""Changing the password, or setting the first one of an account that logs in without."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar
from uuid import UUID

from aiohttp import web

from rest.auth.bodies import Password
from rest.auth.desk import SessionDesk
from rest.auth.passwords import Passwords, normal
from rest.auth.rules import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from rest.http.body import Body, read_body
from rest.http.errors import Fault
from rest.http.identity import FRESH_LOGIN_REQUIRED, Identity, caller
from rest.http.limiter import Limiter
from rest.http.reply import Done, reply
from rest.http.route import Route
from signalling.limits import Rate
from storage import credentials, notifications
from storage.errors import Conflict
from storage.ids import new_id
from storage.pool import Pool, within

DB_S = 4.0
TRIES = Rate(5, 60_000)

BAD_FORMAT = Fault(
    400,
    "INVALID_PASSWORD_FORMAT",
    f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} printable characters.",
)
SAME = Fault(400, BAD_FORMAT.code, "The new password must differ from the current one.")
WRONG = Fault(400, "INVALID_CURRENT_PASSWORD", "This is not the current password.")


class PasswordChange(Body, frozen=True):
    """`currentPassword` may only be left out by accounts that have none."""

    CODES: ClassVar[dict[str, str]] = {
        "newPassword": BAD_FORMAT.code,
        "currentPassword": WRONG.code,
    }

    new_password: Password
    current_password: Password | None = None


class PasswordRoutes:
    """A changed password ends all other sessions of the account."""

    def __init__(
        self,
        pool: Pool,
        passwords: Passwords,
        desk: SessionDesk,
        *,
        clock: Callable[[], int],
        tries: Rate = TRIES,
    ) -> None:
        """`clock` gives Unix ms."""
        self._pool = pool
        self._passwords = passwords
        self._clock = clock
        self._desk = desk
        self._by_account = Limiter(tries, clock)

    def table(self) -> list[Route]:
        return [
            Route(
                "PUT",
                "/user/password",
                self.change,
                summary="Change the password, and log out everywhere else",
                returns=Done,
                body=PasswordChange,
                tag="user",
                errors=(FRESH_LOGIN_REQUIRED, "CONFLICT"),
                example=Done(),
            )
        ]

    async def change(self, request: web.Request) -> web.Response:
        body = await read_body(request, PasswordChange)
        check_format(body.new_password)
        me = caller(request)
        self._by_account.check(str(me.user_id))
        kept = await within(DB_S, self._read(me.user_id))
        given = body.current_password
        if kept is None and given is None:
            await within(DB_S, self._check_fresh(me))
        elif given is None or not await self._passwords.check(given, kept):
            raise WRONG.problem(field="currentPassword")
        elif normal(body.new_password) == normal(given):
            raise SAME.problem(field="newPassword")
        fresh = await self._passwords.hash(body.new_password)
        self._desk.end(*await within(DB_S, self._write(me, kept, fresh)))
        self._by_account.forgive(str(me.user_id))
        return reply(Done())

    async def _read(self, user_id: UUID) -> str | None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await credentials.read_hash(conn, user_id)

    async def _check_fresh(self, me: Identity) -> None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            await self._desk.check_fresh(conn, me)

    async def _write(self, me: Identity, kept: str | None, fresh: str) -> list[UUID]:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            if not await credentials.change_password(conn, me.user_id, kept, fresh):
                raise Conflict("The password was changed at the same moment.")
            ended = await credentials.revoke_sessions_of(
                conn, me.user_id, why="password_changed", now_ms=self._clock(), but=me.session_id
            )
            await notifications.add(
                conn,
                user_id=me.user_id,
                type="PASSWORD_CHANGED",
                message="Your password was changed, and you were logged out everywhere else.",
                source=f"password:{new_id()}",
            )
            return ended


def check_format(password: str) -> None:
    """
    Raises:
        Problem: 400 INVALID_PASSWORD_FORMAT.
    """
    length = len(password)
    if not PASSWORD_CHARS_MIN <= length <= PASSWORD_CHARS_MAX or not password.isprintable():
        raise BAD_FORMAT.problem(field="newPassword")
