"""Faults of the wall clock, by libfaketime."""

import asyncio
import os
import time
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.stage import Row, Stage

PLACES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
)
STEPS = ("+3600s", "-7200s", "+0s", "+86400s", "-300s", "+0s")


def library() -> Path | None:
    return next((Path(place) for place in PLACES if Path(place).exists()), None)


def absent() -> str:
    return "" if library() else "libfaketime is not installed"


def _settings(cluster: Cluster) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(cluster.directory / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(cluster: Cluster, step: str) -> None:
    """Replaced whole, as the server reads it at any moment."""
    path = cluster.directory / "clock"
    fresh = path.with_suffix(".new")
    fresh.write_text(step)
    os.replace(fresh, path)


async def prepare(cluster: Cluster) -> None:
    set_clock(cluster, "+0s")
    cluster.nodes[0].settings.update(_settings(cluster))


async def steps(stage: Stage) -> None:
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        step = STEPS[number % len(STEPS)]
        set_clock(stage.cluster, step)
        at_s = time.monotonic()
        await stage.recovered(at_s)
        await asyncio.sleep(2.0)
        if number % len(STEPS) in (1, 3):
            # A node that starts with a wrong clock.
            await stage.node.kill()
            await stage.node.start()
            await stage.recovered(time.monotonic())
        await stage.cycle_done(step)


ROWS = (
    Row(
        name="clock",
        fault="F31",
        how="wall clock of the server +1 h, -2 h, +1 day, -5 min in mid-call; started so",
        run=steps,
        cycles=6,
        absent=absent,
        prepare=prepare,
    ),
)
