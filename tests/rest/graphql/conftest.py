"""`graph`: the endpoint in a running application, guarded as the server's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.graphql import PATH
from rest.graphql.desk import Desk
from rest.graphql.view import GraphQL
from server.access import Access
from storage.pool import Pool
from tests.rest.graphql.asking import HASTY, Graph
from tests.rest.harness import Rest, make_test_app


async def _never() -> str:
    await asyncio.Event().wait()
    return ""


@pytest.fixture
async def graph(pool: Pool, keys: TokenKeys, sessions: Sessions) -> AsyncIterator[Graph]:
    app, _ = make_test_app([], keys=keys, sessions=sessions)
    client = TestClient(TestServer(app))
    rest = Rest(client, [], pool, keys, sessions, int(time.time()))
    admin = await rest.person("Root", roles=["customer", "admin"])
    made = Graph(rest, admin, ["PONG"])

    async def ping() -> str:
        said = made.pinged[0]
        if isinstance(said, Exception):
            raise said
        return said

    desk = Desk(pool, ping=ping, samples=lambda: made.samples)
    hasty = Desk(pool, ping=_never, samples=list)
    guard = Access(keys, session_is_live=sessions.is_live).guard
    app.router.add_post(PATH, guard(GraphQL(desk).handle))
    app.router.add_post(HASTY, guard(GraphQL(hasty, deadline_s=0.05).handle))
    await client.start_server()
    yield made
    await client.close()
