"""Nobody is judged by a node that has only just woken up."""

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
    assert loop.slept == [0.1, SLACK_S]


async def test_a_loop_that_stands_still_again_waits_again() -> None:
    loop = Loop(16.0, 3.0)
    await nap(0.1, clock=loop.clock, sleep=loop.sleep)
    assert loop.slept == [0.1, SLACK_S, SLACK_S]


async def test_who_wakes_up_late_is_told_so() -> None:
    loop = Loop(LATE_S, LATE_S + 0.1)
    assert await on_time(1.0, clock=loop.clock, sleep=loop.sleep)
    assert not await on_time(1.0, clock=loop.clock, sleep=loop.sleep)
