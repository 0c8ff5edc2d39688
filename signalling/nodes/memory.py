"""The memory twins: several nodes of one process share a `Space`; a single node is alone in one."""

from collections import defaultdict
from uuid import UUID

from signalling.nodes.bus import Deliver


class Space:
    """What the nodes of one process have in common."""

    def __init__(self) -> None:
        self.listeners: dict[str, Deliver] = {}
        self.users: defaultdict[UUID, set[str]] = defaultdict(set)
        self.calls: dict[UUID, str] = {}


class MemoryBus:
    def __init__(self, space: Space, node: str) -> None:
        self._space = space
        self._node = node

    def listen(self, deliver: Deliver) -> None:
        self._space.listeners[self._node] = deliver

    def post(self, node: str, parcel: bytes) -> None:
        deliver = self._space.listeners.get(node)
        if deliver is not None:
            deliver(self._node, parcel)


class MemoryPresence:
    def __init__(self, space: Space, node: str) -> None:
        self._space = space
        self._node = node

    def arrived(self, user_id: UUID) -> None:
        self._space.users[user_id].add(self._node)

    def left(self, user_id: UUID) -> None:
        nodes = self._space.users.get(user_id)
        if nodes is not None:
            nodes.discard(self._node)
            if not nodes:
                del self._space.users[user_id]

    def elsewhere(self, user_id: UUID) -> tuple[str, ...]:
        nodes = self._space.users.get(user_id)
        if nodes is None or (len(nodes) == 1 and self._node in nodes):
            return ()
        return tuple(node for node in nodes if node != self._node)


class MemoryRoutes:
    def __init__(self, space: Space, node: str) -> None:
        self._space = space
        self._node = node

    def claim(self, call_id: UUID) -> None:
        self._space.calls[call_id] = self._node

    def drop(self, call_id: UUID) -> None:
        if self._space.calls.get(call_id) == self._node:
            del self._space.calls[call_id]

    def owner(self, call_id: UUID) -> str | None:
        return self._space.calls.get(call_id)
