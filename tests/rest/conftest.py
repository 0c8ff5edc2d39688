"""Fixtures for tests of routes: `start` makes a running application of the tables given to it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from storage.pool import Pool
from tests.rest.harness import SECRET, FakeClock, Rest, Table, make_test_app

Start = Callable[..., Awaitable[Rest]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def keys() -> TokenKeys:
    return TokenKeys(SECRET)


@pytest.fixture
def sessions(clock: FakeClock, keys: TokenKeys) -> Sessions:
    return Sessions(clock, access_ttl_s=keys.ttl_s)


@pytest.fixture
async def start(pool: Pool, keys: TokenKeys, sessions: Sessions) -> AsyncIterator[Start]:
    """`await start(WalletRoutes(pool), ...)`: the application on a fresh database."""
    clients: list[TestClient[web.Request, web.Application]] = []

    async def started(*tables: Table) -> Rest:
        app, routes = make_test_app(tables, keys=keys, sessions=sessions)
        client = TestClient(TestServer(app))
        clients.append(client)
        await client.start_server()
        return Rest(client, routes, pool, keys, sessions, int(time.time()))

    yield started
    for client in clients:
        await client.close()
