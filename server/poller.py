"""Work that is looked for again and again: the loop behind what runs in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from storage.errors import Unavailable
from storage.pool import LOST

BACKOFF_MAX_S = 5.0
STOP_DEADLINE_S = 5.0

_log = structlog.get_logger(__name__)


class Poller:
    """Does `work` when it is kicked and every `poll_s`, one at a time.

    `work` answers whether there may be more: then it is done again at once, else not before
    `pause_s`. One that fails is tried again, later and later up to 5 s.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[bool]],
        *,
        poll_s: float,
        retry_s: float = 0.1,
        pause_s: float = 0.0,
    ) -> None:
        self._name = name
        self._work = work
        self._poll_s = poll_s
        self._retry_s = retry_s
        self._pause_s = pause_s
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def kick(self) -> None:
        """There is something to do; never blocks."""
        self._wake.set()

    async def start(self) -> None:
        assert self._task is None, "started once"
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Work under way is cancelled; what it has not committed is for the next start."""
        await stop_task(self._task)
        self._task = None

    async def _run(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            more = False
            try:
                more = await self._work()
                failures = 0
            except (*LOST, Unavailable):
                failures += 1
            except Exception:
                _log.exception("background_work_failed", work=self._name)
                failures += 1
            if failures:
                wait_s = min(self._retry_s * 2 ** min(failures, 10), BACKOFF_MAX_S)
                await asyncio.sleep(wait_s)
            elif not more:
                await asyncio.sleep(self._pause_s)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._wake.wait()


async def stop_task(task: asyncio.Task[None] | None) -> None:
    if task is None:
        return
    task.cancel()
    await asyncio.wait([task], timeout=STOP_DEADLINE_S)
