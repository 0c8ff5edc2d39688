"""Log-in by phone: a code is sent, and whoever enters it has an account from then on."""

from __future__ import annotations

from aiohttp import web
from msgspec import UNSET

from rest.auth import bodies, rules
from rest.auth.desk import DELETED, SUSPENDED, LoggedIn, SessionDesk, device_of
from rest.auth.otp import SEND_ERRORS, VERIFY_ERRORS, Issued, Otps
from rest.auth.passwords import Passwords
from rest.http.body import read_body
from rest.http.identity import address_of
from rest.http.reply import reply
from rest.http.route import Route
from storage import credentials, users
from storage.pool import Connection, Pool, within
from storage.users import PhoneTaken, Standing

DB_S = 4.0
MESSAGE = "The code is on its way."
SENT_EXAMPLE = {"message": MESSAGE, "ttl": 120, "expiresIn": 120}
SESSION_EXAMPLE: dict[str, object] = {
    "token": "eyJhbGciOi…",
    "accessToken": "eyJhbGciOi…",
    "refreshToken": "lcjKY1…",
    "expiresIn": 900,
    "expires_in": 900,
    "user": {
        "id": "0192f1a0-0000-7000-8000-000000000000",
        "name": "User 4821",
        "email": None,
        "phone": "+12025550123",
        "avatar": None,
        "avatarUrl": None,
        "intro": None,
        "balance": 0,
        "roles": ["customer"],
        "role": "customer",
        "createdAt": "2026-01-31T09:30:00Z",
    },
}


class OtpRoutes:
    def __init__(self, pool: Pool, otps: Otps, passwords: Passwords, desk: SessionDesk) -> None:
        self._pool = pool
        self._otps = otps
        self._passwords = passwords
        self._desk = desk

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/otp/send",
                self.send,
                summary="Send a one-time code to a phone, with or without an account",
                returns=bodies.OtpSent,
                body=bodies.OtpSend,
                tag="auth",
                auth=False,
                errors=SEND_ERRORS,
                example=SENT_EXAMPLE,
            ),
            Route(
                "POST",
                "/otp/verify",
                self.verify,
                summary="Log in with the code; the first time, this makes the account",
                returns=bodies.Session,
                body=bodies.OtpVerify,
                tag="auth",
                auth=False,
                errors=(*VERIFY_ERRORS, SUSPENDED, DELETED),
                example=SESSION_EXAMPLE,
            ),
        ]

    async def send(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.OtpSend)
        phone = self._otps.phone(body.phone)
        issued = await self._otps.issue(phone, address=address_of(request), purpose="login")
        return reply(sent(issued))

    async def verify(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.OtpVerify)
        phone = self._otps.phone(body.phone)
        role = rules.check_role(body.role)
        name = rules.default_name() if body.name is None else rules.check_name(body.name)
        password = None if body.password is None else rules.check_password(body.password)
        await self._otps.prove(phone, body.otp, address=address_of(request), purpose="login")
        password_hash = None
        if password is not None and not await within(DB_S, self._is_known(phone)):
            password_hash = await self._passwords.hash(password)
        opened = await within(
            DB_S, self._log_in(phone, name, role, password_hash, device_of(request))
        )
        self._desk.end(*opened.ended)
        return reply(opened.session)

    async def _is_known(self, phone: str) -> bool:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await users.find_by_phone(conn, phone) is not None

    async def _log_in(
        self,
        phone: str,
        name: str,
        role: str | None,
        password_hash: str | None,
        device: str | None,
    ) -> LoggedIn:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            found = await users.find_by_phone(conn, phone)
            if found is None:
                found = await self._create(conn, phone, name, role, password_hash)
            return await self._desk.log_in(conn, found.user_id, found.status, device)

    async def _create(
        self,
        conn: Connection,
        phone: str,
        name: str,
        role: str | None,
        password_hash: str | None,
    ) -> Standing:
        roles = dict.fromkeys([*users.DEFAULT_ROLES, role or users.DEFAULT_ROLES[0]])
        currency = self._desk.settings.currency
        try:
            user_id = await users.create_user(
                conn, name=name, phone=phone, roles=list(roles), currency=currency
            )
        except PhoneTaken:
            # Attached to another account between the look and now.
            found = await users.find_by_phone(conn, phone)
            if found is None:
                raise
            return found
        if password_hash is not None:
            await credentials.set_password(conn, user_id, password_hash)
        return Standing(user_id, "active")


def sent(issued: Issued) -> bodies.OtpSent:
    return bodies.OtpSent(
        message=MESSAGE,
        ttl=issued.ttl_s,
        expires_in=issued.ttl_s,
        dev_code=UNSET if issued.code is None else issued.code,
    )
