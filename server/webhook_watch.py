"""News of live calls for webhooks: noted where they happen, written down in batches beside.

What a crash finds here is lost; the end of a call and its books do not come this way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection

import structlog

from rest.operators.webhook_events import CONNECTED, LOW_BALANCE, REQUESTED, news_of
from server.poller import Poller
from signalling.calls.watcher import Watcher
from signalling.core.model import Call
from storage import webhook_deliveries
from storage.calls import CallRow
from storage.pool import Pool
from storage.webhook_deliveries import News

QUEUE_MAX = 10_000
BATCH_MAX = 200
BATCH_DEADLINE_S = 4.0
POLL_S = 5.0
# News that come one after the other are written together.
PAUSE_S = 0.1

_log = structlog.stdlib.get_logger(__name__)


class WebhookWatch:
    """Watches calls (`signalling.calls.watcher`) for what somebody wants to be told of.

    `wanted` gives the types that any endpoint takes; while there are none nothing is done.
    """

    def __init__(
        self,
        pool: Pool,
        wanted: Callable[[], Collection[str]],
        *,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._pool = pool
        self._wanted = wanted
        self._queue_max = queue_max
        self._queue: deque[News] = deque()
        self._poller = Poller("webhook-news", self._write, poll_s=POLL_S, pause_s=PAUSE_S)
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """News that are not written yet."""
        return len(self._queue)

    def moved(self, before: Call | None, call: Call, now_ms: int) -> None:
        wanted = self._wanted()
        if not wanted:
            return
        try:
            for kind in happened(before, call):
                if kind in wanted:
                    self._put(news_of(kind, call, now_ms))
        except Exception:
            # The call must go on, whatever is wrong with its news.
            _log.exception("webhook_news_failed", call_id=str(call.id))

    def flows(self, relay: bool | None, ms: int) -> None:
        """Nobody is told."""

    def refused(self, row: CallRow) -> None:
        """Its end is told like any other's, out of the queue of ended calls."""

    async def start(self) -> None:
        await self._poller.start()

    async def stop(self) -> None:
        """What waits is written, if the database takes it now."""
        await self._poller.stop()
        try:
            async with asyncio.timeout(BATCH_DEADLINE_S):
                while self._queue:
                    await self._write()
        except Exception as error:
            _log.warning("webhook_news_lost", count=len(self._queue), why=type(error).__name__)

    def _put(self, news: News) -> None:
        if len(self._queue) >= self._queue_max:
            if self.dropped == 0:
                _log.error("webhook_news_dropped", waiting=len(self._queue))
            self.dropped += 1
            return
        self._queue.append(news)
        self._poller.kick()

    async def _write(self) -> bool:
        """One batch; it leaves the queue when it is committed. Written twice it is made once."""
        batch = [self._queue[n] for n in range(min(len(self._queue), BATCH_MAX))]
        if not batch:
            return False
        async with (
            asyncio.timeout(BATCH_DEADLINE_S),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            await webhook_deliveries.add(conn, batch)
        for _ in batch:
            self._queue.popleft()
        return bool(self._queue)


def happened(before: Call | None, call: Call) -> list[str]:
    """Types of the events between the two; a warning counts once until it is withdrawn."""
    if before is None:
        return [REQUESTED]
    found = []
    if before.connected_ms is None and call.connected_ms is not None:
        found.append(CONNECTED)
    if before.meter.warned_ms is None and call.meter.warned_ms is not None:
        found.append(LOW_BALANCE)
    return found


class Both:
    """Two watchers of the same calls."""

    def __init__(self, one: Watcher, other: Watcher) -> None:
        self._one = one
        self._other = other

    def moved(self, before: Call | None, call: Call, now_ms: int) -> None:
        self._one.moved(before, call, now_ms)
        self._other.moved(before, call, now_ms)

    def flows(self, relay: bool | None, ms: int) -> None:
        self._one.flows(relay, ms)
        self._other.flows(relay, ms)

    def refused(self, row: CallRow) -> None:
        self._one.refused(row)
        self._other.refused(row)
