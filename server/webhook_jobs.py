"""The job that delivers one event to one endpoint, and puts it off when that fails.

A try is noted in the same transaction that promises the next one. A job that is done twice sends
the same event, with the same id, twice; it never counts twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from server import standard_webhooks
from server.jobs import Handler
from server.webhook_sender import Answer, Sender
from storage import webhook_deliveries, webhooks
from storage.pool import Connection, Pool
from storage.webhook_deliveries import JOB, Attempt, Due

DB_S = 4.0
# Until the next try; after the last one the delivery has failed. Three days in all.
PAUSES_S = (5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0, 57_600.0, 86_400.0, 86_400.0)
JITTER = 0.1
GONE = 410
# Deliveries to one endpoint at a time: fewer than there are workers for this job.
ACTIVE_PER_ENDPOINT = 4
# One more waits so long for its turn, then it comes back later, one behind the other.
PATIENCE_S = 0.5
SPACING_S = 0.25
LATER_MAX_S = 300.0
DISABLED = "the endpoint is disabled"

_log = structlog.stdlib.get_logger(__name__)


class Lane:
    """One endpoint's deliveries on this node: a few at a time.

    `wait_s` tells those that get no place when to come back.
    """

    def __init__(self, active: int = ACTIVE_PER_ENDPOINT, patience_s: float = PATIENCE_S) -> None:
        self._places = asyncio.Semaphore(active)
        self._patience_s = patience_s
        self._slow = False
        self._back_at = 0.0
        self.users = 0

    async def enter(self) -> bool:
        """False: the endpoint is too slow for one more now; nothing was taken."""
        if self._slow and self._places.locked():
            return False
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError:
            self._slow = True
            return False
        self._slow = False
        return True

    def leave(self) -> None:
        self._places.release()

    def wait_s(self) -> float:
        now = asyncio.get_running_loop().time()
        self._back_at = max(self._back_at, now + 1.0) + SPACING_S
        return min(self._back_at - now, LATER_MAX_S)


class WebhookJobs:
    """`handlers()` is for whoever runs the jobs."""

    def __init__(
        self,
        pool: Pool,
        sender: Sender,
        *,
        pauses_s: Sequence[float] = PAUSES_S,
        now_s: Callable[[], float] = time.time,
        shut: Callable[[], None] = lambda: None,
        tried: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`now_s` is Unix time, which is signed; `shut` hears of an endpoint that is gone, `tried`
        of each try: delivered, retried or failed (it is given up)."""
        self._pool = pool
        self._sender = sender
        self._pauses_s = tuple(pauses_s)
        self._now_s = now_s
        self._shut = shut
        self._tried = tried
        self._lanes: dict[UUID, Lane] = {}

    def handlers(self) -> dict[str, Handler]:
        return {JOB: self.deliver}

    async def deliver(self, payload: dict[str, object]) -> None:
        """One try, if it is still wanted.

        Raises:
            OSError, TimeoutError and what else a lost database raises: the job is tried again.
        """
        delivery_id, turn = UUID(str(payload["deliveryId"])), int(str(payload["turn"]))
        async with asyncio.timeout(DB_S), self._pool.acquire() as conn:
            due = await webhook_deliveries.find_due(conn, delivery_id, turn)
        if due is None:
            return
        if due.url is None:
            async with self._transaction() as conn:
                await webhook_deliveries.settle(conn, due, Attempt(0, error=DISABLED), "failed")
            return
        async with self._lane(due.endpoint_id) as lane:
            if not await lane.enter():
                async with self._transaction() as conn:
                    await webhook_deliveries.make_wait(conn, due, lane.wait_s())
                return
            try:
                answer = await self._send(due, due.url)
            finally:
                lane.leave()
        await self._note(due, answer)

    async def _send(self, due: Due, url: str) -> Answer:
        body, event_id, now_s = due.body.encode(), str(due.event_id), int(self._now_s())
        # While secrets change there is a signature by each; any one of them that fits will do.
        signatures = [
            standard_webhooks.sign(secret, event_id, now_s, body) for secret in due.secrets
        ]
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": " ".join(signatures),
        }
        return await self._sender.post(url, body, headers)

    async def _note(self, due: Due, answer: Answer) -> None:
        attempt = Attempt(answer.took_ms, answer.status, answer.error, answer.text)
        status = answer.status
        if status is not None and 200 <= status < 300:
            async with self._transaction() as conn:
                await webhook_deliveries.settle(conn, due, attempt, "delivered")
            self._tried("delivered")
            return
        if status == GONE:
            async with self._transaction() as conn:
                await webhook_deliveries.settle(conn, due, attempt, "failed")
                await webhooks.shut(conn, due.endpoint_id)
            self._shut()
            self._tried("failed")
            _log.warning("webhook_endpoint_gone", endpoint_id=str(due.endpoint_id))
            return
        if due.tries >= len(self._pauses_s):
            async with self._transaction() as conn:
                await webhook_deliveries.settle(conn, due, attempt, "failed")
            self._tried("failed")
            _log.warning(
                "webhook_given_up",
                endpoint_id=str(due.endpoint_id),
                delivery_id=str(due.id),
                said=answer.error,
            )
            return
        pause_s = self._pauses_s[due.tries] * random.uniform(1 - JITTER, 1 + JITTER)
        async with self._transaction() as conn:
            await webhook_deliveries.put_off(
                conn, due, attempt, max(pause_s, answer.retry_after_s or 0.0)
            )
        self._tried("retried")

    @asynccontextmanager
    async def _lane(self, endpoint_id: UUID) -> AsyncIterator[Lane]:
        """The endpoint's lane; it is forgotten when nobody is in it."""
        lane = self._lanes.setdefault(endpoint_id, Lane())
        lane.users += 1
        try:
            yield lane
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[endpoint_id]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with asyncio.timeout(DB_S), self._pool.acquire() as conn, conn.transaction():
            yield conn
