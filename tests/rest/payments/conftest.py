from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.http.idempotency import Idempotency
from rest.payments.gateways.port import Gateway
from rest.payments.gateways.sandbox import SandboxGateway, lookup_in
from rest.payments.gateways.sandbox_pages import SandboxPages
from rest.payments.plan_routes import PlanRoutes
from rest.payments.purchase_routes import PurchaseRoutes
from rest.payments.refund_routes import RefundRoutes
from rest.payments.routes import PaymentRoutes
from rest.payments.settle import Settler
from storage.pool import Pool
from storage.selling import Seller
from tests.rest.harness import CURRENCY, FakeClock, Person, Rest, Table, make_test_app
from tests.rest.payments.shop import SECRET, Kicks, Place, Shop


@pytest.fixture
def other_gateways() -> list[Gateway]:
    """Those beside the sandbox."""
    return []


@pytest.fixture
async def shop(
    pool: Pool,
    keys: TokenKeys,
    sessions: Sessions,
    clock: FakeClock,
    other_gateways: list[Gateway],
) -> AsyncIterator[Shop]:
    kicks, place = Kicks(), Place()
    gateway = SandboxGateway(
        [SECRET],
        lambda: place.url,
        lookup=lookup_in(pool),
        clock=clock,
        between_tries_s=0.01,
    )
    sellers: dict[str, Seller] = {}
    settler = Settler(pool, kick=kicks, sellers=sellers)
    idempotency = Idempotency(pool)
    tables: list[Table] = [
        PaymentRoutes(
            pool,
            gateways=[gateway, *other_gateways],
            settler=settler,
            sellers=sellers,
            idempotency=idempotency,
            currency=CURRENCY,
            clock=clock,
        ),
        PlanRoutes(pool, idempotency=idempotency, currency=CURRENCY),
        PurchaseRoutes(pool, idempotency=idempotency, kick=kicks),
        RefundRoutes(pool, sellers=sellers, idempotency=idempotency, kick=kicks),
    ]
    app, table = make_test_app(tables, keys=keys, sessions=sessions)
    app.add_routes(SandboxPages(gateway).table())
    server = TestServer(app)
    client = TestClient(server)
    await client.start_server()
    place.url = str(server.make_url("/"))
    rest = Rest(client, table, pool, keys, sessions, int(time.time()))
    yield Shop(rest, gateway, settler, clock, kicks, place, sellers)
    await gateway.close()
    await client.close()


@pytest.fixture
async def ann(shop: Shop) -> Person:
    return await shop.rest.person()


@pytest.fixture
async def boss(shop: Shop) -> Person:
    return await shop.rest.person("Boss", roles=("customer", "admin"))
