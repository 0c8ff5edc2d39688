"""What runs beside the requests: the outbox relay and the housekeeping of the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import structlog

from server.poller import Poller, stop_task
from storage import (
    bonus,
    credentials,
    earnings,
    idempotency,
    jobs,
    ledger,
    notifications,
    otp,
    outbox,
    quotas,
)
from storage.errors import Unavailable
from storage.ids import first_id
from storage.outbox import Promise
from storage.pool import Connection, Pool

Deliver = Callable[[str, UUID, dict[str, object]], Awaitable[None] | None]

BATCH_MAX = 100
POLL_S = 1.0
# Below the time after which the database ends an idle transaction.
BATCH_DEADLINE_S = 8.0
DELIVERY_DEADLINE_S = 2.0
TRIES_MAX = 10

_log = structlog.get_logger(__name__)


class OutboxRelay:
    """Tells what the outbox promises: in order, at least once, over all nodes one relay at a time.

    A promise that fails holds the ones behind it back for a moment, and is given up, loudly, after
    10 tries: it is a notice, the ledger keeps the truth.
    """

    def __init__(
        self,
        pool: Pool,
        deliver: Deliver,
        *,
        poll_s: float = POLL_S,
        retry_s: float = 0.1,
    ) -> None:
        self._pool = pool
        self._deliver = deliver
        self._poller = Poller("outbox-relay", self._relay, poll_s=poll_s, retry_s=retry_s)
        self._stuck: tuple[int, int] = (0, 0)

    def kick(self) -> None:
        """Something was promised and committed on this node; never blocks."""
        self._poller.kick()

    async def start(self) -> None:
        await self._poller.start()

    async def stop(self) -> None:
        """What is not told yet stays in the outbox for the next start."""
        await self._poller.stop()

    async def _relay(self) -> bool:
        """One batch; True when there may be more.

        Raises:
            Unavailable: a delivery failed; the ones before it are done.
        """
        async with (
            asyncio.timeout(BATCH_DEADLINE_S),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            batch = await outbox.take(conn, BATCH_MAX)
            done = await self._tell(batch)
            if done:
                await outbox.forget(conn, done)
        if len(done) < len(batch):
            raise Unavailable("a promise could not be kept yet")
        return len(batch) == BATCH_MAX

    async def _tell(self, batch: Sequence[Promise]) -> list[int]:
        """The ids that were told, or given up, from the first on until one failed."""
        done: list[int] = []
        until = asyncio.get_running_loop().time() + BATCH_DEADLINE_S / 2
        for promise in batch:
            try:
                async with asyncio.timeout(DELIVERY_DEADLINE_S):
                    answer = self._deliver(promise.topic, promise.user_id, promise.body)
                    if answer is not None:
                        await answer
            except Exception:
                if not self._give_up(promise):
                    break
            done.append(promise.id)
            if asyncio.get_running_loop().time() > until:
                break
        return done

    def _give_up(self, promise: Promise) -> bool:
        stuck_id, tries = self._stuck
        tries = tries + 1 if stuck_id == promise.id else 1
        self._stuck = (promise.id, tries)
        _log.warning(
            "outbox_delivery_failed", promise=promise.id, topic=promise.topic, tries=tries,
            exc_info=True,
        )  # fmt: skip
        if tries < TRIES_MAX:
            return False
        _log.error("outbox_promise_given_up", promise=promise.id, topic=promise.topic)
        return True


class Chore(NamedTuple):
    """Something to do every so often; it must be safe to do twice, and on several nodes at once."""

    name: str
    every_s: float
    do: Callable[[Connection], Awaitable[object]]


MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0


async def forget_old_answers(conn: Connection) -> None:
    """Idempotency keys are kept for a day; gateway events and the ledger for ever."""
    while await idempotency.sweep(conn, limit=1_000) == 1_000:
        pass


async def expire_bonus(conn: Connection) -> None:
    await bonus.expire(conn, datetime.now(UTC))


async def forget_old_codes(conn: Connection) -> None:
    """One-time codes that have expired, and the counts of windows that are over."""
    for sweep in (otp.sweep, quotas.sweep):
        while await sweep(conn, limit=1_000) == 1_000:
            pass


async def forget_old_jobs(conn: Connection) -> None:
    """What was done a week ago; failed jobs stay until somebody decides about them."""
    while await jobs.sweep_log(conn, 1_000) == 1_000:
        pass


CHORES = (
    Chore("expired_bonus", MINUTE_S, expire_bonus),
    Chore("partitions", DAY_S, ledger.ensure_partitions),
    Chore("old_answers", HOUR_S, forget_old_answers),
    Chore("old_codes", HOUR_S, forget_old_codes),
    Chore("old_jobs", HOUR_S, forget_old_jobs),
)


def expired_sessions(clock: Callable[[], int]) -> Chore:
    """Forget sessions past their lifetime. `clock` gives Unix ms."""

    async def forget(conn: Connection) -> None:
        while await credentials.delete_expired_sessions(conn, now_ms=clock()):
            pass

    return Chore("expired_sessions", HOUR_S, forget)


def earnings_chore(delay_s: int) -> Chore:
    """Make earnings available that came `delay_s` ago; hourly, more often if that is short."""

    async def release(conn: Connection) -> None:
        await earnings.release_due(conn, delay_s=delay_s)

    return Chore("earnings", min(HOUR_S, max(MINUTE_S, delay_s)), release)


def old_notifications(keep_days: int) -> Chore:
    """An inbox has an end: what is older than that, and what is beyond the newest 1000 rows."""

    async def sweep(conn: Connection) -> None:
        now_ms = int(time.time() * 1000)
        while await notifications.sweep_old(conn, now_ms - int(keep_days * DAY_S * 1000)):
            pass
        # Only who was told something since the last time can have too much by now.
        last: UUID | None = first_id(now_ms - int(2 * DAY_S * 1000))
        while last is not None:
            last = await notifications.sweep_excess(conn, last)

    return Chore("old_notifications", DAY_S, sweep)


class Housekeeping:
    """Does each chore at the start and then at its interval; one that fails is tried again."""

    def __init__(
        self, pool: Pool, chores: Sequence[Chore] = CHORES, *, retry_s: float = 60.0
    ) -> None:
        self._pool = pool
        self._chores = tuple(chores)
        self._retry_s = retry_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        assert self._task is None, "started once"
        self._task = asyncio.create_task(self._run(), name="housekeeping")

    async def stop(self) -> None:
        await stop_task(self._task)
        self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_at = {chore.name: loop.time() for chore in self._chores}
        while True:
            for chore in self._chores:
                if due_at[chore.name] <= loop.time():
                    done = await self._do(chore)
                    due_at[chore.name] = loop.time() + (chore.every_s if done else self._retry_s)
            await asyncio.sleep(max(0.0, min(due_at.values()) - loop.time()))

    async def _do(self, chore: Chore) -> bool:
        try:
            async with self._pool.acquire() as conn:
                await chore.do(conn)
        except Exception:
            _log.warning("chore_failed", chore=chore.name, exc_info=True)
            return False
        return True
