"""The bus of this deployment: Redis where there may be several nodes, memory where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.config import Config
from server.metrics import Metrics
from signalling.nodes.bus import Misconfigured, Presence, RunningBus
from signalling.nodes.memory import MemoryBus, MemoryPresence, Space
from storage.errors import Unavailable

if TYPE_CHECKING:
    from signalling.nodes.direct import DirectBus
    from signalling.nodes.redis import RedisBus
    from signalling.nodes.spare import SpareBus

# How often it is looked whether somebody has left calls behind.
SWEEP_S = 1.0
SWEEP_ALONE_S = 10.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """`start` joins the other nodes, `stop` says good-bye to them."""

    bus: RunningBus
    presence: Presence

    @property
    def sweep_s(self) -> float:
        return SWEEP_ALONE_S if self.bus.alone else SWEEP_S

    async def start(self) -> None:
        """
        Raises:
            Misconfigured: Redis is there and does not let us in, or other nodes are to reach this
                one where it cannot listen.
        """
        await self.bus.start()

    async def stop(self) -> None:
        await self.bus.stop()


def make_cluster(config: Config, dsn: str, address: str, metrics: Metrics) -> Cluster:
    """`address` is this life of this node, `dsn` its way to the others while Redis is away."""
    url = config.secret("redis_url")
    if not url:
        space = Space()
        alone = MemoryBus(space, address, alone=True)
        return Cluster(alone, MemoryPresence(space, address))
    from signalling.nodes.direct import DirectBus  # Slow to import.
    from signalling.nodes.doors import Doors
    from signalling.nodes.redis import RedisBus
    from signalling.nodes.redis_presence import RedisPresence
    from signalling.nodes.spare import SpareBus

    bus = RedisBus(url, address, prefix=config.redis_prefix)
    spare = SpareBus(bus, dsn)
    _watch(metrics, bus, spare)
    if not config.links:
        return Cluster(spare, RedisPresence(bus))
    doors = Doors(address, config.link_host, config.link_port)
    direct = DirectBus(spare, doors, bus.here.__contains__)
    _watch_links(metrics, direct)
    return Cluster(direct, RedisPresence(bus))


async def ping(url: str) -> str:
    """What Redis answers to PING on a connection of its own; without a `url`, that there is none.

    Raises:
        Unavailable: no answer; the message says what stood in the way.
    """
    if not url:
        return "There is no Redis: REDIS_URL is not set, and this node is alone."
    from signalling.nodes.line import Line, Server  # Slow to import.

    line = Line(Server(url))
    try:
        answer: bytes = await line.call("PING")
    except Misconfigured as error:
        raise Unavailable(str(error)) from None
    finally:
        await line.close()
    return answer.decode()


def _watch(metrics: Metrics, bus: RedisBus, spare: SpareBus) -> None:
    watch, count = metrics.watch, metrics.watch_count
    watch("talktime_nodes", "Other nodes that are there.", lambda: len(bus.peers()))
    watch("talktime_bus_healthy", "1 while Redis answers.", lambda: int(bus.healthy))
    watch("talktime_bus_rtt_seconds", "Of the last beat.", lambda: bus.rtt_ms / 1_000)
    count("talktime_bus_parcels_sent_total", "To other nodes.", lambda: bus.parcels_sent)
    count("talktime_bus_parcels_received_total", "From others.", lambda: bus.parcels_received)
    count("talktime_bus_parcels_dropped_total", "Given up unsent.", lambda: bus.parcels_dropped)
    count("talktime_bus_gaps_total", "Times that parcels may be lost.", lambda: bus.gaps)
    count("talktime_spare_parcels_sent_total", "By PostgreSQL.", lambda: spare.spare_sent)
    count("talktime_spare_parcels_received_total", "So too.", lambda: spare.spare_received)
    count("talktime_spare_parcels_dropped_total", "Given up there.", lambda: spare.spare_dropped)


def _watch_links(metrics: Metrics, direct: DirectBus) -> None:
    watch, count = metrics.watch, metrics.watch_count
    watch("talktime_links_connected", "Nodes with a connection.", lambda: direct.connections)
    count("talktime_link_parcels_sent_total", "By connections.", lambda: direct.parcels_sent)
    count("talktime_link_parcels_received_total", "So too.", lambda: direct.parcels_received)
