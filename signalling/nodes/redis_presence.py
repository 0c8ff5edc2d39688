"""The Redis twin of presence: who is on which nodes."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from signalling.nodes.outgoing import AWAY, HERE, WAITS
from signalling.nodes.redis import RedisBus

# No welcome is later than this because Redis is slow.
KNOWN_S = 2.0


class RedisPresence:
    """Who is where, over the connections of a bus."""

    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus

    def arrived(self, user_id: UUID) -> None:
        self._bus.tell(user_id, HERE)

    async def known(self, user_id: UUID) -> None:
        bus = self._bus
        try:
            async with asyncio.timeout(KNOWN_S):
                while bus.healthy and bus.outgoing.owes(user_id):
                    await bus.carried.wait()
        except TimeoutError:
            pass  # The others hear of it when Redis does.

    def waits(self, user_id: UUID) -> None:
        self._bus.tell(user_id, WAITS)

    def left(self, user_id: UUID) -> None:
        self._bus.tell(user_id, AWAY)

    async def where(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        return await self._bus.ask(user_ids)
