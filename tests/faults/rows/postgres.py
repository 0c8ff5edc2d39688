"""Faults of the database: crashed, restarted, frozen, stopped, crowded, locked, full."""

import asyncio
import os
import time

from tests.faults import books
from tests.faults.stage import Row, Stage

SMALL_DISK_MB = 220
CROSSING_S = 8.0


async def kill_backend(stage: Stage) -> None:
    for _ in range(stage.cycles):
        await stage.calm(0.5, 2.0)
        at_s = time.monotonic()
        victims = await stage.database.backends()
        with stage.dark():
            await stage.database.kill_backend(stage.dice.choice(victims))
            await stage.recovered(at_s + 0.05)
        await stage.cycle_done()


async def immediate_restart(stage: Stage) -> None:
    for _ in range(stage.cycles):
        await stage.calm(0.5, 2.0)
        at_s = time.monotonic()
        with stage.dark():
            await stage.database.crash_and_restart()
            await stage.recovered(at_s + 0.05)
        await stage.cycle_done()


async def freeze(stage: Stage) -> None:
    """Shorter and longer than what a request waits for an answer."""
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        for_s = (2.0, 6.0, 12.0)[number % 3]
        with stage.dark():
            stage.database.freeze()
            await asyncio.sleep(for_s)
            stage.database.thaw()
            await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{for_s} s")


async def stop(stage: Stage) -> None:
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        for_s = (3.0, 15.0)[number % 2]
        with stage.dark():
            await stage.database.stop()
            await asyncio.sleep(for_s)
            await stage.database.start_again()
            await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{for_s} s")


async def crowd_out(stage: Stage) -> None:
    for _ in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        with stage.dark():
            taken = await stage.database.crowd_out()
            stage.note(f"{taken} connections taken")
            await asyncio.sleep(4.0)
            await stage.database.leave()
            await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def lock(stage: Stage) -> None:
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        table = ("account", "call", "meter", "node")[number % 4]
        with stage.dark():
            await stage.database.lock(table, 3.5)
            await stage.recovered(time.monotonic())
        await stage.cycle_done(table)


async def deadlock(stage: Stage) -> None:
    """Somebody else locks the server's accounts in the wrong order, again and again."""
    for _ in range(stage.cycles):
        await stage.calm(0.5, 1.0)
        refusals = stage.crowd.refusals.total()
        before = await stage.database.deadlocks()
        await stage.database.cross(stage.dice, CROSSING_S)
        await asyncio.sleep(1.0)  # The figures of PostgreSQL come a little later.
        found = await stage.database.deadlocks() - before
        stage.note(f"{found} deadlocks, {stage.crowd.refusals.total() - refusals} refusals")
        await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{found} deadlocks")
    ended = await books.ends(stage.database.dsn, "server_error")
    if ended:
        stage.violated(f"{ended} calls ended because of deadlocks")


async def fill_disk(stage: Stage) -> None:
    """Data and log on one small disk: the server may refuse, or crash until there is room."""
    for _ in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        with stage.dark():
            await asyncio.to_thread(stage.database.fill)
            await asyncio.sleep(6.0)
            crashed = not await stage.database.running()
            await asyncio.to_thread(stage.database.free)
            if crashed:
                stage.note("PostgreSQL stopped for want of room")
                await stage.database.start_again()
            await stage.database.ready()
            await stage.recovered(time.monotonic())
        await stage.cycle_done("crashed" if crashed else "refused")


def _needs_root() -> str:
    return "" if os.geteuid() == 0 else "needs root (a small tmpfs)"


ROWS = (
    Row(
        name="pg-backend",
        fault="F8",
        how="kill -9 one backend: crash recovery",
        run=kill_backend,
        cycles=15,
        quick=2,
    ),
    Row(
        name="pg-restart",
        fault="F9",
        how="pg_ctl -m immediate restart",
        run=immediate_restart,
        cycles=15,
        quick=2,
        short=1,
    ),
    Row(
        name="pg-freeze",
        fault="F10",
        how="SIGSTOP of all of PostgreSQL for 2, 6 and 12 s",
        run=freeze,
        cycles=6,
        quick=2,
    ),
    Row(
        name="pg-stop",
        fault="F11",
        how="stopped for 3 and 15 s",
        run=stop,
        cycles=4,
    ),
    Row(
        name="pg-crowded",
        fault="F12",
        how="every connection taken for 4 s, those of the server cut",
        run=crowd_out,
        cycles=5,
    ),
    Row(
        name="pg-lock",
        fault="F16",
        how="a table locked for 3.5 s",
        run=lock,
        cycles=8,
    ),
    Row(
        name="pg-deadlock",
        fault="F13",
        how="two others lock pairs of wallets crosswise for 8 s",
        checks="nobody is told of it: no error 500, no call ends for it",
        run=deadlock,
        settings={"FAULTS_UNIT_MS": "5000"},
        talk_s=8.0,
        cycles=3,
    ),
    Row(
        name="pg-disk-full",
        fault="F14-15",
        how="data and log on a small tmpfs, filled for 6 s",
        run=fill_disk,
        cycles=4,
        absent=_needs_root,
        tmpfs_mb=SMALL_DISK_MB,
    ),
)
