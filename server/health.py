"""/health: the process lives. /ready: it can take calls. For balancers and people."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from rest.http.reply import reply
from rest.http.route import Route
from signalling.events import Shape
from signalling.nodes.bus import Bus
from storage.errors import Unavailable
from storage.pool import Pool, within

READY_S = 1.0
KEPT_S = 1.0


class Health(Shape, frozen=True):
    status: str
    service: str
    version: str
    node: str


class Ready(Shape, frozen=True):
    """`redis` says whether other nodes can be reached; null where there are none. `waiting` counts
    ledger works that are not written yet."""

    status: str
    database: bool
    redis: bool | None
    draining: bool
    waiting: int


def seems_ready(healthy: bool, draining: bool, bus: Bus) -> bool:
    """What /ready says, but for the question to the database: for figures, which never wait."""
    return healthy and not draining and (bus.alone or bus.healthy)


class HealthRoutes:
    """`busy` gives how many ledger works wait, `draining` whether the server is going away."""

    def __init__(
        self,
        pool: Pool,
        *,
        version: str,
        node: str,
        waiting: Callable[[], int],
        healthy: Callable[[], bool],
        draining: Callable[[], bool],
        bus: Bus | None = None,
        kept_s: float = KEPT_S,
    ) -> None:
        """What the database answers is taken to hold for `kept_s`."""
        self._pool = pool
        self._version = version
        self._node = node
        self._waiting = waiting
        self._healthy = healthy
        self._draining = draining
        self._bus = bus
        self._kept_s = kept_s
        self._asked: asyncio.Task[bool] | None = None
        self._asked_s = 0.0

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/health",
                self.health,
                summary="Whether the process lives",
                returns=Health,
                tag="operations",
                auth=False,
            ),
            Route(
                "GET",
                "/ready",
                self.ready,
                summary="Whether the server can take calls; 503 when it cannot",
                returns=Ready,
                tag="operations",
                auth=False,
            ),
        ]

    async def health(self, _: web.Request) -> web.Response:
        return reply(
            Health(status="ok", service="talktime", version=self._version, node=self._node)
        )

    async def ready(self, _: web.Request) -> web.Response:
        database = self._healthy() and await self._database_answers()
        draining = self._draining()
        bus = self._bus
        redis = None if bus is None or bus.alone else bus.healthy
        ready = database and redis is not False and not draining
        shape = Ready(
            status="ready" if ready else "not_ready",
            database=database,
            redis=redis,
            draining=draining,
            waiting=self._waiting(),
        )
        return reply(shape, status=200 if ready else 503)

    async def _database_answers(self) -> bool:
        """One question at a time, and seldom: whoever likes may ask us."""
        loop = asyncio.get_running_loop()
        asked = self._asked
        if asked is None or (asked.done() and loop.time() - self._asked_s >= self._kept_s):
            asked = self._asked = loop.create_task(self._ask(), name="ready")
            self._asked_s = loop.time()
        return await asyncio.shield(asked)

    async def _ask(self) -> bool:
        try:
            return await within(READY_S, self._ask_database())
        except Unavailable:
            return False

    async def _ask_database(self) -> bool:
        return bool(await self._pool.fetchval("select true"))
