"""The bus of this deployment: Redis where there may be several nodes, memory where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from server.config import Config
from signalling.nodes.bus import Bus, Presence
from signalling.nodes.memory import MemoryBus, MemoryPresence, Space

# How often it is looked whether somebody has left calls behind.
SWEEP_S = 1.0
SWEEP_ALONE_S = 10.0


class Life(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Cluster:
    bus: Bus
    presence: Presence
    life: Life

    @property
    def sweep_s(self) -> float:
        return SWEEP_ALONE_S if self.bus.alone else SWEEP_S

    async def start(self) -> None:
        await self.life.start()

    async def stop(self) -> None:
        await self.life.stop()


def make_cluster(config: Config, address: str) -> Cluster:
    space = Space()
    bus = MemoryBus(space, address, alone=True)
    return Cluster(bus, MemoryPresence(space, address), bus)
