"""Changing a password: who may, and what it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from rest.auth.desk import FRESH_MS, AuthSettings, SessionDesk
from rest.auth.password_routes import PasswordRoutes
from rest.auth.passwords import Passwords
from rest.auth.routes import AuthRoutes
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from signalling.limits import Rate
from storage import credentials
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Answer, FakeClock, Person, Rest

OFTEN = Rate(1_000, 1)
OLD, NEW = "correct horse", "battery staple"


@dataclass
class Site:
    rest: Rest
    ended: list[UUID]

    async def log_in(self, password: str = OLD, status: int = 200) -> dict[str, Any]:
        body = {"email": "ann@example.org", "password": password}
        return (await self.rest.call("POST", "/auth/login", json=body, status=status)).body

    async def change(self, token: str, status: int = 200, **body: object) -> Answer:
        return await self.rest.call("PUT", "/user/password", token=token, json=body, status=status)


@pytest.fixture
async def site(
    start: Start,
    pool: Pool,
    keys: TokenKeys,
    passwords: Passwords,
    sessions: Sessions,
    clock: FakeClock,
) -> Site:
    ended: list[UUID] = []
    desk = SessionDesk(
        keys,
        sessions,
        clock=clock,
        settings=AuthSettings(login_account=OFTEN, login_address=OFTEN),
        session_ended=ended.append,
    )
    auth = AuthRoutes(pool, keys, passwords, desk, clock=clock)
    change = PasswordRoutes(pool, passwords, desk, clock=clock)
    site = Site(await start(auth, change), ended)
    body = {"name": "Ann", "email": "ann@example.org", "password": OLD}
    await site.rest.call("POST", "/auth/signup", json=body, status=201)
    return site


async def test_a_new_password_logs_out_everybody_else(site: Site, keys: TokenKeys) -> None:
    mine, other = await site.log_in(), await site.log_in()
    await site.change(mine["token"], currentPassword=OLD, newPassword=NEW)
    await site.log_in(OLD, status=401)
    await site.log_in(NEW)
    await site.rest.call("GET", "/auth/me", token=mine["token"], status=200)
    await site.rest.call("GET", "/auth/me", token=other["token"], status=401)
    refresh = {"refreshToken": other["refreshToken"]}
    await site.rest.call("POST", "/auth/refresh", json=refresh, status=401)
    refresh = {"refreshToken": mine["refreshToken"]}
    await site.rest.call("POST", "/auth/refresh", json=refresh, status=200)
    assert keys.read(other["token"]).session_id in site.ended
    assert keys.read(mine["token"]).session_id not in site.ended
    assert len(site.ended) == 2, "the one of the sign-up as well"
    told = await site.rest.pool.fetch("select type, message from notification")
    assert [row["type"] for row in told] == ["PASSWORD_CHANGED"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"currentPassword": OLD}, "INVALID_PASSWORD_FORMAT", "newPassword"),
        ({"newPassword": "1234567", "currentPassword": OLD}, "INVALID_PASSWORD_FORMAT", None),
        ({"newPassword": "x" * 73, "currentPassword": OLD}, "INVALID_PASSWORD_FORMAT", None),
        ({"newPassword": "tab\tinside", "currentPassword": OLD}, "INVALID_PASSWORD_FORMAT", None),
        ({"newPassword": 12345678, "currentPassword": OLD}, "INVALID_PASSWORD_FORMAT", None),
        ({"newPassword": OLD, "currentPassword": OLD}, "INVALID_PASSWORD_FORMAT", None),
        ({"newPassword": NEW, "currentPassword": "wrong"}, "INVALID_CURRENT_PASSWORD", None),
        ({"newPassword": NEW, "currentPassword": 1}, "INVALID_CURRENT_PASSWORD", None),
        ({"newPassword": NEW}, "INVALID_CURRENT_PASSWORD", None),
    ],
)
async def test_wrong_changes_are_refused_and_end_nothing(
    site: Site, body: dict[str, object], code: str, field: str | None
) -> None:
    mine = await site.log_in()
    answer = await site.change(mine["token"], 400, **body)
    named = "currentPassword" if "CURRENT" in code else "newPassword"
    assert (answer.error, answer.body["details"]) == (code, {"field": field or named})
    assert site.ended == []
    await site.log_in(OLD)


async def test_guesses_are_counted_by_account(site: Site) -> None:
    mine = await site.log_in()
    for _ in range(5):
        await site.change(mine["token"], 400, currentPassword="a guess", newPassword=NEW)
    answer = await site.change(mine["token"], 429, currentPassword=OLD, newPassword=NEW)
    assert answer.error == "RATE_LIMITED"
    await site.log_in(OLD)


async def test_of_two_changes_at_once_one_holds(site: Site) -> None:
    mine = await site.log_in()
    wanted = [f"another password {n}" for n in range(4)]
    answers = await asyncio.gather(
        *(
            site.rest.call(
                "PUT",
                "/user/password",
                token=mine["token"],
                json={"currentPassword": OLD, "newPassword": each},
            )
            for each in wanted
        )
    )
    won = [each for each, answer in zip(wanted, answers, strict=True) if answer.status == 200]
    assert len(won) == 1
    assert {answer.error for answer in answers if answer.status != 200} <= {
        "CONFLICT",
        "INVALID_CURRENT_PASSWORD",
    }
    await site.log_in(won[0])


async def test_no_session_of_the_old_password_outlives_the_change(site: Site) -> None:
    mine = await site.log_in()
    body = {"email": "ann@example.org", "password": OLD}
    log_ins = [site.rest.call("POST", "/auth/login", json=body) for _ in range(6)]
    answers = await asyncio.gather(
        site.change(mine["token"], currentPassword=OLD, newPassword=NEW), *log_ins
    )
    for answer in answers[1:]:
        if answer.status == 200:
            await site.rest.call("GET", "/auth/me", token=answer.body["token"], status=401)
        else:
            assert answer.error == "INVALID_CREDENTIALS"
    live = await site.rest.pool.fetchval("select count(*) from session where revoked_at is null")
    assert live == 1


async def passwordless(site: Site, clock: FakeClock) -> Person:
    """Somebody who logs in by code only, and just has."""
    bo = await site.rest.person("Bo", email="bo@example.org")
    async with site.rest.pool.acquire() as conn:
        await credentials.open_session(
            conn,
            session_id=bo.session_id,
            user_id=bo.id,
            refresh_hash=new_id().bytes * 2,
            now_ms=clock(),
            idle_ms=FRESH_MS * 3,
            lifetime_ms=FRESH_MS * 3,
        )
    return bo


async def test_a_fresh_log_in_without_a_password_may_set_one(site: Site, clock: FakeClock) -> None:
    bo = await passwordless(site, clock)
    refused = await site.change(bo.token, 400, newPassword=NEW, currentPassword="a guess")
    assert refused.error == "INVALID_CURRENT_PASSWORD"
    clock.move(FRESH_MS)
    await site.change(bo.token, newPassword=NEW)
    body = {"email": "bo@example.org", "password": NEW}
    await site.rest.call("POST", "/auth/login", json=body, status=200)
    refused = await site.change(bo.token, 400, newPassword="a third password")
    assert refused.error == "INVALID_CURRENT_PASSWORD"


async def test_an_old_log_in_sets_no_first_password(site: Site, clock: FakeClock) -> None:
    bo = await passwordless(site, clock)
    clock.move(FRESH_MS + 1)
    refused = await site.change(bo.token, 403, newPassword=NEW)
    assert refused.error == "FRESH_LOGIN_REQUIRED"


async def test_without_a_token_there_is_nothing(site: Site) -> None:
    await site.rest.call("PUT", "/user/password", json={"newPassword": NEW}, status=401)
