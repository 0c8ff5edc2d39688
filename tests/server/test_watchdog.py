"""A loop that stands still is noticed, with the place where it does."""

from __future__ import annotations

import asyncio
import gc
import sys
import time

from structlog.testing import capture_logs

from server.watchdog import Watchdog, collections_timed, places

STALL_S = 0.3


async def wait_for_lag(lags: asyncio.Queue[float], over_s: float) -> float:
    async with asyncio.timeout(10):
        while True:
            lag = await lags.get()
            if lag >= over_s:
                return lag


def stand_still() -> None:
    until_s = time.monotonic() + STALL_S
    while time.monotonic() < until_s:
        pass


async def test_a_stall_is_measured_and_its_place_is_logged() -> None:
    lags = asyncio.Queue[float]()
    watchdog = Watchdog(lags.put_nowait, every_s=0.02)
    watchdog.start()
    with capture_logs() as lines:
        await lags.get()
        stand_still()
        await wait_for_lag(lags, STALL_S - 0.05)
        await lags.get()
    await watchdog.stop()
    stalls = [line for line in lines if line["event"] == "event_loop_stalled"]
    assert any(any("stand_still" in place for place in line["at"]) for line in stalls)


async def test_a_stop_leaves_neither_task_nor_thread() -> None:
    before = asyncio.all_tasks()
    watchdog = Watchdog(lambda _lag: None)
    watchdog.start()
    assert watchdog._thread.is_alive()
    await watchdog.stop()
    assert asyncio.all_tasks() == before
    assert not watchdog._thread.is_alive()


def test_places_name_functions_and_show_no_values() -> None:
    secret = "hush-hush"
    found = places(sys._getframe())
    assert found[-1].endswith("test_places_name_functions_and_show_no_values")
    assert secret not in " ".join(found)


def test_collections_are_timed_while_inside() -> None:
    seen: list[tuple[int, float]] = []
    with collections_timed(lambda generation, seconds: seen.append((generation, seconds))):
        gc.collect()
    count = len(seen)
    gc.collect()
    assert len(seen) == count
    assert (2, True) in [(generation, seconds >= 0) for generation, seconds in seen]


async def test_it_says_how_late_the_loop_is_also_while_it_is() -> None:
    lags = asyncio.Queue[float]()
    watchdog = Watchdog(lags.put_nowait, every_s=0.02)
    assert watchdog.late_s == 0, "not started yet"
    watchdog.start()
    await lags.get()
    stand_still()
    assert watchdog.late_s > STALL_S - 0.05
    await wait_for_lag(lags, STALL_S - 0.05)
    assert watchdog.late_s > STALL_S - 0.05
    await watchdog.stop()
