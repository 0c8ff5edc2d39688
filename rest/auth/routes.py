"""Sign-up, log-in, log-out, refresh, and the caller's own session."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from uuid import UUID

from aiohttp import web

from rest.auth import bodies, rules
from rest.auth.desk import DELETED, SUSPENDED, LoggedIn, SessionDesk, device_of
from rest.auth.passwords import Passwords
from rest.auth.tokens import TokenKeys, refresh_hash
from rest.http import phones
from rest.http.body import read_body
from rest.http.errors import Fault, Problem
from rest.http.identity import NO_USER, address_of, caller, unauthorized
from rest.http.limiter import Limiter
from rest.http.reply import Done, reply
from rest.http.route import Route
from storage import credentials, users
from storage.pool import Pool, within

DB_S = 4.0

EMAIL_USED = Fault(409, "EMAIL_ALREADY_USED", "This e-mail address has an account.")
NO_LOGIN_NAME = Fault(400, "INVALID_PAYLOAD", "Give either email or phone.")
BAD_CREDENTIALS = Fault(401, "INVALID_CREDENTIALS", "Name or password is wrong.")
BAD_REFRESH = Fault(401, "INVALID_REFRESH_TOKEN", "Log in again.")

_refresh_form = re.compile(r"[A-Za-z0-9_-]{43}")


async def no_call(_: UUID) -> None:
    """Where nobody can be in a call."""


class AuthRoutes:
    def __init__(
        self,
        pool: Pool,
        keys: TokenKeys,
        passwords: Passwords,
        desk: SessionDesk,
        *,
        clock: Callable[[], int],
        leave_call: Callable[[UUID], Awaitable[None]] = no_call,
    ) -> None:
        """`clock` gives Unix ms and never goes back; `leave_call` ends the live call of a user who
        logs out of their last session."""
        self._pool = pool
        self._keys = keys
        self._passwords = passwords
        self._desk = desk
        self._clock = clock
        self._leave_call = leave_call
        self._settings = desk.settings
        self._by_account = Limiter(self._settings.login_account, clock)
        self._by_account_anywhere = Limiter(self._settings.login_account_anywhere, clock)
        self._by_address = Limiter(self._settings.login_address, clock)
        self._signups = Limiter(self._settings.signup_address, clock)

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/auth/signup",
                self.signup,
                summary="Create an account and log in",
                returns=bodies.Session,
                body=bodies.Signup,
                tag="auth",
                status=201,
                auth=False,
                aliases=("/auth/register",),
                errors=(EMAIL_USED,),
            ),
            Route(
                "POST",
                "/users/register",
                self.register,
                summary="Create an account and log in; without a name it gets one to begin with",
                returns=bodies.Session,
                body=bodies.Signup,
                tag="auth",
                status=201,
                auth=False,
                errors=(EMAIL_USED,),
            ),
            Route(
                "POST",
                "/auth/login",
                self.login,
                summary="Log in with e-mail address or phone number, and password",
                returns=bodies.Session,
                body=bodies.Login,
                tag="auth",
                auth=False,
                errors=(BAD_CREDENTIALS, SUSPENDED, DELETED),
            ),
            Route(
                "POST",
                "/auth/refresh",
                self.refresh,
                summary="Exchange a refresh token, once, for fresh tokens",
                returns=bodies.Tokens,
                body=bodies.Refresh,
                tag="auth",
                auth=False,
                errors=(BAD_REFRESH,),
            ),
            Route(
                "POST",
                "/auth/logout",
                self.logout,
                summary="End this session, close its sockets, and with the last one a call",
                returns=Done,
                tag="auth",
            ),
            Route(
                "GET",
                "/auth/me",
                self.me,
                summary="The account of this session",
                returns=bodies.Me,
                tag="auth",
                errors=(NO_USER,),
            ),
        ]

    async def signup(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.Signup)
        return await self._sign_up(request, body, _name_of(body))

    async def register(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.Signup)
        name = rules.default_name() if _is_nameless(body) else _name_of(body)
        return await self._sign_up(request, body, name)

    async def _sign_up(self, request: web.Request, body: bodies.Signup, name: str) -> web.Response:
        email = rules.clean_email(body.email)
        password = rules.check_password(body.password)
        self._signups.check(address_of(request))
        password_hash = await self._passwords.hash(password)
        device = device_of(request)
        return reply(await within(DB_S, self._create(name, email, password_hash, device)), 201)

    async def _create(
        self, name: str, email: str, password_hash: str, device: str | None
    ) -> bodies.Session:
        currency = self._settings.currency
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            user_id = await users.create_user(conn, name=name, email=email, currency=currency)
            await credentials.set_password(conn, user_id, password_hash)
            return await self._desk.open(conn, user_id, device)

    async def login(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.Login)
        if (body.email is None) == (body.phone is None):
            raise NO_LOGIN_NAME.problem(field="email")
        email = None if body.email is None else body.email.strip().lower()
        phone = None if body.phone is None else phones.e164(body.phone, self._settings.region)
        account = email or phone or "unknown"
        address = address_of(request)
        self._by_address.check(address)
        self._by_account.check(f"{address} {account}")
        self._by_account_anywhere.check(account)
        found = await within(DB_S, self._find(email, phone))
        kept = None if found is None else found.password_hash
        if not await self._passwords.check(body.password, kept) or found is None:
            raise BAD_CREDENTIALS.problem()
        self._by_account.forgive(f"{address} {account}")
        self._by_account_anywhere.forgive(account)
        device = device_of(request)
        fresh = None
        if self._passwords.is_outdated(found.password_hash):
            fresh = await self._passwords.hash(body.password)
        opened = await within(DB_S, self._log_in(found, fresh, device))
        self._desk.end(*opened.ended)
        return reply(opened.session)

    async def _find(self, email: str | None, phone: str | None) -> credentials.Login | None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await credentials.read_login(conn, email=email, phone=phone)

    async def _log_in(
        self, login: credentials.Login, fresh_hash: str | None, device: str | None
    ) -> LoggedIn:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            # Only who knows the password hears what has become of the account.
            opened = await self._desk.log_in(conn, login.user_id, login.status, device)
            if fresh_hash is not None:
                await credentials.replace_hash(conn, login.user_id, login.password_hash, fresh_hash)
            # No session may outlive a change of the password that it was opened with.
            if await credentials.read_hash(conn, login.user_id) not in (
                login.password_hash,
                fresh_hash,
            ):
                raise BAD_CREDENTIALS.problem()
            return opened

    async def refresh(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.Refresh)
        token = body.refresh_token or body.refresh_token_snake
        if token is None:
            raise Problem(
                400, "INVALID_PAYLOAD", "The refresh token is missing.", {"field": "refreshToken"}
            )
        if not _refresh_form.fullmatch(token):
            raise _bad_refresh()
        successor = self._keys.next_refresh(token)
        match await within(DB_S, self._rotate(token, successor)):
            case credentials.Rotated() as held if self._desk.is_live(held.session_id):
                return reply(
                    self._desk.tokens(held.user_id, held.session_id, held.roles, successor)
                )
            case credentials.Reused() as stolen:
                self._desk.end(stolen.session_id)
        raise _bad_refresh()

    async def _rotate(
        self, token: str, successor: str
    ) -> credentials.Rotated | credentials.Reused | None:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            return await credentials.rotate(
                conn,
                old_hash=refresh_hash(token),
                new_hash=refresh_hash(successor),
                now_ms=self._clock(),
                grace_ms=self._settings.replay_grace_ms,
                idle_ms=self._settings.refresh_idle_s * 1000,
            )

    async def logout(self, request: web.Request) -> web.Response:
        me = caller(request)
        if await within(DB_S, self._revoke(me.user_id, me.session_id)):
            await self._leave_call(me.user_id)
        self._desk.end(me.session_id)
        return reply(Done())

    async def _revoke(self, user_id: UUID, session_id: UUID) -> bool:
        """True if that was the last session of the user."""
        now_ms = self._clock()
        async with self._pool.acquire(timeout=DB_S) as conn:
            await credentials.revoke_session(conn, session_id, why="logout", now_ms=now_ms)
            return not await credentials.has_session(conn, user_id, now_ms)

    async def me(self, request: web.Request) -> web.Response:
        user = await within(DB_S, self._read(caller(request).user_id))
        if user is None:
            raise NO_USER.problem()
        return reply(bodies.Me(user=self._desk.shown(user)))

    async def _read(self, user_id: UUID) -> users.User | None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await users.read_user(conn, user_id, self._settings.currency)


def _name_of(body: bodies.Signup) -> str:
    """
    Raises:
        Problem: 400 INVALID_NAME.
    """
    return rules.clean_name(
        body.name,
        body.first_name or body.first_name_snake,
        body.last_name or body.last_name_snake,
    )


def _is_nameless(body: bodies.Signup) -> bool:
    given = (
        body.name,
        body.first_name,
        body.first_name_snake,
        body.last_name,
        body.last_name_snake,
    )
    return all(each is None for each in given)


def _bad_refresh() -> Problem:
    return unauthorized(BAD_REFRESH.code, BAD_REFRESH.message, error="invalid_token")
