"""Every operation of the running server, with somebody who owns what its path names.

Driven by the server's route table: what is added there is walked by itself. A path with parameters
needs a word in `tests/server/owned.py`; without one the walk fails, so that nobody forgets.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from uuid import UUID

import msgspec
from aiohttp import hdrs

from rest.auth.tokens import TokenKeys
from rest.http.openapi import template_of
from rest.http.route import Route
from storage.ids import new_id
from tests.rest.harness import Answer, check_answer
from tests.server import owned
from tests.server.owned import FREE, SIGNED, Rows, owned_rows, person
from tests.server.running import Running, development, running

HOOKS = "Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c"
# The roles of those who walk.
ROLES = ("customer", "companion")

_parameter = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """A route under one of its paths; `template` is the path as the document spells it."""

    route: Route
    template: str

    def __str__(self) -> str:
        return f"{self.route.method} {self.template}"

    @property
    def prefix(self) -> str:
        """Up to the last parameter; the path itself if it has none."""
        return self.template[: self.template.rfind("}") + 1] or self.template

    @property
    def is_signed(self) -> bool:
        return self.prefix in SIGNED

    @property
    def reads(self) -> bool:
        """It takes a body of some kind."""
        return self.route.body is not None or bool(self.route.upload) or self.is_signed


@dataclass(slots=True)
class Walk:
    there: Running
    keys: TokenKeys
    owner: UUID
    stranger: UUID
    rows: Rows
    operations: list[Operation]

    def token(self, user_id: UUID, *, roles: tuple[str, ...] = ROLES, age_s: int = 0) -> str:
        """A fresh session's token, issued `age_s` ago."""
        return self.keys.issue(user_id, new_id(), roles, int(time.time()) - age_s)

    def almighty(self, operation: Operation) -> str:
        """The owner's token, with the roles that the operation asks for."""
        return self.token(self.owner, roles=(*ROLES, *operation.route.roles))

    def parameters(self, operation: Operation) -> dict[str, str]:
        """What its path names: a row of the owner's, or the stranger where any id may stand."""
        names = _parameter.findall(operation.template)
        if not names or operation.prefix in FREE:
            return dict.fromkeys(names, str(self.stranger))
        assert operation.prefix in self.rows, f"whose is {operation.prefix}? tell {owned.__file__}"
        return self.rows[operation.prefix]

    def path(self, operation: Operation) -> str:
        given = self.parameters(operation)
        return _parameter.sub(lambda found: given[found[1]], operation.template)

    async def ask(
        self,
        operation: Operation,
        *,
        path: str | None = None,
        token: str | None = None,
        body: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send it; a failure must be one that the route documents, and no mistake of ours."""
        sent = dict(headers or {})
        if token is not None:
            sent[hdrs.AUTHORIZATION] = f"Bearer {token}"
        data = raw if body is None else msgspec.json.encode(body)
        sent_as = None if data is None else BytesIO(data)
        if data is not None:
            sent.setdefault(hdrs.CONTENT_TYPE, "application/json")
        target = path or self.path(operation)
        method, url = operation.route.method, self.there.site.url + target
        async with self.there.site.http.request(
            method, url, data=sent_as, headers=sent
        ) as response:
            content = await response.read()
            named = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status, named, {}, content)
        if named.get("content-type", "").startswith("application/json"):
            assert answer.status != 500, f"{operation}: {raw or body}"
            answer.body = msgspec.json.decode(content)
            check_answer(self.there.server.routes, method, target, answer)
        else:
            assert answer.status < 400, (str(operation), content)
        return answer


@asynccontextmanager
async def walking(dsn: str, data_dir: Path) -> AsyncIterator[Walk]:
    """The server of development with every route there can be, and no limit of requests."""
    config = development(
        data_dir, media_hook_secret=HOOKS, address_burst=0, user_burst=0, address_per_s=0
    )
    async with running(dsn, config) as there:
        async with there.server.pool.acquire() as conn, conn.transaction():
            owner = await person(conn, "Olga", config.currency)
            stranger = await person(conn, "Stan", config.currency)
            rows = await owned_rows(conn, owner, config.currency)
        operations = [
            Operation(route, template_of(path))
            for route in there.server.routes
            for path in route.paths
        ]
        yield Walk(there, there.server.keys, owner, stranger, rows, operations)
