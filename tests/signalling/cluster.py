"""Several nodes of one deployment in one process, on one database, one bus and one clock.

    cluster = await Cluster.start(pool, "west", "east")
    apart = await make_apart(cluster)
    await apart.connect()
    await cluster.kill(apart.west)

The first node named is where the caller is. A node that is killed says nothing any more; a node
that is only cut off lives on and does not hear the others.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from signalling.codes import Close
from signalling.core.model import Call
from signalling.core.tariff import Tariff, cost
from signalling.nodes import parcels
from signalling.nodes.memory import Space
from storage.pool import Pool
from storage.verify import verify
from tests.signalling.handsets import WAIT_S, Handset
from tests.signalling.harness import FakeTime, Node
from tests.signalling.pairs import Pair

read_tariff = msgspec.json.Decoder(Tariff).decode
# Beyond what a process that is gone is given, and below the lease of one that may live.
SILENT_MS = 5_000
ROUNDS_MAX = 200


class Wires(Space):
    """A space that counts what is on its way; it can be cut, and `lose` says what is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: set[str] = set()
        self.carried = 0
        self.flying = 0
        self.lose: Callable[[parcels.AnyParcel], bool] = lambda _: False
        self.sent: list[tuple[str, str, parcels.AnyParcel]] = []

    def carry(self, sender: str, node: str, parcel: bytes) -> None:
        given = parcels.decode(parcel)
        self.sent.append((sender, node, given))
        if sender in self.cut or node in self.cut or self.lose(given):
            return
        self.carried += 1
        self.flying += 1
        super().carry(sender, node, parcel)

    def arrive(self, sender: str, node: str, parcel: bytes) -> None:
        self.flying -= 1
        super().arrive(sender, node, parcel)


class Steady:
    """A node that may judge others from the first moment on."""

    steady_ms = 1_000_000


class Cluster:
    def __init__(self, pool: Pool, space: Wires, time: FakeTime) -> None:
        self.pool = pool
        self.space = space
        self.time = time
        self.nodes: list[Node] = []
        self._dead: list[Node] = []

    @classmethod
    async def start(cls, pool: Pool, *names: str, **settings: Any) -> "Cluster":
        self = cls(pool, Wires(), FakeTime())
        for name in names:
            await self.join(name, **settings)
        return self

    async def join(self, name: str, **settings: Any) -> Node:
        """A further node, or the next life of one."""
        node = await Node.start(
            self.pool, name=name, space=self.space, time=self.time, steady=Steady(), **settings
        )
        self.nodes.append(node)
        return node

    async def stop(self) -> None:
        for node in [*self.nodes, *self._dead]:
            await node.stop()

    # -- time

    async def quiet(self) -> None:
        """Nothing is on its way, between the nodes or to the ledger."""
        for _ in range(ROUNDS_MAX):
            before = self.space.carried, self._asked()
            for node in self.nodes:
                await node.quiet()
            while self.space.flying:  # noqa: ASYNC110 - nothing tells when a parcel arrives
                await asyncio.sleep(0)
            await self._settled()
            if before == (self.space.carried, self._asked()):
                return
        raise AssertionError("the nodes do not come to rest")

    def _asked(self) -> int:
        return sum(len(node.live.registry) for node in self.nodes)

    async def _settled(self) -> None:
        """What the nodes work at by themselves is done."""
        tasks = [
            task
            for node in self.nodes
            for task in (*node.live.adopter._tasks, *node.live.answering._tasks)
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=WAIT_S)

    async def passes(self, ms: int) -> None:
        """Let time pass, deadline by deadline, for all nodes at once."""
        until_ms = self.time() + ms
        await self.quiet()
        while self.time.fire_next(until_ms):
            await self.quiet()

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait for what is done on its own time."""
        async with asyncio.timeout(WAIT_S):
            while not so():  # noqa: ASYNC110 - of any kind
                await asyncio.sleep(0.005)

    # -- faults

    async def kill(self, node: Node, *, silent_ms: int = SILENT_MS, heard: bool = True) -> None:
        """The process of a node is gone in this very moment, and others `heard` that it is.

        Its last beat is `silent_ms` old by the database's clock.
        """
        self.space.cut.add(node.bus.address)
        for host in node.registry.hosts():
            host.abandon()
        await node.combiner.stop(timeout_s=0)
        node.live.adopter.close()
        self.nodes.remove(node)
        self._dead.append(node)
        await self.silence(node, silent_ms)
        if heard:
            self.space.leave(node.bus.address)
            await self.quiet()

    async def silence(self, node: Node, ms: int) -> None:
        await self.pool.execute(
            "update node set beat_at = clock_timestamp() - $2 * interval '1 ms' where epoch = $1",
            node.claim.epoch,
            ms,
        )

    async def drain(self, node: Node) -> int:
        """SIGTERM, as the server takes it: calls first, then the sockets."""
        node.bus.drain()
        count = await node.live.hand_over()
        await self.quiet()
        for device in tuple(node.hub.all_devices()):
            device.close(Close.SERVICE_RESTART)
        await self.quiet()
        return count

    async def leave(self, node: Node) -> None:
        """The process of a node that was drained ends."""
        self.nodes.remove(node)
        await node.stop()

    async def sweep(self, node: Node) -> None:
        await node.live.adopter.sweep()
        await self.quiet()

    # -- what is so

    def owners(self, call: str) -> list[str]:
        """The names of the nodes that run the call."""
        return [node.claim.name for node in self.nodes if node.registry.find(UUID(call))]

    async def owned_by(self, call: str) -> str:
        """The name of the node that the database has as the owner."""
        name: str = await self.pool.fetchval(
            "select n.name from meter m join node n on n.epoch = m.owner_epoch "
            "where m.call_id = $1",
            UUID(call),
        )
        return name

    async def charged(self, call: str) -> int:
        charged: int = await self.pool.fetchval(
            "select charged from meter where call_id = $1", UUID(call)
        )
        return charged

    async def row(self, call: str) -> Any:
        return await self.pool.fetchrow("select * from call where id = $1", UUID(call))

    async def check_books(self) -> None:
        """Every invariant of the ledger holds."""
        async with self.pool.acquire() as conn:
            checks = await verify(conn, lambda tariff, ms: cost(read_tariff(tariff), ms))
        assert [(check.name, check.faults) for check in checks if check.faults] == []

    def leftovers(self) -> dict[str, object]:
        """What the nodes still remember of calls; empty when all are over."""
        found: dict[str, object] = {}
        for node in self.nodes:
            live, name = node.live, node.claim.name
            held = {
                "hosts": live.registry.hosts(),
                "guests": live.guests.all(),
                "guests of users": live.guests._of_user,
                "followed": live.fanout._followed,
                "held": live.fanout._held,
                "places": live.circle._places,
                "waiting": live.visits._forwarder._waiting,
                "visiting": live.visits._tasks,
                "answering": live.answering._tasks,
                "adopting": live.adopter._tasks,
                "asked": live.exchange._asked,
                "desk": live.desk._tasks,
            }
            found |= {f"{name}: {what}": kept for what, kept in held.items() if kept}
        return found


@dataclass(slots=True)
class Apart(Pair):
    """Ann's devices are on the first node, which runs the call; of Kai's, `tab` is on the second
    and `desk` on the last one."""

    cluster: Cluster = field(kw_only=True)

    @property
    def west(self) -> Node:
        return self.node

    @property
    def east(self) -> Node:
        return self.tab.node

    @property
    def state(self) -> Call:
        """The call as its one owner has it."""
        [host] = [
            host
            for node in self.cluster.nodes
            if (host := node.registry.find(UUID(self.call))) is not None
        ]
        return host.call

    async def talk(self, ms: int, *, every_ms: int = 10_000) -> None:
        for _ in range(ms // every_ms):
            await self.cluster.passes(every_ms)
            self.report()
        await self.cluster.quiet()

    async def ring(self, **more: Any) -> None:
        await Pair.ring(self, **more)
        await self.cluster.quiet()

    async def accept(self, **more: Any) -> Any:
        answer = await Pair.accept(self, **more)
        await self.cluster.quiet()
        return answer

    async def connect(self, **more: Any) -> None:
        await Pair.connect(self, **more)
        await self.cluster.quiet()

    async def media(self) -> None:
        """Both legs report media, on whichever node they are now."""
        await self.phone.ok("media_connected", call=self.call)
        await self.tab.ok("media_connected", call=self.call)
        await self.cluster.quiet()

    async def until_noted(self) -> None:
        """The answer, which waits a moment for something to go along with, is in the books."""
        async with asyncio.timeout(WAIT_S):
            while not (await self.cluster.row(self.call))["accepted_at"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def hang_up(self, by: Handset) -> dict[str, Any]:
        """The final figures."""
        answer = await by.ok("call_end", call=self.call)
        await self.cluster.quiet()
        final: dict[str, Any] = answer["final"]
        return final


async def make_apart(cluster: Cluster, *, funds: int = 500, price: int = 100) -> Apart:
    first, second, last = cluster.nodes[0], cluster.nodes[1], cluster.nodes[-1]
    ann = await first.person("Ann", funds=funds)
    kai = await first.provider("Kai", price=price)
    return Apart(
        first,
        ann,
        kai,
        await first.handset(ann, "phone"),
        await first.handset(ann, "watch"),
        await second.handset(kai, "tab"),
        await last.handset(kai, "desk"),
        cluster=cluster,
    )


async def move(handset: Handset, node: Node) -> dict[str, Any]:
    """The device connects to another node; its welcome."""
    handset.node = node
    return await handset.connect()
