"""Faults that take two nodes: an owner killed, a zombie, a rolling restart, clocks apart."""

import asyncio
import statistics
import time

from tests.faults import valkey
from tests.faults.cluster import Cluster
from tests.faults.rows import clock, redis
from tests.faults.stage import Row, Stage

# Beyond the lease (3 s): the others have taken its calls when it wakes up.
ZOMBIE_S = 12.0
TALKING = 0.65


async def kill_owner(stage: Stage) -> None:
    """Mostly the other node has taken all calls over before the killed one is back."""
    live = []
    for number in range(stage.cycles):
        await stage.calm(0.0, 1.0)
        await stage.crowd.busy(int(len(stage.crowd.pairs) * TALKING))
        node = stage.cluster.nodes[number % len(stage.cluster.nodes)]
        live.append(stage.crowd.connected)
        at_s = time.monotonic()
        await node.kill()
        await stage.recovered(at_s)
        await stage.calm(0.0, 4.0)
        await node.start()
        await stage.cycle_done(f"{node.name}, {live[-1]} were talking")
    stage.note(f"talking when killed: median {statistics.median(live):.0f}, most {max(live)}")


async def zombie(stage: Stage) -> None:
    """A node that slept through its fencing must not act when it wakes up."""
    for number in range(stage.cycles):
        await stage.calm(1.0, 3.0)
        node = stage.cluster.nodes[number % len(stage.cluster.nodes)]
        at_s = time.monotonic()
        with stage.dark():
            node.pause()
            stage.cluster.proxy.cut()
            await stage.recovered(at_s)
            await asyncio.sleep(ZOMBIE_S)
            node.resume()
        # Fenced nodes end their process by themselves, or begin a new life under a new epoch.
        try:
            await node.ended(10.0)
        except TimeoutError:
            stage.note(f"{node.name} lives on after it was fenced")
        if not node.running:
            await node.start()
        await stage.cycle_done(node.name)


async def roll(stage: Stage) -> None:
    """Every node is restarted in turn, in order, under calls."""
    for _ in range(stage.cycles):
        for node in stage.cluster.nodes:
            await stage.calm(1.0, 3.0)
            at_s = time.monotonic()
            code = await node.terminate()
            if code:
                stage.violated(f"SIGTERM ended {node.name} with {code}")
            await node.start()
            await stage.recovered(at_s)
        await stage.cycle_done()


async def clocks_apart(stage: Stage) -> None:
    clock.set_clock(stage.cluster, "-300s")
    for number in range(stage.cycles):
        await stage.calm(2.0, 4.0)
        node = stage.cluster.nodes[number % 2]
        at_s = time.monotonic()
        await node.kill()
        await stage.recovered(at_s)
        await node.start()
        await stage.cycle_done(node.name)


async def _prepare_clocks(cluster: Cluster) -> None:
    await redis.prepare(cluster)
    await clock.prepare(cluster)


ROWS = (
    redis.on_two(
        name="two-kill",
        fault="F1",
        how="kill -9 of one of two nodes, taken over by the other",
        checks="over 50 calls talking at each kill; the other node goes on with them, charged",
        run=kill_owner,
        cycles=100,
        quick=2,
        short=1,
        pairs=80,
        talk_s=8.0,
        survives=True,
    ),
    redis.on_two(
        name="two-zombie",
        fault="F3",
        how="SIGSTOP of one of two nodes past the lease, taken over, SIGCONT",
        run=zombie,
        cycles=6,
    ),
    redis.on_two(
        name="two-roll",
        fault="F35",
        how="rolling restart of two nodes by SIGTERM",
        checks="calls are handed over, `rev` goes on by one",
        run=roll,
        cycles=12,
        quick=2,
        survives=True,
    ),
    Row(
        name="two-clocks",
        fault="F32",
        how="one node 5 min behind; each killed in turn",
        run=clocks_apart,
        cycles=6,
        quick=2,
        nodes=2,
        absent=lambda: clock.absent() or valkey.absent(),
        prepare=_prepare_clocks,
        clean=redis.clean,
    ),
)
