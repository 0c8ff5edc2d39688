"""How all nodes are doing, by REST: figures of now, series with gaps, for admins only."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rest.operators.overview_routes import STEPS_S, OverviewRoutes, series
from storage import jobs, node_samples
from storage.node_samples import Counts, Gauges, Point
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Person, Rest
from tests.storage.past import past_call
from tests.storage.world import make_node, make_user

OVERVIEW, RATES = "/operators/overview", "/operators/rates"
HERE = Gauges(1, 1, 5, 4)


class World:
    def __init__(self, rest: Rest, admin: Person, routes: OverviewRoutes) -> None:
        self.rest = rest
        self.admin = admin
        self.routes = routes

    async def get(self, path: str) -> Any:
        return (await self.rest.call("GET", path, by=self.admin, status=200)).body


@pytest.fixture
async def world(start: Start, pool: Pool) -> World:
    async with pool.acquire() as conn:
        here = await make_node(conn, "here")
    routes = OverviewRoutes(pool, epoch=here.epoch, gauges=lambda: HERE, currency="PTS")
    rest = await start(routes)
    admin = await rest.person("Root", roles=["customer", "admin"])
    return World(rest, admin, routes)


async def sample(pool: Pool, name: str, at_ms: int, counts: Counts, gauges: Gauges) -> None:
    async with pool.acquire() as conn:
        epoch = await conn.fetchval("select epoch from node where name = $1", name)
        if epoch is None:
            epoch = (await make_node(conn, name)).epoch
        await node_samples.add(conn, epoch, at_ms, 10.0, counts, gauges)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_a_server_where_nothing_happens_says_so(world: World) -> None:
    body = await world.get(OVERVIEW)
    assert body["liveCalls"] == {
        "requested": 0, "ringing": 0, "accepted": 0, "connected": 0, "reconnecting": 0, "total": 0,
    }  # fmt: skip
    assert (body["sockets"], body["usersOnline"]) == (5, 4)
    assert (body["nodesAlive"], body["nodes"], body["currency"]) == (1, ["here"], "PTS")
    zeros = (
        "ringing", "requestsPerMinute", "errorsPerMinute", "callsLastMinute", "chargedLastMinute",
        "chargedToday", "callsToday", "answeredToday", "jobsFailed", "webhooksFailing",
    )  # fmt: skip
    assert [body[name] for name in zeros] == [0] * len(zeros)


async def test_all_nodes_count_and_the_one_that_answers_knows_itself(
    world: World, pool: Pool
) -> None:
    counts = Counts(2, 1, 1, 240, 50, 3)
    await sample(pool, "here", now_ms() - 2_000, counts, Gauges(9, 9, 99, 99))
    await sample(pool, "there", now_ms() - 2_000, counts, Gauges(1, 0, 10, 8))
    body = await world.get(OVERVIEW)
    assert (body["sockets"], body["usersOnline"]) == (15, 12)
    assert (body["requestsPerMinute"], body["errorsPerMinute"]) == (100, 6)
    assert (body["callsLastMinute"], body["chargedLastMinute"]) == (4, 480)
    assert body["nodes"] == ["here", "there"]


async def test_the_calls_of_today_are_counted_anew_after_a_moment(world: World, pool: Pool) -> None:
    async def calls_today() -> int:
        count: int = (await world.get(OVERVIEW))["callsToday"]
        return count

    async with pool.acquire() as conn:
        ann, kai = await make_user(conn), await make_user(conn)
        await past_call(conn, ann.id, kai.id, at=datetime.now(UTC))
        await past_call(conn, ann.id, kai.id, at=datetime.now(UTC) - timedelta(days=1))
    assert await calls_today() == 1
    async with pool.acquire() as conn:
        await past_call(conn, ann.id, kai.id, at=datetime.now(UTC))
    assert await calls_today() == 1, "a page that asks every second is not to count every second"
    world.routes._day_until_s = 0.0
    assert await calls_today() == 2


async def test_what_fails_is_shown(world: World, pool: Pool) -> None:
    async with pool.acquire() as conn:
        await jobs.enqueue(conn, "a_job", {})
        await conn.execute("update pgqueuer set status = 'failed'")
    assert (await world.get(OVERVIEW))["jobsFailed"] == 1


async def test_rates_have_a_place_for_every_step(world: World, pool: Pool) -> None:
    end_ms = now_ms() // 10_000 * 10_000
    for name, ago_ms in (("one", 60_000), ("two", 60_000), ("one", 40_000)):
        await sample(pool, name, end_ms - ago_ms, Counts(1, 1, 0, 120, 7, 1), Gauges(3, 1, 20, 18))
    body = await world.get(f"{RATES}?minutes=15")
    assert (body["stepS"], len(body["at"]), body["currency"]) == (10, 90, "PTS")
    found = [count for count in body["requested"] if count is not None]
    assert found == [2, 1]
    at = body["requested"].index(2)
    assert body["requested"][at + 1] is None, "nobody wrote"
    assert (body["charged"][at], body["requests"][at], body["errors"][at]) == (240, 14, 2)
    assert (body["live"][at], body["sockets"][at], body["users"][at]) == (6, 40, 36)
    series = {len(values) for values in body.values() if isinstance(values, list)}
    assert series == {90}


@pytest.mark.parametrize("minutes", [15, 60, 360, 1440])
async def test_no_chart_has_more_points_than_can_be_drawn(world: World, minutes: int) -> None:
    body = await world.get(f"{RATES}?minutes={minutes}")
    assert len(body["at"]) == minutes * 60 // STEPS_S[minutes] <= 360


async def test_without_a_span_it_is_the_last_hour(world: World) -> None:
    assert len((await world.get(RATES))["at"]) == 360


@pytest.mark.parametrize("query", ["minutes=16", "minutes=", "minutes=0", "hours=1"])
async def test_other_spans_are_refused(world: World, query: str) -> None:
    await world.rest.call("GET", f"{RATES}?{query}", by=world.admin, status=400)


@pytest.mark.parametrize("path", [OVERVIEW, RATES])
async def test_nobody_else_may_know(world: World, path: str) -> None:
    eve = await world.rest.person("Eve")
    assert (await world.rest.call("GET", path, by=eve, status=403)).error == "FORBIDDEN"


def test_points_outside_of_the_steps_have_no_place() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    stray = Point(at + timedelta(seconds=5), Counts(1), Gauges())
    assert series([at], [stray], 10, "PTS").requested == [None]
