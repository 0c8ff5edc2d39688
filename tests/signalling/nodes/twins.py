"""Nodes over either twin, and what each of them has heard: shared by the tests of the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from signalling.nodes.bus import Presence, RunningBus
from signalling.nodes.direct import DirectBus
from signalling.nodes.doors import Doors
from signalling.nodes.memory import MemoryBus, MemoryPresence, Space
from signalling.nodes.redis import RedisBus
from signalling.nodes.redis_presence import RedisPresence
from signalling.nodes.spare import SpareBus
from storage.errors import Unavailable

DEADLINE_S = 15.0
POLL_S = 0.01
ANN, KAI, LIV = UUID(int=1), UUID(int=2), UUID(int=3)


class Heard:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.parcels: list[tuple[str, bytes]] = []
        self.nodes: list[tuple[str, str]] = []
        self.gaps = 0
        self._news = asyncio.Event()

    def parcel(self, sender: str, parcel: bytes) -> None:
        self.parcels.append((sender, parcel))
        self._news.set()

    def joined(self, node: str) -> None:
        self.nodes.append(("joined", node))
        self._news.set()

    def left(self, node: str) -> None:
        self.nodes.append(("left", node))
        self._news.set()

    def gap(self) -> None:
        self.gaps += 1
        self._news.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for news until something is so."""
        async with asyncio.timeout(DEADLINE_S):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def came(self, count: int) -> list[bytes]:
        """The first `count` parcels; no more may have come."""
        await self.until(lambda: len(self.parcels) >= count)
        assert len(self.parcels) == count
        return [parcel for _, parcel in self.parcels]

    async def has_joined(self, node: str) -> None:
        await self.until(lambda: ("joined", node) in self.nodes)

    async def has_left(self, node: str) -> None:
        await self.until(lambda: ("left", node) in self.nodes)


class Node:
    def __init__(self, bus: RunningBus, presence: Presence) -> None:
        self.bus = bus
        self.presence = presence
        self.heard = Heard()
        bus.listen(self.heard)

    async def sees(self, user_id: UUID, *nodes: str) -> None:
        """Wait until the user's other nodes are these, and somebody can say so."""

        async def so() -> bool:
            try:
                return await self.presence.where([user_id]) == [frozenset(nodes)]
            except Unavailable:
                return False

        await eventually(so)


class Nodes:
    """Makes nodes that know each other, over Redis if there is a URL, and stops them all.

    With a `dsn` they have the spare way too, and `direct` the direct one.
    """

    def __init__(
        self, url: str | None = None, dsn: str | None = None, *, direct: bool = False
    ) -> None:
        self.url = url
        self.dsn = dsn
        self.direct = direct
        self.prefix = f"{uuid4().hex}:"
        self._space = Space()
        self._started: list[Node] = []

    def make(self, address: str) -> Node:
        if self.url is not None:
            redis = RedisBus(self.url, address, prefix=self.prefix)
            bus: RunningBus = redis if self.dsn is None else SpareBus(redis, self.dsn)
            if self.direct:
                bus = DirectBus(bus, Doors(address), redis.here.__contains__)
            node = Node(bus, RedisPresence(redis))
        else:
            node = Node(MemoryBus(self._space, address), MemoryPresence(self._space, address))
        self._started.append(node)
        return node

    async def start(self, *addresses: str) -> list[Node]:
        """Nodes that all have heard of each other."""
        nodes = [self.make(address) for address in addresses]
        for node in nodes:
            await node.bus.start()
        for node in nodes:
            for other in nodes:
                if other is not node:
                    await node.heard.has_joined(other.bus.address)
        for node in nodes:
            if isinstance(node.bus, DirectBus):
                bus = node.bus
                await becomes(lambda bus=bus: bus.connections == len(bus.peers()))  # type: ignore[misc]
        return nodes

    async def stop(self) -> None:
        for node in self._started:
            await node.bus.stop()


async def eventually(so: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes: for what nobody is told of."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if await so():
                return
            await asyncio.sleep(POLL_S)


async def becomes(true: Callable[[], bool]) -> None:
    async def so() -> bool:
        return true()

    await eventually(so)
