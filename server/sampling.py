"""What this node is doing, written down every 10 s for the operators' charts.

All nodes write at the same moments of the clock, so that their rows add up. What happened while the
database was away is in the first row after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from server.background import HOUR_S, Chore
from server.call_watch import charged_minor
from server.metrics import Metrics
from server.poller import stop_task
from signalling.codes import State
from signalling.core.call import BEFORE_ANSWER
from signalling.core.model import Call
from signalling.node import LiveNode
from storage import node_samples
from storage.calls import CallRow
from storage.node_samples import Counts, Gauges
from storage.pool import Connection, Pool, within

EVERY_MS = 10_000
WRITE_S = 4.0
KEPT_DAYS = 8

_log = structlog.stdlib.get_logger(__name__)


class Tally:
    """A watcher that counts calls and money (`signalling.calls.watcher`)."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._requested = 0
        self._connected = 0
        self._ended = 0
        self._charged = 0

    def moved(self, before: Call | None, call: Call, now_ms: int) -> None:
        if before is None:
            self._requested += 1
            return
        if before.connected_ms is None and call.connected_ms is not None:
            self._connected += 1
        if call.state is State.ENDED and before.state is not State.ENDED:
            self._ended += 1
        self._charged += max(0, charged_minor(call) - charged_minor(before))

    def flows(self, relay: bool | None, ms: int) -> None:
        """Not counted here."""

    def refused(self, row: CallRow) -> None:
        self._requested += 1
        self._ended += 1

    @property
    def counts(self) -> Counts:
        """Since the process began."""
        return Counts(
            requested=self._requested,
            connected=self._connected,
            ended=self._ended,
            charged_minor=self._charged,
            requests=self._metrics.requests_seen,
            errors=self._metrics.errors_seen,
        )


def gauges_of(live: LiveNode) -> Gauges:
    calls = [host.call for host in live.registry.hosts()]
    return Gauges(
        live=sum(call.state is not State.ENDED for call in calls),
        ringing=sum(call.state in BEFORE_ANSWER for call in calls),
        sockets=live.hub.sockets,
        users=len(live.hub.connected_users()),
    )


class Sampling:
    """`clock` gives Unix ms, `gauges` what is so now."""

    def __init__(
        self,
        pool: Pool,
        epoch: int,
        *,
        clock: Callable[[], int],
        counts: Callable[[], Counts],
        gauges: Callable[[], Gauges],
    ) -> None:
        self._pool = pool
        self._epoch = epoch
        self._clock = clock
        self._counts = counts
        self._gauges = gauges
        self._task: asyncio.Task[None] | None = None
        self._written = counts()
        self._written_ms = clock()

    def chores(self) -> list[Chore]:
        return [Chore("old_node_samples", HOUR_S, forget_old)]

    async def start(self) -> None:
        assert self._task is None, "started once"
        self._task = asyncio.create_task(self._run(), name="sampling")

    async def stop(self) -> None:
        """The last seconds are written too, if the database takes them now."""
        await stop_task(self._task)
        self._task = None
        await self._try(self._clock())

    async def _run(self) -> None:
        while True:
            due_ms = (self._clock() // EVERY_MS + 1) * EVERY_MS
            await asyncio.sleep((due_ms - self._clock()) / 1_000)
            await self._try(due_ms)

    async def _try(self, at_ms: int) -> None:
        try:
            await self.write(at_ms)
        except Exception as error:
            _log.info("node_sample_not_written", why=type(error).__name__)

    async def write(self, at_ms: int) -> None:
        """One row of what happened since the last one that was written.

        Raises:
            Unavailable: the database does not answer.
        """
        if at_ms <= self._written_ms:
            return
        counts = self._counts()
        span_s = (at_ms - self._written_ms) / 1_000
        await within(WRITE_S, self._add(at_ms, span_s, counts))
        self._written, self._written_ms = counts, at_ms

    async def _add(self, at_ms: int, span_s: float, counts: Counts) -> None:
        async with self._pool.acquire() as conn:
            await node_samples.add(
                conn, self._epoch, at_ms, span_s, less(counts, self._written), self._gauges()
            )


def less(counts: Counts, before: Counts) -> Counts:
    """What was counted between the two."""
    return Counts(
        requested=counts.requested - before.requested,
        connected=counts.connected - before.connected,
        ended=counts.ended - before.ended,
        charged_minor=counts.charged_minor - before.charged_minor,
        requests=counts.requests - before.requests,
        errors=counts.errors - before.errors,
    )


async def forget_old(conn: Connection) -> None:
    while await node_samples.sweep(conn, days=KEPT_DAYS, limit=1_000) == 1_000:
        pass
