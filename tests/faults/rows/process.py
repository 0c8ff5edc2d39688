"""Faults of the one server process: killed, killed at a named step, paused, asked to stop."""

import asyncio
import statistics
import time
from random import Random

from server.failpoints import EXIT_CODE, POINTS
from signalling.client.envelope import CommandRefused
from tests.faults.handset import Handset
from tests.faults.stage import Row, Stage
from tests.faults.witness import Witness

# A key whose first request died is in progress for 60 s, and its owner waits for it.
DEATH_MAX_S = 90.0
# Of the kills, those that wait until this part of the pairs is talking.
BUSY, TALKING = 0.7, 0.6
# Further occurrences of a step to let pass before the deadly one.
SPREAD = {"authorise": 12, "record": 3, "note": 4, "charge": 25, "settle": 12}


async def kill(stage: Stage) -> None:
    """Mostly when many calls are talking; now and then while they come back from the last kill."""
    live = []
    for _ in range(stage.cycles):
        if stage.dice.random() < BUSY:
            await stage.crowd.busy(int(len(stage.crowd.pairs) * TALKING))
        await stage.calm(0.0, 2.0)
        live.append(stage.crowd.connected)
        at_s = time.monotonic()
        await stage.node.kill()
        await stage.node.start()
        await stage.recovered(at_s)
        await stage.cycle_done(f"{live[-1]} were talking")
    stage.note(f"talking when killed: median {statistics.median(live):.0f}, most {max(live)}")


async def kill_at_start(stage: Stage) -> None:
    """Killed again while it still clears up after the first kill."""
    for _ in range(stage.cycles):
        await stage.calm(0.5, 2.0)
        at_s = time.monotonic()
        await stage.node.kill()
        starting = asyncio.create_task(stage.node.start())
        await asyncio.sleep(stage.dice.uniform(0.6, 1.6))
        if not starting.done():
            await stage.node.kill()
        await asyncio.wait([starting])
        starting.exception()
        if not stage.node.running:
            await stage.node.start()
        await stage.recovered(at_s)
        await stage.cycle_done()


async def fail_points(stage: Stage) -> None:
    """`cycles` deaths at each point."""
    each, stage.cycles = stage.cycles, stage.cycles * len(POINTS)
    stranger = asyncio.create_task(_call_nobody(stage))
    try:
        for _ in range(each):
            for name in POINTS:
                await _die_at(stage, name)
    finally:
        stranger.cancel()
        await asyncio.gather(stranger, return_exceptions=True)
    await stage.node.kill()
    await stage.node.start()


async def _die_at(stage: Stage, name: str) -> None:
    await stage.node.kill()
    number = stage.dice.randint(1, SPREAD.get(name, 1))
    await stage.node.start(TALKTIME_FAILPOINT=f"{name}:{number}")
    try:
        code = await stage.node.ended(DEATH_MAX_S)
    except TimeoutError:
        stage.violated(f"{name}:{number} was not reached in {DEATH_MAX_S:.0f} s")
        return
    if code != EXIT_CODE:
        stage.violated(f"the server ended with {code} instead of dying at {name}")
    at_s = time.monotonic()
    await stage.node.start()
    await stage.recovered(at_s)
    await stage.cycle_done(f"{name}:{number}")


async def _call_nobody(stage: Stage) -> None:
    """Calls to somebody who is not there are written down too."""
    crowd = stage.crowd
    assert crowd.shopper is not None
    assert crowd.nobody is not None
    assert crowd.http is not None
    witness = Witness("stranger", crowd.fault)
    phone = Handset(
        stage.cluster.proxy.url,
        crowd.shopper.person,
        "stranger-phone",
        witness,
        http=crowd.http,
        dice=Random(1),
        resend=0,
        heard=lambda _: None,
    )
    await phone.connect(timeout_s=30)
    try:
        while True:
            try:
                await phone.command("call_request", toUserId=str(crowd.nobody.id), timeout_s=60)
            except CommandRefused:
                pass
            await asyncio.sleep(0.3)
    finally:
        await phone.close()


async def pause(stage: Stage) -> None:
    """Below the lease, beyond it, and beyond what clients wait for a silent server."""
    for number in range(stage.cycles):
        await stage.calm(0.5, 2.0)
        for_s = (1.0, 4.5, 9.0)[number % 3]
        stage.node.pause()
        await asyncio.sleep(for_s)
        stage.node.resume()
        await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{for_s} s")


async def terminate(stage: Stage) -> None:
    for _ in range(stage.cycles):
        await stage.calm(0.5, 2.0)
        at_s = time.monotonic()
        code = await stage.node.terminate()
        if code:
            stage.violated(f"SIGTERM ended with {code}")
        await stage.node.start()
        await stage.recovered(at_s)
        await stage.cycle_done()


ROWS = (
    Row(
        name="kill",
        fault="F1",
        how="kill -9 at random moments",
        run=kill,
        cycles=200,
        short=2,
        pairs=80,
    ),
    Row(
        name="kill-at-start",
        fault="F1",
        how="kill -9, and again while it starts",
        run=kill_at_start,
        cycles=20,
    ),
    Row(
        name="fail-points",
        fault="F2",
        how=f"death after the commit, before the answer: {', '.join(POINTS)}",
        run=fail_points,
        cycles=5,
    ),
    Row(
        name="pause",
        fault="F3",
        how="SIGSTOP 1, 4.5 and 9 s (lease 3 s), SIGCONT",
        run=pause,
        cycles=9,
    ),
    Row(
        name="terminate",
        fault="F35",
        how="SIGTERM, start again",
        run=terminate,
        cycles=10,
    ),
)
