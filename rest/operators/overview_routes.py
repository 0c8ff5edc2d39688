"""How all nodes are doing: figures of this moment, and series for charts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aiohttp import web

from rest.http.body import read_query
from rest.http.reply import reply
from rest.http.route import Route
from rest.operators.overview_bodies import LiveCalls, Overview, Rates, RatesQuery
from storage import day_sums, node_samples
from storage.day_sums import Day
from storage.deadline import Deadline
from storage.node_samples import Gauges, Point
from storage.pool import Connection, Pool

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
TAG = "operators"
# At most 360 points.
STEPS_S = {15: 10, 60: 10, 360: 60, 1440: 240}
# The sums of a day are counted anew after so long, and not more than a twentieth of the time.
DAY_KEPT_S = 10.0
DAY_SHARE = 20

_NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
_OVERVIEW = Overview(
    now=_NOW,
    currency="PTS",
    live_calls=LiveCalls(ringing=1, connected=12, total=13),
    ringing=1,
    sockets=240,
    users_online=231,
    requests_per_minute=310,
    errors_per_minute=0,
    calls_last_minute=4,
    charged_last_minute=1440,
    charged_today=81_600,
    calls_today=210,
    answered_today=180,
    jobs_failed=0,
    webhooks_failing=0,
    nodes_alive=2,
    nodes=["main-1", "main-2"],
)
_RATES = Rates(
    step_s=10,
    currency="PTS",
    at=[_NOW, _NOW + timedelta(seconds=10)],
    requested=[2, 0],
    connected=[1, 1],
    ended=[0, 1],
    charged=[240, 120],
    requests=[51, 49],
    errors=[0, 0],
    live=[12, 13],
    ringing=[1, 0],
    sockets=[240, 240],
    users=[231, None],
)


class OverviewRoutes:
    def __init__(
        self, pool: Pool, *, epoch: int, gauges: Callable[[], Gauges], currency: str
    ) -> None:
        """`epoch` is this node, `gauges` what it is doing now."""
        self._pool = pool
        self._epoch = epoch
        self._gauges = gauges
        self._currency = currency
        self._day: Day | None = None
        self._day_until_s = 0.0
        self._day_of: datetime | None = None

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/operators/overview",
                self.overview,
                summary="How all nodes are doing now",
                returns=Overview,
                tag=TAG,
                roles=ADMIN,
                example=_OVERVIEW,
            ),
            Route(
                "GET",
                "/operators/rates",
                self.rates,
                summary="Calls, money, requests and sockets of all nodes over time, for charts",
                returns=Rates,
                query=RatesQuery,
                tag=TAG,
                roles=ADMIN,
                example=_RATES,
            ),
        ]

    async def overview(self, _: web.Request) -> web.Response:
        now, here = datetime.now(UTC), self._gauges()
        async with DEADLINE(), self._pool.acquire() as conn:
            states = await day_sums.live_by_state(conn)
            minute = await node_samples.last_minute(conn, self._epoch)
            failing = await day_sums.failing(conn)
            nodes = await node_samples.alive(conn)
            day = await self._today(conn, now)
        live = LiveCalls(**states, total=sum(states.values()))
        return reply(
            Overview(
                now=now.replace(microsecond=now.microsecond // 1_000 * 1_000),
                currency=self._currency,
                live_calls=live,
                ringing=live.requested + live.ringing,
                sockets=minute.others.sockets + here.sockets,
                users_online=minute.others.users + here.users,
                requests_per_minute=minute.counts.requests,
                errors_per_minute=minute.counts.errors,
                calls_last_minute=minute.counts.requested,
                charged_last_minute=minute.counts.charged_minor,
                charged_today=day.charged_minor,
                calls_today=day.calls,
                answered_today=day.answered,
                jobs_failed=failing.jobs,
                webhooks_failing=failing.webhooks,
                nodes_alive=len(nodes),
                nodes=list(nodes),
            )
        )

    async def _today(self, conn: Connection, now: datetime) -> Day:
        began_s, midnight = time.monotonic(), now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self._day is None or self._day_of != midnight or began_s >= self._day_until_s:
            self._day, self._day_of = await day_sums.since(conn, midnight), midnight
            took_s = time.monotonic() - began_s
            self._day_until_s = began_s + max(DAY_KEPT_S, took_s * DAY_SHARE)
        return self._day

    async def rates(self, request: web.Request) -> web.Response:
        minutes = read_query(request, RatesQuery).minutes
        step_s = STEPS_S[minutes]
        until_s = time.time_ns() // 1_000_000_000 // step_s * step_s
        until = datetime.fromtimestamp(until_s, UTC)
        since = until - timedelta(minutes=minutes)
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await node_samples.points(conn, since, until, step_s)
        steps = [since + timedelta(seconds=at_s) for at_s in range(0, minutes * 60, step_s)]
        return reply(series(steps, found, step_s, self._currency))


def series(steps: list[datetime], found: list[Point], step_s: int, currency: str) -> Rates:
    """The points in the place of their steps, and nothing in the others."""
    by_step = {point.at: point for point in found}
    points = [by_step.get(at) for at in steps]

    def column(read: Callable[[Point], int]) -> list[int | None]:
        return [None if point is None else read(point) for point in points]

    return Rates(
        step_s=step_s,
        currency=currency,
        at=steps,
        requested=column(lambda point: point.counts.requested),
        connected=column(lambda point: point.counts.connected),
        ended=column(lambda point: point.counts.ended),
        charged=column(lambda point: point.counts.charged_minor),
        requests=column(lambda point: point.counts.requests),
        errors=column(lambda point: point.counts.errors),
        live=column(lambda point: point.gauges.live),
        ringing=column(lambda point: point.gauges.ringing),
        sockets=column(lambda point: point.gauges.sockets),
        users=column(lambda point: point.gauges.users),
    )
