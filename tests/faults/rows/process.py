"""Faults of the one server process: killed, killed at a named step, paused, asked to stop."""

import asyncio
import contextlib
import statistics
import time
from random import Random

from server.failpoints import EXIT_CODE, POINTS
from signalling.client.envelope import CommandRefused
from tests.faults import books
from tests.faults.handset import Handset
from tests.faults.rows.clients import bystander
from tests.faults.stage import Row, Stage
from tests.faults.witness import Witness

# A key whose first request died is in progress for 60 s, and its owner waits for it.
DEATH_MAX_S = 90.0
# Of the kills, those that wait until this part of the pairs is talking.
BUSY, TALKING = 0.9, 0.65
# Shorter than any peer waits for another, and just below what the server waits for a client.
BLOCKED_S = (2.0, 2.0, 3.5)
FELT_S = 3.0
MISTAKES = 3
# Further occurrences of a step to let pass before the deadly one.
SPREAD = {"authorise": 12, "record": 3, "note": 4, "charge": 25, "settle": 12}


async def kill(stage: Stage) -> None:
    """Mostly when many calls are talking; now and then while they come back from the last kill."""
    live = []
    for _ in range(stage.cycles):
        if stage.dice.random() < BUSY:
            await stage.crowd.busy(int(len(stage.crowd.pairs) * TALKING))
        await stage.calm(0.0, 1.0)
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
        with stage.dark():
            stage.node.pause()
            await asyncio.sleep(for_s)
            stage.node.resume()
            await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{for_s} s")


async def block(stage: Stage) -> None:
    """Late, and nobody else is blamed for it."""
    node = stage.node
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        await stage.crowd.busy(5)
        dead = node.logged('"code":4001')
        connects = stage.crowd.connects
        for_s = BLOCKED_S[number % len(BLOCKED_S)]
        at_s = time.monotonic()
        # Of the longer one some clients take the server for dead, and hang up before they are back.
        with stage.dark() if for_s > FELT_S else contextlib.nullcontext():
            node.block(for_s)
            slowest_ms = await bystander(stage, at_s + for_s + 3.0)
        if slowest_ms < for_s * 500:
            stage.violated(f"the loop did not stand still for {for_s} s: {slowest_ms:.0f} ms")
        lost = stage.crowd.connects - connects
        if lost and for_s <= FELT_S:
            stage.violated(f"{lost} sockets were lost while the loop stood still for {for_s} s")
        if node.logged('"code":4001') - dead:
            stage.violated(f"sockets were taken for dead after {for_s} s of our own")
        await stage.recovered(at_s + for_s)
        await stage.cycle_done(f"{for_s} s, slowest answer {slowest_ms:.0f} ms")
    ended = await books.ends(stage.database.dsn, "server_error")
    if ended:
        stage.violated(f"{ended} calls ended because the server was late")


async def mistakes(stage: Stage) -> None:
    """Whoever sent the command is told; nobody else notices."""
    stage.crowd.forgive("internal")
    for _ in range(stage.cycles):
        await stage.calm(0.5, 1.5)
        connects, failed = stage.crowd.connects, stage.node.logged("made on purpose")
        for _number in range(MISTAKES):
            stage.node.raise_once()
            await asyncio.sleep(0.5)
        failed = stage.node.logged("made on purpose") - failed
        if not failed:
            stage.violated("no command has failed")
        if stage.crowd.connects > connects:
            stage.violated(f"{stage.crowd.connects - connects} sockets were lost")
        await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{failed} failed")


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
        checks="over 50 calls talking at most kills; what was talking goes on and is charged",
        run=kill,
        cycles=100,
        quick=4,
        short=2,
        pairs=90,
        talk_s=8.0,
        survives=True,
    ),
    Row(
        name="kill-at-start",
        fault="F1",
        how="kill -9, and again while it starts",
        run=kill_at_start,
        cycles=15,
        quick=2,
        survives=True,
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
        checks="it acts again only after a new proof that it is not fenced",
        run=pause,
        cycles=9,
        quick=3,
    ),
    Row(
        name="blocked",
        fault="F5",
        how="the event loop stands still for 2 and 3.5 s",
        checks="nobody is closed 4001, nobody loses a socket at 2 s, no call ends for it",
        run=block,
        settings={"FAULTS_UNIT_MS": "5000"},
        talk_s=10.0,
        cycles=6,
        quick=3,
    ),
    Row(
        name="mistake",
        fault="F7",
        how=f"{MISTAKES} commands fail by an exception that nobody expects",
        checks="they are answered `internal`; all sockets stay",
        run=mistakes,
        cycles=4,
    ),
    Row(
        name="terminate",
        fault="F35",
        how="SIGTERM, start again",
        checks="calls wait for the next life and go on with the next `rev`",
        run=terminate,
        settings={"FAULTS_UNIT_MS": "5000"},
        talk_s=8.0,
        cycles=10,
        quick=2,
        survives=True,
    ),
)
