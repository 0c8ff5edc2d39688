"""Faults of Redis, which carries presence and parcels between nodes and never money."""

import asyncio
import time
from functools import partial

from tests.faults import valkey
from tests.faults.cluster import Cluster
from tests.faults.proxy import Proxy
from tests.faults.stage import Row, Stage
from tests.faults.valkey import Valkey

_kept: dict[int, tuple[Valkey, list[Proxy]]] = {}


async def prepare(cluster: Cluster) -> None:
    """One Redis; each node reaches it by a wire of its own."""
    server = Valkey(cluster.directory, cluster.dice)
    wires: list[Proxy] = []
    _kept[id(cluster)] = server, wires
    await server.start()
    for node in cluster.nodes:
        wire = await server.wire()
        wires.append(wire)
        node.settings["REDIS_URL"] = f"redis://127.0.0.1:{wire.port}/0"


async def clean(cluster: Cluster) -> None:
    kept = _kept.pop(id(cluster), None)
    if kept is not None:
        await kept[0].close()


def _of(stage: Stage) -> tuple[Valkey, list[Proxy]]:
    return _kept[id(stage.cluster)]


async def empty(stage: Stage) -> None:
    server, _ = _of(stage)
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        await server.kill()
        await asyncio.sleep((0.0, 4.0)[number % 2])
        await server.start()
        await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def stop(stage: Stage) -> None:
    server, _ = _of(stage)
    for _ in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        server.pause()
        await asyncio.sleep(8.0)
        server.resume()
        await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def cut_off(stage: Stage) -> None:
    """One node cannot reach it, and is not told so."""
    _, wires = _of(stage)
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        wire = wires[number % len(wires)]
        wire.hang()
        await asyncio.sleep(6.0)
        wire.heal()
        await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def lose_subscriptions(stage: Stage) -> None:
    server, _ = _of(stage)
    for _ in range(stage.cycles):
        await stage.calm(0.5, 1.5)
        await server.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await stage.recovered(time.monotonic())
        await stage.cycle_done()


async def fill(stage: Stage) -> None:
    """No memory left in it: new keys are refused, or old ones thrown out."""
    server, _ = _of(stage)
    for number in range(stage.cycles):
        await stage.calm(1.0, 2.0)
        policy = ("noeviction", "allkeys-random")[number % 2]
        await server.ask("SETRANGE", "ballast", "4000000", "x")
        await server.ask("CONFIG", "SET", "maxmemory-policy", policy)
        await server.ask("CONFIG", "SET", "maxmemory", "2mb")
        said = await server.ask("SET", "probe", "x")
        if policy == "noeviction" and not said.startswith(b"-OOM"):
            stage.violated(f"Redis was not full: {said.decode()}")
        await asyncio.sleep(6.0)
        await server.ask("CONFIG", "SET", "maxmemory", "0")
        await server.ask("DEL", "ballast")
        await stage.recovered(time.monotonic())
        await stage.cycle_done(policy)


on_two = partial(Row, nodes=2, absent=valkey.absent, prepare=prepare, clean=clean)
# By connections of their own nodes would hardly notice.
by_redis = partial(on_two, settings={"TALKTIME_LINKS": "false"}, lossy=True)

ROWS = (
    by_redis(
        name="redis-empty",
        fault="F18",
        how="kill -9 of Redis, empty again at once and after 4 s",
        run=empty,
        cycles=6,
    ),
    by_redis(
        name="redis-stop",
        fault="F19",
        how="SIGSTOP of Redis for 8 s",
        run=stop,
        cycles=3,
    ),
    on_two(
        name="redis-stop-linked",
        fault="F19",
        how="SIGSTOP of Redis for 8 s, nodes with connections of their own",
        run=stop,
        cycles=3,
    ),
    by_redis(
        name="redis-cut-off",
        fault="F20",
        how="half-open wire from one node to Redis for 6 s",
        run=cut_off,
        cycles=4,
    ),
    by_redis(
        name="redis-full",
        fault="F22",
        how="maxmemory 2mb for 6 s: new keys refused, or old ones thrown out",
        run=fill,
        cycles=4,
        quick=2,
    ),
    by_redis(
        name="redis-pubsub",
        fault="F21",
        how="CLIENT KILL TYPE pubsub",
        run=lose_subscriptions,
        cycles=10,
    ),
)
