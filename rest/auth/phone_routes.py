"""A phone number for an account that is there: whoever has both may log in by either."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from rest.auth import bodies
from rest.auth.desk import SessionDesk
from rest.auth.otp import SEND_ERRORS, VERIFY_ERRORS, Otps
from rest.auth.otp_routes import SENT_EXAMPLE, SESSION_EXAMPLE, sent
from rest.http.body import read_body
from rest.http.errors import Fault
from rest.http.identity import FRESH_LOGIN_REQUIRED, NO_USER, Identity, address_of, caller
from rest.http.reply import reply
from rest.http.route import Route
from storage import notifications, users
from storage.ids import new_id
from storage.pool import Pool, within

DB_S = 4.0

# Only who has proved to own the number hears that it has an account.
PHONE_USED = Fault(409, "PHONE_ALREADY_USED", "This phone number has an account.")


class PhoneRoutes:
    def __init__(self, pool: Pool, otps: Otps, desk: SessionDesk) -> None:
        self._pool = pool
        self._otps = otps
        self._desk = desk

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/user/phone/send",
                self.send,
                summary="Send a code to a phone that shall be yours",
                returns=bodies.OtpSent,
                body=bodies.OtpSend,
                tag="user",
                errors=(*SEND_ERRORS, FRESH_LOGIN_REQUIRED),
                example=SENT_EXAMPLE,
            ),
            Route(
                "POST",
                "/user/phone/verify",
                self.verify,
                summary="Enter the code: the phone is yours, in place of the one before",
                returns=bodies.Me,
                body=bodies.PhoneVerify,
                tag="user",
                errors=(*VERIFY_ERRORS, PHONE_USED, NO_USER),
                example={"user": SESSION_EXAMPLE["user"]},
            ),
        ]

    async def send(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.OtpSend)
        phone = self._otps.phone(body.phone)
        me = caller(request)
        await within(DB_S, self._check_fresh(me))
        issued = await self._otps.issue(
            phone, address=address_of(request), purpose="attach", user_id=me.user_id
        )
        return reply(sent(issued))

    async def _check_fresh(self, me: Identity) -> None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            await self._desk.check_fresh(conn, me)

    async def verify(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.PhoneVerify)
        phone = self._otps.phone(body.phone)
        user_id = caller(request).user_id
        # The code went to a fresh session only, so here any session of the account will do.
        await self._otps.prove(
            phone, body.otp, address=address_of(request), purpose="attach", user_id=user_id
        )
        user = await within(DB_S, self._attach(user_id, phone))
        if user is None:
            raise NO_USER.problem()
        return reply(bodies.Me(user=self._desk.shown(user)))

    async def _attach(self, user_id: UUID, phone: str) -> users.User | None:
        """
        Raises:
            PhoneTaken: the number is another account's.
        """
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            await users.set_phone(conn, user_id, phone)
            await notifications.add(
                conn,
                user_id=user_id,
                type="PHONE_CHANGED",
                message=f"You can now log in by the phone number that ends in {phone[-4:]}.",
                source=f"phone:{new_id()}",
            )
            return await users.read_user(conn, user_id, self._desk.settings.currency)
