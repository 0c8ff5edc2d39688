"""Webhooks of calls, put together: what is told, by which jobs, and the upkeep of its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rest.operators.webhook_events import EVENT_TYPES, last_news
from server.background import HOUR_S, MINUTE_S, Chore
from server.jobs import Handler
from server.metrics import Metrics
from server.poller import Poller
from server.webhook_jobs import WebhookJobs
from server.webhook_sender import Sender
from server.webhook_watch import Both, WebhookWatch
from signalling.calls.watcher import Watcher
from storage import webhook_deliveries, webhooks
from storage.ended_calls import EndedCall
from storage.pool import Connection, Pool

# Other processes change endpoints too; this one hears of its own changes at once.
REFRESH_S = 3.0
REFRESH_DEADLINE_S = 4.0
KEPT_DAYS = 30
# What was due so long ago has no job any more.
LATE_S = 900.0


class Webhooks:
    """`watcher` goes beside the calls, `ended` into the transaction that tells of their ends."""

    def __init__(self, pool: Pool, metrics: Metrics, *, strict: bool) -> None:
        """`strict`: deliver to public addresses by TLS only."""
        self._pool = pool
        self._sender = Sender(strict=strict)
        self._jobs = WebhookJobs(pool, self._sender, shut=self.changed, tried=metrics.webhook_tried)
        self._wanted: frozenset[str] = frozenset()
        self._refreshing = Poller("webhook-endpoints", self._refresh, poll_s=REFRESH_S)
        self._watch = WebhookWatch(pool, lambda: self._wanted)
        metrics.watch(
            "talktime_webhook_news_waiting",
            "Events of live calls that are not written yet.",
            lambda: self._watch.waiting,
        )
        metrics.watch(
            "talktime_webhook_news_dropped",
            "Events of live calls that found the queue full.",
            lambda: self._watch.dropped,
        )

    def beside(self, watcher: Watcher) -> Watcher:
        """A watcher that tells both."""
        return Both(watcher, self._watch)

    def handlers(self) -> dict[str, Handler]:
        return self._jobs.handlers()

    def chores(self) -> list[Chore]:
        return [
            Chore("late_webhooks", 5 * MINUTE_S, revive_late),
            Chore("old_webhooks", HOUR_S, forget_old),
        ]

    def changed(self) -> None:
        """An endpoint has been made, changed or deleted; never blocks."""
        self._refreshing.kick()

    async def ended(self, conn: Connection, calls: Sequence[EndedCall]) -> None:
        """Promise what there is to tell of calls that have ended, in the caller's transaction."""
        wanting = await webhooks.wanting(conn)
        if not wanting:
            return
        news = [each for call in calls for each in last_news(call)]
        await webhook_deliveries.add(conn, news)

    async def start(self) -> None:
        await self._refresh()
        await self._refreshing.start()
        await self._watch.start()

    async def stop(self) -> None:
        await self._watch.stop()
        await self._refreshing.stop()
        await self._sender.close()

    async def _refresh(self) -> bool:
        async with asyncio.timeout(REFRESH_DEADLINE_S), self._pool.acquire() as conn:
            wanting = await webhooks.wanting(conn)
        self._wanted = frozenset(
            kind for kind in EVENT_TYPES if any(each.takes(kind) for each in wanting)
        )
        return False


async def revive_late(conn: Connection) -> None:
    while await webhook_deliveries.revive(conn, late_s=LATE_S, limit=1_000) == 1_000:
        pass


async def forget_old(conn: Connection) -> None:
    while await webhook_deliveries.sweep(conn, days=KEPT_DAYS, limit=1_000) == 1_000:
        pass
