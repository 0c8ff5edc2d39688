"""What balancers ask: does it live, and can it take calls."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.http.route import Route
from server.health import HealthRoutes, seems_ready
from signalling.nodes.bus import Bus
from signalling.nodes.memory import MemoryBus, Space
from storage import pool as pools
from tests.rest.harness import SECRET, FakeClock, check_answer, make_test_app, read_answer


@dataclass
class Ward:
    client: TestClient[web.Request, web.Application]
    routes: list[Route]
    pool: pools.Pool
    healthy: bool = True
    draining: bool = False

    async def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.client.get(path) as response:
            answer = await read_answer(response)
        if answer.status < 400:
            check_answer(self.routes, "GET", path, answer)
        return answer.status, answer.body


@pytest.fixture
def kept_s() -> float:
    return 0.0


@pytest.fixture
def bus() -> Bus | None:
    return None


@pytest.fixture
async def ward(dsn: str, kept_s: float, bus: Bus | None) -> AsyncIterator[Ward]:
    pool = await pools.create_pool(dsn, min_size=0, max_size=1)
    routes = HealthRoutes(
        pool,
        version="1.2.3",
        node="main",
        waiting=lambda: 7,
        healthy=lambda: made.healthy,
        draining=lambda: made.draining,
        bus=bus,
        kept_s=kept_s,
    )
    keys = TokenKeys(SECRET)
    app, rows = make_test_app([routes], keys=keys, sessions=Sessions(FakeClock(), access_ttl_s=60))
    client = TestClient(TestServer(app))
    await client.start_server()
    made = Ward(client, rows, pool)
    yield made
    await client.close()
    await pool.close()


READY = {
    "success": True,
    "status": "ready",
    "database": True,
    "redis": None,
    "draining": False,
    "waiting": 7,
}


async def test_a_living_process_says_who_it_is(ward: Ward) -> None:
    assert await ward.ask("/health") == (
        200,
        {
            "success": True,
            "status": "ok",
            "service": "talktime",
            "version": "1.2.3",
            "node": "main",
        },
    )


async def test_a_server_with_its_database_is_ready(ward: Ward) -> None:
    assert await ward.ask("/ready") == (200, READY)


async def test_while_it_goes_away_it_is_not_ready_but_lives(ward: Ward) -> None:
    ward.draining = True
    status, body = await ward.ask("/ready")
    assert (status, body["status"], body["draining"]) == (503, "not_ready", True)
    assert (await ward.ask("/health"))[0] == 200


async def test_a_queue_that_cannot_write_is_told_as_a_missing_database(ward: Ward) -> None:
    ward.healthy = False
    status, body = await ward.ask("/ready")
    assert (status, body["database"]) == (503, False)


async def test_without_a_free_connection_it_says_so_within_a_moment_and_recovers(
    ward: Ward,
) -> None:
    async with ward.pool.acquire():  # The only one there is.
        status, body = await ward.ask("/ready")
        assert (status, body["database"]) == (503, False)
        assert (await ward.ask("/health"))[0] == 200
    assert await ward.ask("/ready") == (200, READY)


async def test_a_broken_connection_is_noticed_and_replaced(ward: Ward, postgres: str) -> None:
    assert (await ward.ask("/ready"))[0] == 200
    backend = await ward.pool.fetchval("select pg_backend_pid()")
    admin = await pools.connect(postgres)
    await admin.execute("select pg_terminate_backend($1, 5000)", backend)
    await admin.close()
    await ward.ask("/ready")  # Whoever comes first may still meet the broken one.
    assert await ward.ask("/ready") == (200, READY)


async def test_without_any_database_it_is_not_ready(ward: Ward) -> None:
    await ward.pool.close()
    status, body = await ward.ask("/ready")
    assert (status, body["database"]) == (503, False)


class TestKept:
    @pytest.fixture
    def kept_s(self) -> float:
        return 60.0

    async def test_the_database_is_asked_once_however_many_ask_us(
        self, ward: Ward, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        async def counted(routes: HealthRoutes) -> bool:
            asked.append(routes)
            return True

        monkeypatch.setattr(HealthRoutes, "_ask_database", counted)
        answers = await asyncio.gather(*(ward.ask("/ready") for _ in range(20)))
        assert answers == [(200, READY)] * 20
        assert len(asked) == 1
        ward.draining = True
        assert (await ward.ask("/ready"))[1]["draining"] is True
        ward.healthy = False
        assert (await ward.ask("/ready"))[1]["database"] is False
        assert len(asked) == 1


class Weak(MemoryBus):
    """A bus that is well or not as the test says."""

    well = True

    @property
    def healthy(self) -> bool:
        return self.well


class TestAmongOthers:
    @pytest.fixture
    def bus(self) -> Bus:
        return Weak(Space(), "main.1")

    async def test_it_is_not_ready_while_it_cannot_reach_other_nodes(
        self, ward: Ward, bus: Weak
    ) -> None:
        assert await ward.ask("/ready") == (200, {**READY, "redis": True})
        bus.well = False
        lost = {**READY, "status": "not_ready", "redis": False}
        assert await ward.ask("/ready") == (503, lost)
        assert (await ward.ask("/health"))[0] == 200
        bus.well = True
        assert await ward.ask("/ready") == (200, {**READY, "redis": True})


class TestAlone:
    @pytest.fixture
    def bus(self) -> Bus:
        return MemoryBus(Space(), "main.1", alone=True)

    async def test_where_there_are_no_other_nodes_nothing_is_said_of_redis(
        self, ward: Ward
    ) -> None:
        assert await ward.ask("/ready") == (200, READY)


class Away(MemoryBus):
    """A bus of several nodes that does not get through."""

    @property
    def healthy(self) -> bool:
        return False


def test_a_node_seems_ready_unless_something_is_known_to_stand_in_the_way() -> None:
    alone = MemoryBus(Space(), "main.1", alone=True)
    assert seems_ready(True, False, alone)
    assert seems_ready(True, False, MemoryBus(Space(), "main.1"))
    assert not seems_ready(False, False, alone)
    assert not seems_ready(True, True, alone)
    assert not seems_ready(True, False, Away(Space(), "main.1"))
