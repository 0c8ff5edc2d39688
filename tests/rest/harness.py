"""A real application around route tables, and a client that checks every answer it gets.

Each answer is compared with what its route declares: a success decodes into the declared shape and
back into the same bytes, a failure is one of the documented codes. So OpenAPI cannot drift.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.http.errors import ErrorBody
from rest.http.identity import FRESH_LOGIN_REQUIRED, Identity
from rest.http.openapi import documented_errors
from rest.http.reply import encode_reply
from rest.http.route import UUID_PATTERN, Route, mount
from server.access import Access
from server.middlewares import Around, install
from storage import users
from storage.ids import new_id
from storage.pool import Connection, Pool

SECRET = "an access secret for tests, 32 bytes or more"
START_MS = 1_800_000_000_000
CURRENCY = "PTS"
# Said by the middlewares and the router, so documented once for all routes.
EVERYWHERE = {"NOT_FOUND", "METHOD_NOT_ALLOWED", "BAD_REQUEST", "REQUEST_TIMEOUT"}


class Table(Protocol):
    """What every class of routes offers."""

    def table(self) -> list[Route]: ...


class FakeClock:
    """Unix ms that only a test moves."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def move(self, ms: int) -> None:
        self.now_ms += ms


@dataclass(frozen=True, slots=True)
class Person:
    """An account and a valid access token of it."""

    id: UUID
    session_id: UUID
    token: str


class Freshness:
    """Who has logged in lately: everybody but the `stale`."""

    def __init__(self) -> None:
        self.stale: set[UUID] = set()

    async def check(self, _: Connection, me: Identity) -> None:
        if me.user_id in self.stale:
            raise FRESH_LOGIN_REQUIRED.problem()


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes = b""

    @property
    def error(self) -> str:
        return str(self.body["error"])


@dataclass(slots=True)
class Rest:
    """The running application. `call` is the way in; `client` the bare aiohttp client."""

    client: TestClient[web.Request, web.Application]
    routes: list[Route]
    pool: Pool
    keys: TokenKeys
    sessions: Sessions
    wall_s: int

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        by: Person | None = None,
        json: object = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        status: int | None = None,
    ) -> Answer:
        """Send a request and check the answer against its route; `status` is the one expected."""
        sent = dict(headers or {})
        held = by.token if by is not None else token
        if held is not None:
            sent.setdefault("Authorization", f"Bearer {held}")
        data = raw if raw is not None else (None if json is None else msgspec.json.encode(json))
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.client.request(method, path, data=data, headers=sent) as response:
            answer = await read_answer(response)
        check_answer(self.routes, method, path, answer)
        if status is not None:
            assert answer.status == status, answer.raw
        return answer

    async def person(
        self,
        name: str = "Ann",
        *,
        email: str | None = None,
        phone: str | None = None,
        roles: Sequence[str] = users.DEFAULT_ROLES,
    ) -> Person:
        """A new account, made in the database directly, with a token."""
        mail = email or f"{new_id().hex}@example.org"
        async with self.pool.acquire() as conn, conn.transaction():
            user_id = await users.create_user(
                conn, name=name, email=mail, phone=phone, roles=roles, currency=CURRENCY
            )
        session_id = new_id()
        token = self.keys.issue(user_id, session_id, roles, self.wall_s)
        return Person(user_id, session_id, token)


def make_test_app(
    tables: Sequence[Table], *, keys: TokenKeys, sessions: Sessions
) -> tuple[web.Application, list[Route]]:
    """An application of those routes, guarded and wrapped as the server's own."""
    app = web.Application()
    install(app, Around())
    access = Access(keys, session_is_live=sessions.is_live)
    routes = [route for each in tables for route in each.table()]
    mount(app, routes, access.guard)
    return app, routes


async def read_answer(response: ClientResponse) -> Answer:
    raw = await response.read()
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert headers["content-type"].startswith("application/json"), raw
    return Answer(response.status, headers, msgspec.json.decode(raw), raw)


def route_of(routes: Sequence[Route], method: str, path: str) -> Route | None:
    """The route that serves `path`, fixed paths first, as the router does."""
    bare = path.partition("?")[0]
    found: list[tuple[bool, Route]] = []
    for route in routes:
        for pattern in route.paths:
            spelled = re.sub(r"\{[a-z_]+\}", UUID_PATTERN, pattern)
            spelled = re.sub(r"\{[a-z_]+:((?:[^{}]|\{[0-9,]+\})+)\}", r"\1", spelled)
            if route.method == method and re.fullmatch(spelled, bare):
                found.append(("{" in pattern, route))
    return min(found, key=lambda each: each[0])[1] if found else None


def check_answer(routes: Sequence[Route], method: str, path: str, answer: Answer) -> None:
    route = route_of(routes, method, path)
    if answer.status >= 400:
        body = msgspec.json.decode(answer.raw, type=ErrorBody)
        assert body.success is False
        assert body.request_id == answer.headers["x-request-id"]
        known = {code: status for status, code, _ in documented_errors(route)} if route else {}
        assert body.error in EVERYWHERE or known.get(body.error) == answer.status, (
            f"{method} {path} answers {answer.status} {body.error}, which it does not document"
        )
        return
    assert route is not None, f"{method} {path} is no route of this test"
    assert answer.status == route.status
    shape = msgspec.json.decode(answer.raw, type=route.returns)
    assert encode_reply(shape) == answer.raw, "the answer has more, or less, than its shape"
