"""Does the jobs that `storage/jobs.py` promises: at least once, over all nodes (PgQueuer).

A handler that raises is tried again after 2 s and 4 s or so, then the job is kept as failed. As a
job may be done twice (a lost connection, a killed process), handlers must be safe to repeat.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

import orjson
import structlog
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager

from server.logs import bound
from server.scrub import scrub
from storage import pool as pools
from storage.jobs import Counts, queries_on

Handler = Callable[[dict[str, object]], Awaitable[None]]
# Name, outcome, seconds of one try.
Observe = Callable[[str, str, float], None]

TRIES_MAX = 3
RETRY_S = 2.0
JITTER = 0.25
DEADLINE_S = 30.0
# Of one name, over all nodes; and of all names, on this one.
ACTIVE_PER_NAME = 10
ACTIVE_MAX = 40
BATCH = 10
# News of a promise comes at once; this is for what came back, and for news that got lost.
POLL_S = 2.0
# After so long without a sign of its node a job is taken over by another.
TAKE_OVER_S = 30.0
STATEMENT_S = 10.0
GRACE_S = 2.0
STOP_DEADLINE_S = 5.0
BACKOFF_S = 0.2
BACKOFF_MAX_S = 10.0
ERROR_MAX = 500

_log = structlog.stdlib.get_logger(__name__)


class GiveUp(Exception):
    """Raised by a handler: trying again cannot help. The job is kept as failed."""


class JobFailed(Exception):
    """What is kept of a failed job's error: its text, without the data of people."""


def ignore(_name: str, _outcome: str, _seconds: float) -> None:
    """For a runner whose figures nobody reads."""


class JobRunner:
    """One connection of its own, made again whenever it is lost.

    `deadlines_s` are the deadlines of handlers that need another than 30 s for one try.
    """

    def __init__(
        self,
        dsn: str,
        handlers: Mapping[str, Handler],
        *,
        deadlines_s: Mapping[str, float] | None = None,
        observe: Observe = ignore,
        retry_s: float = RETRY_S,
        poll_s: float = POLL_S,
        take_over_s: float = TAKE_OVER_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self._dsn = dsn
        self._handlers = dict(handlers)
        self._deadlines_s = dict(deadlines_s or {})
        self._observe = observe
        self._retry_s = retry_s
        self._poll_s = poll_s
        self._take_over_s = take_over_s
        self._grace_s = grace_s
        self._unknown: set[str] = set()
        self._running: set[asyncio.Timeout] = set()
        self._manager: QueueManager | None = None
        self._conn: pools.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Returns at once; a database that is away is waited for in the background."""
        assert self._task is None, "started once"
        if self._handlers:
            self._task = asyncio.create_task(self._supervise(), name="jobs")

    async def stop(self) -> None:
        """Jobs that run get a moment, then they go back to the queue; it never takes 10 s."""
        self._stopping = True
        if self._task is None:
            return
        if self._manager is None:
            self._task.cancel()
        else:
            self._manager.shutdown.set()
        _, pending = await asyncio.wait([self._task], timeout=self._grace_s)
        if pending:
            for deadline in self._running:
                if not deadline.expired():
                    deadline.reschedule(asyncio.get_running_loop().time())
            _, pending = await asyncio.wait([self._task], timeout=STOP_DEADLINE_S)
        if pending:
            # Without a connection nothing can be said of the jobs that do not end: whoever takes
            # them over must not find them cancelled.
            _log.warning("jobs_left_running", jobs=len(self._running))
            self._cut()
            self._task.cancel()
            await asyncio.wait([self._task], timeout=STOP_DEADLINE_S)
        self._task = None

    def notice(self, counts: Iterable[Counts]) -> None:
        """Report jobs that no handler of this release takes, each name once; they stay queued."""
        for each in counts:
            if each.name not in self._handlers and each.name not in self._unknown:
                self._unknown.add(each.name)
                _log.error("job_without_handler", job=each.name, waiting=each.waiting)

    async def _supervise(self) -> None:
        failures = 0
        while not self._stopping:
            began = asyncio.get_running_loop().time()
            try:
                await self._run()
            except Exception as error:
                if self._stopping:
                    return
                if asyncio.get_running_loop().time() - began > BACKOFF_MAX_S:
                    failures = 0
                wait_s = min(BACKOFF_S * 2**failures, BACKOFF_MAX_S)
                failures = min(failures + 1, 10)
                _log.warning("jobs_interrupted", why=type(error).__name__, again_in_s=wait_s)
                await asyncio.sleep(wait_s)
            finally:
                self._cut()

    async def _run(self) -> None:
        """Do jobs until the stop, or until the connection is lost."""
        self._conn = await pools.connect(
            self._dsn, application_name="talktime jobs", deadline_s=STATEMENT_S
        )
        manager = QueueManager(queries_on(self._conn))
        for name, handler in self._handlers.items():
            self._register(manager, name, handler)
        self._manager = manager
        await manager.run(
            dequeue_timeout=timedelta(seconds=self._poll_s),
            batch_size=BATCH,
            max_concurrent_tasks=ACTIVE_MAX,
            shutdown_on_listener_failure=True,
            heartbeat_timeout=timedelta(seconds=self._take_over_s),
            # Its statistics table would grow without end; our figures are in /metrics.
            log_aggregation_interval=timedelta(0),
        )

    def _register(self, manager: QueueManager, name: str, handler: Handler) -> None:
        async def do(job: Job) -> None:
            with bound(job=name, job_id=int(job.id)):
                await self._do(name, handler, job)

        manager.entrypoint(
            name, concurrency_limit=ACTIVE_PER_NAME, accepts_context=False, on_failure="hold"
        )(do)

    async def _do(self, name: str, handler: Handler, job: Job) -> None:
        """One try of one job.

        Raises:
            RetryRequested: put it back. JobFailed: keep it as failed.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome = "interrupted"
        try:
            payload: dict[str, object] = orjson.loads(job.payload or b"{}")
            async with asyncio.timeout(self._deadlines_s.get(name, DEADLINE_S)) as deadline:
                self._running.add(deadline)
                try:
                    await handler(payload)
                finally:
                    self._running.discard(deadline)
            outcome = "done"
        except Exception as error:
            outcome = self._outcome_of(error, job)
            tries = job.attempts + 1
            if outcome == "interrupted":
                _log.info("job_interrupted", tries=tries)
                raise RetryRequested(reason="the server stopped") from None
            text = scrub(f"{type(error).__name__}: {error}")[:ERROR_MAX]
            if outcome == "retried":
                _log.warning("job_failed_and_is_tried_again", tries=tries, exc_info=True)
                raise RetryRequested(self._pause(job.attempts), text) from None
            _log.error("job_failed", tries=tries, exc_info=True)
            raise JobFailed(text) from None
        finally:
            self._observe(name, outcome, loop.time() - began)

    def _outcome_of(self, error: Exception, job: Job) -> str:
        if isinstance(error, TimeoutError) and self._stopping:
            return "interrupted"
        # Tries are counted by the times it was put back.
        last = job.attempts + 1 >= TRIES_MAX
        return "failed" if last or isinstance(error, GiveUp) else "retried"

    def _pause(self, attempts: int) -> timedelta:
        pause_s = self._retry_s * 2**attempts
        return timedelta(seconds=pause_s * random.uniform(1 - JITTER, 1 + JITTER))

    def _cut(self) -> None:
        conn, self._conn, self._manager = self._conn, None, None
        if conn is not None:
            with contextlib.suppress(Exception):
                conn.terminate()
