"""What happens to nodes, to the bus and to the database, until the end of the faults."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.node import Node
    from tests.simulation.world import World


class Chaos:
    def __init__(self, world: "World", dice: Random) -> None:
        self._world = world
        self._dice = dice
        self._kinds: dict[str, tuple[tuple[int, int], Callable[[], None]]] = {
            "kills": ((10_000, 60_000), self._kill),
            "drains": ((15_000, 60_000), self._drain),
            "pauses": ((10_000, 60_000), self._pause),
            "bus": ((8_000, 50_000), self._bus),
            "database": ((8_000, 50_000), self._database),
        }

    def start(self) -> None:
        world = self._world
        world.database.lossy = "database" in world.plan.faults
        world.space.slow = "bus" in world.plan.faults
        for kind, (often_ms, strike) in self._kinds.items():
            if kind in world.plan.faults:
                self._again(often_ms, strike)

    def _again(self, often_ms: tuple[int, int], strike: Callable[[], None]) -> None:
        def due() -> None:
            if self._world.faults:
                strike()
                self._again(often_ms, strike)

        self._world.time.later(self._dice.randint(*often_ms), due)

    def _victim(self) -> "Node | None":
        up = [node for node in self._world.nodes if node.up and node.listening]
        return self._dice.choice(up) if up else None

    def _kill(self) -> None:
        node = self._victim()
        if node is not None:
            node.kill()
            back_ms = self._dice.choice((200, 1_500, 6_000, 40_000))
            self._world.time.later(back_ms, node.start)

    def _drain(self) -> None:
        """One node is deployed anew; now and then all of them, one after the other."""
        if self._dice.random() < 0.7:
            node = self._victim()
            if node is not None:
                node.drain()
            return
        wait_ms = 0
        for node in self._world.nodes:
            self._world.time.later(wait_ms, node.drain)
            wait_ms += self._dice.randint(2_000, 10_000)

    def _pause(self) -> None:
        node = self._victim()
        if node is not None:
            node.pause(self._dice.choice((200, 1_000, 3_000, 7_000, 16_000, 25_000, 60_000)))

    def _bus(self) -> None:
        node = self._victim()
        roll = self._dice.random()
        if roll < 0.2:
            self._world.trace("the bus restarts")
            self._world.space.restart()
        elif node is not None and node.member is not None:
            ms = self._dice.choice((300, 2_000, 5_500, 9_000, 20_000))
            self._world.trace(f"{node.name} has no bus for {ms}")
            self._world.space.cut(node.member, ms)

    def _database(self) -> None:
        database = self._world.database
        if self._dice.random() < 0.5:
            ms = self._dice.choice((300, 1_000, 2_500, 5_000, 9_000))
            self._world.trace(f"the database stalls for {ms}")
            database.stall(ms)
        else:
            ms = self._dice.choice((200, 1_000, 3_000, 8_000, 20_000))
            self._world.trace(f"the database is away for {ms}")
            database.fail_over(ms)

    def heal(self) -> None:
        """Everything works from now on."""
        world = self._world
        world.database.lossy = world.space.slow = world.slow_networks = False
        world.database.away = False
        for node in world.nodes:
            node.go_on()
            node.start()
