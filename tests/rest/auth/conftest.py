"""Fixtures for tests of sign-up and sessions: cheap hashing, a hand-moved clock, ended sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from rest.auth.codes import CodeKey
from rest.auth.desk import AuthSettings, SessionDesk
from rest.auth.otp import Otps, OtpSettings
from rest.auth.otp_routes import OtpRoutes
from rest.auth.passwords import HashCost, Passwords
from rest.auth.phone_routes import PhoneRoutes
from rest.auth.routes import AuthRoutes
from rest.auth.session_routes import SessionRoutes
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import FakeClock, Rest

OTP_SECRET = "a secret of one-time codes, for tests only"
CHEAP = HashCost(memory_kib=8, passes=1)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    opened = Passwords(CHEAP)
    yield opened
    opened.close()


@dataclass
class Auth:
    """The running routes, the sessions they said had ended, and who is there."""

    rest: Rest
    ended: list[UUID]
    # The presence of those that are not as they said.
    presence: dict[UUID, str]

    async def sign_up(self, email: str = "ann@example.org", **more: object) -> dict[str, Any]:
        body = {"name": "Ann", "email": email, "password": "correct horse"} | more
        answer = await self.rest.call("POST", "/auth/signup", json=body, status=201)
        return answer.body

    async def refresh(self, token: str, status: int = 200) -> dict[str, Any]:
        answer = await self.rest.call(
            "POST", "/auth/refresh", json={"refreshToken": token}, status=status
        )
        return answer.body


StartAuth = Callable[..., Awaitable[Auth]]


@pytest.fixture
async def start_auth(
    start: Start,
    pool: Pool,
    keys: TokenKeys,
    passwords: Passwords,
    sessions: Sessions,
    clock: FakeClock,
) -> StartAuth:
    async def started(*, otp: OtpSettings | None = None, **settings: Any) -> Auth:
        ended: list[UUID] = []
        presence: dict[UUID, str] = {}
        desk = SessionDesk(
            keys,
            sessions,
            clock=clock,
            settings=AuthSettings(**settings),
            session_ended=ended.append,
            presence_of=presence.get,
        )
        otps = Otps(pool, CodeKey(OTP_SECRET), clock=clock, settings=otp or OtpSettings(echo=True))
        tables = (
            AuthRoutes(pool, keys, passwords, desk, clock=clock),
            SessionRoutes(pool, desk, clock=clock),
            OtpRoutes(pool, otps, passwords, desk),
            PhoneRoutes(pool, otps, desk),
        )
        return Auth(await start(*tables), ended, presence)

    return started


@pytest.fixture
async def auth(start_auth: StartAuth) -> Auth:
    return await start_auth()
