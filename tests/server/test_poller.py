from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from server.poller import Poller
from storage.errors import Unavailable

WAIT_S = 10.0
NEVER_S = 3_600.0


class Work:
    """Answers and fails as told, then has nothing to do; counts its turns."""

    def __init__(self, *turns: bool | Exception) -> None:
        self._turns = list(turns)
        self.done = 0
        self.running = 0
        self._news = asyncio.Condition()

    async def __call__(self) -> bool:
        self.running += 1
        assert self.running == 1, "one at a time"
        await asyncio.sleep(0)
        self.running -= 1
        async with self._news:
            self.done += 1
            self._news.notify_all()
        turn = self._turns.pop(0) if self._turns else False
        if isinstance(turn, Exception):
            raise turn
        return turn

    async def times(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: self.done >= count)


@asynccontextmanager
async def polling(
    work: Callable[[], Awaitable[bool]], *, poll_s: float = NEVER_S, pause_s: float = 0.0
) -> AsyncIterator[Poller]:
    poller = Poller("test", work, poll_s=poll_s, retry_s=0.001, pause_s=pause_s)
    await poller.start()
    try:
        yield poller
    finally:
        await poller.stop()


async def test_while_there_is_more_it_goes_on_at_once() -> None:
    work = Work(True, True, False)
    async with polling(work, pause_s=NEVER_S):
        await work.times(3)
        await asyncio.sleep(0)
        assert work.done == 3


async def test_a_kick_wakes_it_and_one_during_work_is_not_lost() -> None:
    work = Work()
    async with polling(work) as poller:
        await work.times(1)
        for count in (2, 3):
            poller.kick()
            await work.times(count)

    async def kicked() -> bool:
        if work.done < 5:
            poller.kick()
        return await work()

    async with polling(kicked) as poller:
        await work.times(6)


async def test_without_a_kick_it_looks_by_itself() -> None:
    work = Work()
    async with polling(work, poll_s=0.001):
        await work.times(3)


async def test_kicks_in_a_row_are_one_turn_after_the_pause() -> None:
    work = Work()
    async with polling(work, pause_s=0.05) as poller:
        await work.times(1)
        for _ in range(100):
            poller.kick()
            await asyncio.sleep(0)
        await work.times(2)
    assert work.done == 2


async def test_work_that_fails_is_tried_again_whatever_the_fault() -> None:
    work = Work(Unavailable(), ConnectionError(), ValueError("ours"), False)
    async with polling(work):
        await work.times(4)


async def test_a_stop_cancels_work_under_way() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> bool:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return False

    async with polling(hang):
        await asyncio.wait_for(began.wait(), WAIT_S)
    assert ended.is_set()
