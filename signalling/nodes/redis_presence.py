"""The Redis twin of presence: who is on which nodes."""

from collections.abc import Sequence
from uuid import UUID

from signalling.nodes.outgoing import AWAY, HERE, WAITS
from signalling.nodes.redis import RedisBus


class RedisPresence:
    """Who is where, over the connections of a bus."""

    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus

    def arrived(self, user_id: UUID) -> None:
        self._bus.tell(user_id, HERE)

    def waits(self, user_id: UUID) -> None:
        self._bus.tell(user_id, WAITS)

    def left(self, user_id: UUID) -> None:
        self._bus.tell(user_id, AWAY)

    async def where(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        return await self._bus.ask(user_ids)
