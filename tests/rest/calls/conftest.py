"""The call routes around the real engine, whose time stands still until a test moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from rest.calls.chat_routes import ChatRoutes
from rest.calls.history_routes import HistoryRoutes
from rest.calls.refund_routes import RefundRoutes
from rest.calls.routes import CallRoutes
from rest.http.idempotency import Idempotency
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Answer, Person, Rest, Table
from tests.signalling.harness import Node


@dataclass(slots=True)
class Exchange:
    rest: Rest
    node: Node

    async def customer(self, name: str = "Ann", *, funds: int = 0) -> Person:
        return self._with_token((await self.node.person(name, funds=funds)).id)

    async def provider(self, name: str = "Kai", *, price: int = 100) -> Person:
        return self._with_token((await self.node.provider(name, price=price)).id)

    async def by_phone(self, phone: str) -> Person:
        return self._with_token((await self.node.person("Pat", phone=phone)).id)

    async def admin(self) -> Person:
        person = await self.node.person("Ada")
        return self._with_token(person.id, roles=("customer", "admin"))

    async def request(self, caller: Person, callee: Person) -> str:
        """A ringing call; its id."""
        body = {"toUserId": str(callee.id)}
        answer = await self.rest.call("POST", "/calls", by=caller, json=body, status=201)
        assert answer.body["call"]["state"] == "ringing", answer.body
        return str(answer.body["call"]["id"])

    async def patch(
        self, by: Person, call_id: str, verb: str, json: object = None, status: int | None = None
    ) -> Answer:
        path = f"/calls/{call_id}/{verb}"
        return await self.rest.call("PATCH", path, by=by, json=json, status=status)

    async def get(self, by: Person, path: str, status: int = 200) -> Answer:
        return await self.rest.call("GET", path, by=by, status=status)

    def _with_token(self, user_id: UUID, roles: tuple[str, ...] = ("customer",)) -> Person:
        session_id = new_id()
        token = self.rest.keys.issue(user_id, session_id, roles, self.rest.wall_s)
        return Person(user_id, session_id, token)


@pytest.fixture
async def node(pool: Pool) -> AsyncIterator[Node]:
    started = await Node.start(pool)
    yield started
    await started.stop()


def tables_of(node: Node) -> tuple[Table, ...]:
    """All routes of calls."""
    return (
        routes_of(node),
        HistoryRoutes(node.pool, node.routed, clock=node.time),
        ChatRoutes(node.pool),
        RefundRoutes(node.pool, idempotency=Idempotency(node.pool)),
    )


def routes_of(node: Node, *, is_dev: bool = True) -> CallRoutes:
    return CallRoutes(
        node.pool,
        node.routed,
        idempotency=Idempotency(node.pool),
        clock=node.time,
        is_dev=is_dev,
        base_url=lambda: "https://talk.example.org/",
        end_as_admin=node.routed.stop,
    )


@pytest.fixture
async def exchange(start: Start, node: Node) -> Exchange:
    return Exchange(await start(*tables_of(node)), node)
