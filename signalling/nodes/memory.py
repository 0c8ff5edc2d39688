"""The memory twins: several nodes of one process share a `Space`; a single node is alone in one."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from signalling.nodes.bus import Listener
from storage.errors import Unavailable


class Space:
    """What the nodes of one process have in common. `post` may be replaced: it carries a parcel."""

    def __init__(self) -> None:
        self.nodes: dict[str, MemoryBus] = {}
        self.users: defaultdict[UUID, set[str]] = defaultdict(set)
        # Nodes with sessions that wait for their next socket.
        self.waiting: defaultdict[UUID, set[str]] = defaultdict(set)

    def carry(self, sender: str, node: str, parcel: bytes) -> None:
        """Bring a parcel to its node, later: a node's work is never done in the midst of
        another's."""
        asyncio.get_running_loop().call_soon(self.arrive, sender, node, parcel)

    def arrive(self, sender: str, node: str, parcel: bytes) -> None:
        bus = self.nodes.get(node)
        if bus is not None:
            bus.listener.parcel(sender, parcel)

    def leave(self, node: str) -> None:
        """A node is gone, with all its users."""
        if self.nodes.pop(node, None) is None:
            return
        for user_id in {*self.users, *self.waiting}:
            self.forget(user_id, node)
        for other in list(self.nodes.values()):
            other.listener.left(node)

    def forget(self, user_id: UUID, node: str) -> None:
        for known in (self.users, self.waiting):
            nodes = known.get(user_id)
            if nodes is not None:
                nodes.discard(node)
                if not nodes:
                    del known[user_id]


class MemoryBus:
    """`alone`: no other node will ever come into this space."""

    def __init__(self, space: Space, address: str, *, alone: bool = False) -> None:
        self._space = space
        self.address = address
        self.alone = alone
        self.draining = False
        self.listener: Listener

    @property
    def healthy(self) -> bool:
        return True

    def listen(self, listener: Listener) -> None:
        self.listener = listener

    async def start(self) -> None:
        others = list(self._space.nodes.values())
        self._space.nodes[self.address] = self
        for other in others:
            other.listener.joined(self.address)
            self.listener.joined(other.address)

    async def stop(self) -> None:
        self._space.leave(self.address)

    def post(self, node: str, parcel: bytes) -> None:
        if node != self.address:
            self._space.carry(self.address, node, parcel)

    def post_all(self, parcel: bytes) -> None:
        for node in self.peers():
            self.post(node, parcel)

    def post_user(self, user_id: UUID, parcel: bytes) -> None:
        space = self._space
        for node in {*space.users.get(user_id, ()), *space.waiting.get(user_id, ())}:
            self.post(node, parcel)

    def peers(self) -> frozenset[str]:
        return frozenset(self._space.nodes) - {self.address}

    def successors(self) -> tuple[str, ...]:
        return tuple(
            node
            for node, bus in self._space.nodes.items()
            if node != self.address and not bus.draining
        )

    def drain(self) -> None:
        self.draining = True


class MemoryPresence:
    def __init__(self, space: Space, address: str) -> None:
        self._space = space
        self._address = address

    def arrived(self, user_id: UUID) -> None:
        self._space.forget(user_id, self._address)
        self._space.users[user_id].add(self._address)

    async def known(self, user_id: UUID) -> None:
        pass

    def waits(self, user_id: UUID) -> None:
        self._space.forget(user_id, self._address)
        self._space.waiting[user_id].add(self._address)

    def left(self, user_id: UUID) -> None:
        self._space.forget(user_id, self._address)

    async def where(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        bus = self._space.nodes.get(self._address)
        if bus is None:
            raise Unavailable("this node has left")
        return [
            frozenset(self._space.users.get(user_id, ())) - {self._address} for user_id in user_ids
        ]
