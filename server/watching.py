"""Gauges of a running server: some are asked for at the scrape, some are read in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

import structlog

from server.metrics import Metrics
from server.watchdog import Watchdog, collections_timed
from storage import jobs, outbox
from storage.errors import Unavailable
from storage.jobs import Counts
from storage.pool import Pool, within

READ_EVERY_S = 5.0
READ_S = 4.0

_log = structlog.stdlib.get_logger(__name__)


class Watching:
    """Reads every 5 s what needs a query, so that no scrape waits for the database."""

    def __init__(
        self,
        metrics: Metrics,
        pool: Pool,
        *,
        notice: Callable[[Iterable[Counts]], None],
        every_s: float = READ_EVERY_S,
    ) -> None:
        """`notice` hears of the jobs that there are."""
        self._metrics = metrics
        self._pool = pool
        self._notice = notice
        self._every_s = every_s
        self._names: set[str] = set()
        self._watchdog = Watchdog(metrics.loop_lag.observe)
        self._stack = AsyncExitStack()

    @property
    def loop_late_ms(self) -> float:
        """How late the event loop is."""
        return self._watchdog.late_s * 1_000

    async def start(self) -> None:
        metrics, pool, stack = self._metrics, self._pool, self._stack
        metrics.watch("talktime_db_pool_size", "Connections.", pool.get_size)
        metrics.watch("talktime_db_pool_idle", "Connections without work.", pool.get_idle_size)
        stack.enter_context(collections_timed(self._collected))
        self._watchdog.start()
        stack.push_async_callback(self._watchdog.stop)
        await self._try()
        task = asyncio.create_task(self._run(), name="watching")
        stack.push_async_callback(_end, task)

    async def stop(self) -> None:
        await self._stack.aclose()

    async def read(self) -> None:
        """Set the gauges that come from the database, once.

        Raises:
            Unavailable: they keep their last values.
        """
        waiting, counts = await within(READ_S, self._ask())
        self._metrics.outbox_waiting.set(waiting)
        found = {each.name: each for each in counts}
        for name in self._names - found.keys():
            self._metrics.jobs_waiting.labels(name).set(0)
            self._metrics.jobs_failed.labels(name).set(0)
        for name, each in found.items():
            self._metrics.jobs_waiting.labels(name).set(each.waiting)
            self._metrics.jobs_failed.labels(name).set(each.failed)
        self._names |= found.keys()
        self._notice(counts)

    async def _ask(self) -> tuple[int, list[Counts]]:
        async with self._pool.acquire() as conn:
            return await outbox.count(conn), await jobs.counts(conn)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self._try()

    async def _try(self) -> None:
        try:
            await self.read()
        except Unavailable:
            pass  # Whoever needs the database says so.
        except Exception:
            _log.exception("gauges_not_read")

    def _collected(self, generation: int, seconds: float) -> None:
        self._metrics.gc_pause.labels(generation).observe(seconds)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
