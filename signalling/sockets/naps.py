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
    seconds: float, *, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep
) -> None:
    """Sleep for so long, and `SLACK_S` longer after this node itself was late.

    What peers have sent while the loop stood still waits to be read: timers may come before it, and
    would find silent who has spoken in time.
    """
    while not await on_time(seconds, clock=clock, sleep=sleep):
        seconds = SLACK_S
