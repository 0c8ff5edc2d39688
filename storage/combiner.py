"""The write-combining queue: every durable step of the calls of this node goes through it.

One task, one connection, one transaction for everything that came while the last one was under way.
A quiet queue adds no delay, a busy one batches by itself (and see `storage/pace.py`). Each
transaction begins with the proof that the node still owns its epoch, which is its heartbeat too.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from uuid import UUID

from storage.errors import Conflict, Fenced, NotFound, Refusal, Unavailable
from storage.lanes import Done, Item, Lanes, answer
from storage.pace import POSTING_GAP_S, Pace
from storage.pool import Pool
from storage.proof import Proof
from storage.slices import AGAIN, Locked, Slices
from storage.works import (
    Authorise,
    Authorised,
    Failed,
    Outcome,
    Work,
    accounts_of,
    undoing,
)

Clock = Callable[[], int]

SLICE_DEADLINE_S = 4.0
BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 1.0
LOCKED_MIN_S = 0.01
LOCKED_MAX_S = 0.25

log = logging.getLogger(__name__)


def _ignore(_outcome: Outcome) -> None:
    """For works of our own that nobody waits for."""


class Combiner:
    """Owns the node's connection for call work, and the order in which it is done.

    Everything but an Authorise is tried until it succeeds, whatever happens to the database:
    targets are cumulative, so a second try after a lost answer changes nothing. An Authorise is
    given up after `wait_max_ms`, and undone if it may have been committed.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        epoch: int,
        clock: Clock,
        beat_ms: int = 1000,
        slice_max: int = 200,
        wait_max_ms: int = 4000,
        posting_gap_s: float = POSTING_GAP_S,
        on_fenced: Callable[[], None] = lambda: None,
        on_slice: Callable[[float, int], None] = lambda _seconds, _works: None,
    ) -> None:
        self._clock = clock
        self._beat_s = beat_ms / 1000
        self._slice_max = slice_max
        self._wait_max_s = wait_max_ms / 1000
        self._on_fenced = on_fenced
        self._on_slice = on_slice
        # Asking which loop runs is a system call, and works come by the thousand.
        self._loop = asyncio.get_running_loop()
        self._lanes = Lanes()
        self._pace = Pace(posting_gap_s)
        self._wake = asyncio.Event()
        self._slices = Slices(pool, epoch)
        self._task: asyncio.Task[None] | None = None
        self._closed: Refusal | None = None
        self._stopping = False
        self._failures = 0
        self._beat_due_s = 0.0
        # For how long works have been waiting for which the last slice had no room.
        self.late_ms = 0
        self.proof = Proof(self._loop.time)

    @property
    def waiting(self) -> int:
        """How many works are not done yet."""
        return len(self._lanes)

    @property
    def healthy(self) -> bool:
        """The last slice was written, and the epoch is ours."""
        return self._failures == 0 and self._closed is None

    def is_busy(self, call_id: UUID) -> bool:
        """Whether a work of this call waits or is being done."""
        return call_id in self._lanes

    async def start(self) -> None:
        """Prove the epoch with a first beat, then take work.

        Raises:
            Unavailable: the database does not answer. Fenced: the epoch is not ours.
        """
        try:
            await self._slice([])
        except AGAIN as error:
            self._slices.drop()
            raise Unavailable("the database does not answer") from error
        except Fenced:
            await self._slices.release()
            raise
        self._task = asyncio.create_task(self._run(), name="combiner")

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Write what waits, for `timeout_s` at most; what is left then fails as Unavailable."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            _, pending = await asyncio.wait([self._task], timeout=timeout_s)
            for task in pending:
                task.cancel()
                await asyncio.wait([task])
                self._slices.drop()
        if self._closed is None:
            self._close(Unavailable("the server is stopping"))
        await self._slices.release()

    def put(self, work: Work, done: Done) -> None:
        """Queue a work. `done` is called once with its outcome, from the loop, never from here."""
        loop = self._loop
        if self._closed is not None:
            loop.call_soon(done, Failed(self._closed))
            return
        after_s = 0.0
        if not self._stopping:
            crowded = len(self._lanes) >= self._slice_max
            after_s = self._pace.after_s(work, loop.time(), crowded=crowded)
        item = self._lanes.put(work, done, self._clock(), after_s)
        if type(work) is Authorise:
            loop.call_later(self._wait_max_s, self._expire, item)
        if not self._wake.is_set():
            self._wake.set()

    async def do(self, work: Work) -> Outcome:
        """Queue a work and wait for its outcome."""
        future: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.put(work, done)
        return await future

    async def _run(self) -> None:
        loop = self._loop
        while self._lanes or not self._stopping:
            # Whoever stops does not wait for what was put off.
            until_s = math.inf if self._stopping else loop.time()
            items = self._lanes.take(self._slice_max, until_s)
            if not items and loop.time() < self._beat_due_s:
                await self._sleep()
                continue
            try:
                await self._write(items)
                self._failures = 0
            except Fenced as error:
                self._on_fenced()
                self._close(error)
                return
            except Exception as error:
                await self._back_off(items, error)
            finally:
                for item in items:
                    if item.taken:
                        self._put_back(item)

    async def _sleep(self) -> None:
        """Until something is put, or an item that was put off is due, or the next beat."""
        loop = self._loop
        due_s = self._lanes.next_s()
        until_s = self._beat_due_s if due_s is None else min(due_s, self._beat_due_s)
        alarm = loop.call_at(until_s, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        alarm.cancel()

    async def _back_off(self, items: Iterable[Item], error: Exception) -> None:
        self._slices.drop()
        for item in items:
            item.doubt = item.doubt or item.taken
        if self._failures == 0:
            log.warning("a slice failed (%s: %s); trying again", type(error).__name__, error)
        pause_s = min(BACKOFF_MIN_S * 2**self._failures, BACKOFF_MAX_S)
        self._failures = min(self._failures + 1, 16)
        await asyncio.sleep(pause_s)

    async def _write(self, items: list[Item]) -> None:
        """Write and answer items; those that could not even be tried are left taken.

        A slice that the database refuses is halved until the culprit is alone.
        """
        try:
            outcomes = await self._slice(items)
        except (Fenced, *AGAIN):
            raise
        except Locked as locked:
            await self._put_off(items, locked.accounts)
            return
        except Exception as error:
            if not items:
                raise
            if len(items) == 1:
                work = items[0].work
                extra = {"call_id": str(work.call_id)}
                log.error("%s was refused: %s", type(work).__name__, error, extra=extra)
                self._finish(items[0], Failed(Conflict(f"cannot be written: {error}")))
                return
            half = len(items) // 2
            await self._write(items[:half])
            await self._write(items[half:])
            return
        for item, outcome in zip(items, outcomes, strict=True):
            self._finish(item, outcome)

    async def _slice(self, items: list[Item]) -> list[Outcome]:
        """One transaction for all items; returns their outcomes in order.

        Raises:
            Fenced: nothing was written. Locked: some accounts are locked elsewhere; nothing was
            written. Errors of AGAIN: written or not, nobody knows.
        """
        now_ms = self._clock()
        oldest_ms = self._lanes.oldest_ms(items)
        beat_ms = now_ms if oldest_ms is None else min(now_ms, oldest_ms)
        self.late_ms = now_ms - beat_ms if len(items) >= self._slice_max else 0
        works = [item.work for item in items]
        began_s = self._loop.time()
        self._beat_due_s = began_s + self._beat_s
        self._pace.began(works, began_s)
        async with asyncio.timeout(SLICE_DEADLINE_S):
            outcomes = await self._slices.write(works, beat_ms)
        self.proof.given(began_s)
        self._on_slice(self._loop.time() - began_s, len(items))
        return outcomes

    async def _put_off(self, items: Iterable[Item], locked: frozenset[int]) -> None:
        """Try those later whose accounts are locked, and the others at once."""
        async with asyncio.timeout(SLICE_DEADLINE_S):
            missing = await self._slices.missing(locked)
        now_s = self._loop.time()
        for item in items:
            accounts = accounts_of(item.work)
            if not missing.isdisjoint(accounts):
                self._finish(item, Failed(NotFound("no such account")))
            elif not locked.isdisjoint(accounts):
                item.after_s = now_s + min(LOCKED_MIN_S * 2**item.delays, LOCKED_MAX_S)
                item.delays = min(item.delays + 1, 16)

    def _put_back(self, item: Item) -> None:
        if item.expired:
            self._lanes.remove(item)
            self._undo(item)
        else:
            self._lanes.put_back(item)

    def _expire(self, item: Item) -> None:
        """An Authorise has waited for too long: its asker is told, and a commit is undone."""
        if item.expired or not item.asked:
            return
        item.expired = True
        if not item.taken:
            self._lanes.remove(item)
            self._undo(item)
        self._tell(item, Failed(Unavailable("the database did not answer in time")))

    def _undo(self, item: Item) -> None:
        work = item.work
        if not item.doubt or not isinstance(work, Authorise):
            return
        self.put(undoing(work, self._clock()), _ignore)

    def _finish(self, item: Item, outcome: Outcome) -> None:
        item.taken = False
        self._lanes.remove(item)
        if item.expired:
            item.doubt = isinstance(outcome, Authorised)
            self._undo(item)
        self._tell(item, outcome)

    def _tell(self, item: Item, outcome: Outcome) -> None:
        asked, item.asked = item.asked, []
        for work, done in asked:
            try:
                done(answer(work, outcome))
            except Exception:
                extra = {"call_id": str(work.call_id)}
                log.exception("a callback of %s failed", type(work).__name__, extra=extra)

    def _close(self, refusal: Refusal) -> None:
        """No more work: everything that waits fails, and so does everything that is put."""
        self._closed = refusal
        for item in self._lanes.drain():
            item.taken = False
            self._tell(item, Failed(refusal))
