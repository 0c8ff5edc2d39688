"""Journals of calls that have ended here or gone elsewhere: written down in batches, beside.

They come behind money and telling: what a crash finds here is lost, and what finds the queue full,
because the database is away, is dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple
from uuid import UUID

import structlog

from server.background import HOUR_S, Chore
from server.metrics import Metrics
from server.poller import Poller
from signalling.calls.host import Host
from signalling.calls.journal import Journal
from storage import call_journals
from storage.call_journals import Noted
from storage.pool import YIELDED, Connection, Pool, is_lost

# About 25 MB.
NOTES_MAX = 100_000
BATCH_MAX = 50
BATCH_DEADLINE_S = 4.0
# A quarter of a millisecond.
SPELLED_AT_ONCE = 10
POLL_S = 5.0
# Calls that end one after the other are written together.
PAUSE_S = 0.2
KEPT_DAYS = 30

_log = structlog.stdlib.get_logger(__name__)


class Finished(NamedTuple):
    """A journal that waits to be written; `notes` of it were counted when it came."""

    call_id: UUID
    claim: int
    journal: Journal
    notes: int


class Journals:
    def __init__(
        self, pool: Pool, epoch: int, metrics: Metrics, *, notes_max: int = NOTES_MAX
    ) -> None:
        self._pool = pool
        self._epoch = epoch
        self._notes_max = notes_max
        self._queue: deque[Finished] = deque()
        self._notes = 0
        self._poller = Poller("call-journals", self._write, poll_s=POLL_S, pause_s=PAUSE_S)
        self.dropped = 0
        metrics.watch_count(
            "talktime_call_journals_dropped_total",
            "Journals of calls that found the queue full.",
            lambda: self.dropped,
        )

    @property
    def waiting(self) -> int:
        """Journals that are not written yet."""
        return len(self._queue)

    def put(self, host: Host) -> None:
        """The call is over, or runs elsewhere: nothing more is noted here. Never blocks."""
        notes = len(host.journal)
        if self._notes + notes > self._notes_max:
            if self.dropped == 0:
                _log.error("call_journals_dropped", waiting=len(self._queue))
            self.dropped += 1
            return
        self._notes += notes
        self._queue.append(Finished(host.id, host.claim, host.journal, notes))
        self._poller.kick()

    def chores(self) -> list[Chore]:
        return [Chore("old_call_journals", HOUR_S, forget_old)]

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
            _log.warning("call_journals_lost", count=len(self._queue), why=type(error).__name__)

    async def _write(self) -> bool:
        """One batch; it leaves the queue when it is committed. Written twice it is there once."""
        count = min(len(self._queue), BATCH_MAX)
        if not count:
            return False
        noted = []
        for at in range(count):
            noted.append(spelled(self._queue[at]))
            if at % SPELLED_AT_ONCE == 0:
                await asyncio.sleep(0)  # Live calls come first.
        try:
            async with asyncio.timeout(BATCH_DEADLINE_S), self._pool.acquire() as conn:
                await call_journals.add(conn, self._epoch, noted)
        except Exception as error:
            if is_lost(error) or isinstance(error, YIELDED):
                raise
            # The same batch would be refused again, and hold up all that come after it.
            _log.exception("call_journals_refused", count=count)
            self.dropped += count
        for _ in range(count):
            self._notes -= self._queue.popleft().notes
        return bool(self._queue)


def spelled(finished: Finished) -> Noted:
    journal = finished.journal
    return Noted(
        call_id=finished.call_id,
        claim=finished.claim,
        entries=journal.packed(),
        left_out=journal.left_out,
        reports=journal.reports,
    )


async def forget_old(conn: Connection) -> None:
    while await call_journals.sweep(conn, days=KEPT_DAYS, limit=1_000) == 1_000:
        pass
