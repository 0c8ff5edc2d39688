"""Faults between clients and server: cut, half-open, slow, lossy."""

import asyncio
import time

from tests.faults import netns
from tests.faults.cluster import EVIDENCE_MS
from tests.faults.proxy import Weather
from tests.faults.stage import Row, Stage

# Longer than the server and the client wait for a silent peer in a call (4 s).
HALF_OPEN_S = 6.0
BLACKOUT_S = 7.0


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
        stage.cluster.proxy.weather = kinds[number % 2]
        await asyncio.sleep(6.0)
        stage.cluster.proxy.heal()
        await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def loss(stage: Stage) -> None:
    net = netns.of(stage.cluster)
    for number in range(stage.cycles):
        percent = (5, 20, 40)[number % 3]
        await asyncio.to_thread(net.lose, percent)
        await asyncio.sleep(8.0)
        await asyncio.to_thread(net.heal)
        await stage.recovered(time.monotonic())
        await stage.cycle_done(f"{percent} %")


async def blackout(stage: Stage) -> None:
    net = netns.of(stage.cluster)
    for _ in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        await asyncio.to_thread(net.lose, 100)
        await asyncio.sleep(BLACKOUT_S)
        await asyncio.to_thread(net.heal)
        await stage.recovered(time.monotonic())
        await stage.cycle_done()


ROWS = (
    Row(
        name="cut",
        fault="F25,F30",
        how="half of the connections reset, also in mid-frame; frames repeated and late",
        run=cut,
        cycles=20,
        short=1,
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
