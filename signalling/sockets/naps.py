"""Waiting on a loop that may stand still meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable

LATE_S = 0.5
SLACK_S = 2.0

Sleep = Callable[[float], Awaitable[object]]


async def on_time(
    seconds: float, *, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep
) -> bool:
    """Sleep for so long; false if this node woke up late, so that much may have changed."""
    due_s = clock() + seconds
    await sleep(seconds)
    return clock() - due_s <= LATE_S


async def nap(
    seconds: float,
    *,
    slept: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Sleep for so long, and `SLACK_S` longer after this node itself was late.

    What peers have sent while the loop stood still waits to be read: timers may come before it, and
    would find silent who has spoken in time. `slept` is called every `seconds`, then too.
    """
    due_s = clock() + seconds
    while (left_s := due_s - clock()) > 0:
        if not await on_time(min(seconds, left_s), clock=clock, sleep=sleep):
            due_s = clock() + SLACK_S
        slept()
