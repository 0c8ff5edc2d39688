"""Faults between clients and server: cut, half-open, slow, lossy."""

import asyncio
import time

from tests.faults import netns
from tests.faults.cluster import EVIDENCE_MS
from tests.faults.handset import Handset
from tests.faults.people import make_pairs
from tests.faults.proxy import Weather
from tests.faults.stage import Row, Stage
from tests.faults.witness import Witness

# Longer than the server and the client wait for a silent peer in a call (4 s).
HALF_OPEN_S = 6.0
BLACKOUT_S = 7.0
WAITING_PAIRS = 250
STORM_MAX_S = 20.0


async def cut(stage: Stage) -> None:
    """Reset connections, at any byte and in the middle of a frame."""
    for number in range(stage.cycles):
        await stage.calm(0.5, 1.5)
        if number % 2:
            stage.cluster.proxy.cut_in_frame(0.5)
        else:
            stage.cluster.proxy.cut(0.5)
        await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def half_open(stage: Stage) -> None:
    for _ in range(stage.cycles):
        await stage.calm(0.5, 1.5)
        await stage.crowd.busy(3)
        with stage.dark():
            stage.cluster.proxy.hang(0.6)
            await asyncio.sleep(HALF_OPEN_S)
            stage.cluster.proxy.heal()
            await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def delay(stage: Stage) -> None:
    for number in range(stage.cycles):
        kinds = (
            Weather(delay_ms=100, jitter_ms=400),
            Weather(delay_ms=20, bytes_per_s=4_000),
        )
        with stage.dark():
            stage.cluster.proxy.weather = kinds[number % 2]
            await asyncio.sleep(6.0)
            stage.cluster.proxy.heal()
            await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def loss(stage: Stage) -> None:
    net = netns.of(stage.cluster)
    for number in range(stage.cycles):
        percent = (5, 20, 40)[number % 3]
        with stage.dark():
            await asyncio.to_thread(net.lose, percent)
            await asyncio.sleep(8.0)
            await asyncio.to_thread(net.heal)
            await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{percent} %")


async def blackout(stage: Stage) -> None:
    net = netns.of(stage.cluster)
    for _ in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        with stage.dark():
            await asyncio.to_thread(net.lose, 100)
            await asyncio.sleep(BLACKOUT_S)
            await asyncio.to_thread(net.heal)
            await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def storm(stage: Stage) -> None:
    """All connections are reset at once, those of many who only wait among them."""
    cluster, crowd = stage.cluster, stage.crowd
    assert crowd.http is not None
    money = [0] * WAITING_PAIRS
    made = await make_pairs(cluster.database.dsn, cluster.secret, money, label="waiting")
    waiting = [
        Handset(
            cluster.proxy.url,
            person,
            "waiting",
            Witness(f"waiting {number}", crowd.fault, leg=False),
            http=crowd.http,
            dice=stage.dice,
            resend=0,
            heard=lambda _: None,
        )
        for number, person in enumerate(person for pair in made for person in pair)
    ]
    try:
        for first in range(0, len(waiting), 50):
            await asyncio.gather(*(one.connect(60) for one in waiting[first : first + 50]))
        for _ in range(stage.cycles):
            await stage.calm(1.0, 2.0)
            await crowd.busy(5)
            before = [one.connects for one in waiting]
            resumed = sum(one.witness.resumed for one in waiting)
            at_s = time.monotonic()
            cut = cluster.proxy.cut()
            while any(one.connects == old for one, old in zip(waiting, before, strict=True)):
                if time.monotonic() - at_s > STORM_MAX_S:
                    stage.violated(f"some were not back in {STORM_MAX_S:.0f} s")
                    break
                await asyncio.sleep(0.02)
            took_s = time.monotonic() - at_s
            resumed = sum(one.witness.resumed for one in waiting) - resumed
            if resumed < len(waiting):
                stage.violated(f"{len(waiting) - resumed} sessions were not resumed")
            await stage.recovered(at_s)
            await stage.cycle_done(f"{cut} cut, all {len(waiting)} back in {took_s:.1f} s")
            stage.note(f"{cut} sockets cut, back in {took_s:.1f} s")
    finally:
        await asyncio.gather(*(one.close() for one in waiting))


ROWS = (
    Row(
        name="cut",
        fault="F25,F30",
        how="half of the connections reset, also in mid-frame; frames repeated and late",
        checks="sessions are resumed, every event comes once and in order",
        run=cut,
        cycles=20,
        quick=3,
        short=1,
        survives=True,
    ),
    Row(
        name="storm",
        fault="F26",
        how=f"all connections reset at once: {2 * WAITING_PAIRS} who wait and those who talk",
        checks="all are back within 20 s, every session resumed, calls go on",
        run=storm,
        cycles=4,
        survives=True,
    ),
    Row(
        name="half-open",
        unproved_ms=EVIDENCE_MS,
        fault="F24",
        how="60 % of the connections pass nothing and close nothing for 6 s",
        run=half_open,
        cycles=5,
    ),
    Row(
        name="delay",
        unproved_ms=EVIDENCE_MS,
        fault="F23",
        how="100-500 ms each way; 4 kB/s",
        run=delay,
        cycles=4,
        pairs=10,
    ),
    Row(
        name="loss",
        unproved_ms=EVIDENCE_MS,
        fault="F23",
        how="namespace, nft: 5, 20 and 40 % of packets lost each way",
        run=loss,
        cycles=6,
        quick=2,
        pairs=10,
        absent=netns.absent,
        settings=netns.SETTINGS,
        prepare=netns.prepare,
        clean=netns.clean,
    ),
    Row(
        name="blackout",
        unproved_ms=EVIDENCE_MS,
        fault="F24",
        how="namespace, nft: no packet passes for 7 s, nobody is told",
        run=blackout,
        cycles=3,
        pairs=10,
        absent=netns.absent,
        settings=netns.SETTINGS,
        prepare=netns.prepare,
        clean=netns.clean,
    ),
)
