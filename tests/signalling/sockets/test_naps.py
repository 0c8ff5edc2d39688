"""Nobody is judged by a node that has only just woken up."""

from itertools import pairwise

import pytest

from signalling.calls.wakefulness import Wakefulness
from signalling.sockets.naps import LATE_S, SLACK_S, nap, on_time


class Loop:
    """Each sleep takes longer by the next of `stalls`, in seconds."""

    def __init__(self, *stalls: float) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []
        self._stalls = [*stalls]

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds + (self._stalls.pop(0) if self._stalls else 0.0)


async def test_a_loop_that_is_on_time_sleeps_once() -> None:
    loop = Loop(0.05)
    await nap(0.1, clock=loop.clock, sleep=loop.sleep)
    assert loop.slept == [0.1]


async def test_a_loop_that_stood_still_waits_until_it_has_read_what_came_meanwhile() -> None:
    loop = Loop(16.0)
    await nap(0.1, clock=loop.clock, sleep=loop.sleep)
    assert loop.now_s == pytest.approx(0.1 + 16.0 + SLACK_S)


async def test_a_loop_that_stands_still_again_waits_again() -> None:
    loop = Loop(16.0, 0.0, 3.0)
    await nap(0.1, clock=loop.clock, sleep=loop.sleep)
    assert loop.now_s == pytest.approx(0.1 + 16.0 + 0.1 + 0.1 + 3.0 + SLACK_S)


async def test_who_waits_longer_is_still_seen_to_be_awake() -> None:
    """Or a loop that was late for a moment would be taken for one that was asleep for long."""
    loop = Loop(LATE_S + 0.1)
    seen_s: list[float] = []
    wakefulness = Wakefulness(loop.clock, proved_s=lambda: 0.0)

    def slept() -> None:
        wakefulness.tick()
        seen_s.append(loop.now_s)

    await nap(0.1, slept=slept, clock=loop.clock, sleep=loop.sleep)
    assert max(after - before for before, after in pairwise(seen_s)) <= 0.11
    assert wakefulness.is_sure()


async def test_who_wakes_up_late_is_told_so() -> None:
    loop = Loop(LATE_S, LATE_S + 0.1)
    assert await on_time(1.0, clock=loop.clock, sleep=loop.sleep)
    assert not await on_time(1.0, clock=loop.clock, sleep=loop.sleep)
