"""Where a live call is run, for a node that does not run it itself."""

import asyncio
from uuid import UUID

from signalling.calls.adoption import Adopter
from signalling.calls.claims import Claims
from signalling.calls.guests import Guests
from signalling.calls.registry import Registry
from signalling.nodes.bus import Bus
from storage.errors import Unavailable
from storage.nodes import Standing

# Below the time that a socket has for its handshake.
FIND_S = 4.0
AGAIN_S = 0.1


class Finder:
    """Nothing is remembered of what is found: the owner says what is its own, once it has heard
    of a device here, and then also when it is over."""

    def __init__(
        self, *, claims: Claims, adopter: Adopter, registry: Registry, guests: Guests, bus: Bus
    ) -> None:
        self._claims = claims
        self._adopter = adopter
        self._registry = registry
        self._guests = guests
        self._bus = bus

    async def find(self, call_id: UUID) -> str | None:
        """The node that runs the call; taken over here if its owner is gone.

        None: there is no such live call.

        Raises:
            Unavailable: its owner does not answer, and is not known to be dead yet.
        """
        return await self._search(call_id, None)

    async def of_user(self, user_id: UUID) -> tuple[UUID, str] | None:
        """The live call that the user is in, and the node that runs it; as `find`."""
        standing = await self._claims.of_user(user_id)
        if standing is None:
            return None
        node = await self._search(standing.call_id, standing)
        return None if node is None else (standing.call_id, node)

    def wrong(self, call_id: UUID, node: str) -> None:
        """That node says that it does not run the call."""
        self._guests.not_at(call_id, node)

    async def _search(self, call_id: UUID, standing: Standing | None) -> str | None:
        """`standing` is what the database has just said, if it was asked."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + FIND_S
        while True:
            if self._registry.find(call_id) is not None:
                return self._claims.address
            guest = self._guests.find(call_id)
            if standing is None and guest is not None and guest.node in self._bus.peers():
                return guest.node
            standing = standing or await self._claims.of_call(call_id)
            if standing is None:
                return None
            if standing.orphaned:
                await self._adopter.take([call_id])
                if self._registry.find(call_id) is not None:
                    return self._claims.address
            elif standing.address in self._bus.peers():
                return standing.address
            elif standing.address != self._claims.address:
                await self._adopter.fence_dead()
            if loop.time() > until_s:
                raise Unavailable("the call's node does not answer")
            # It is being opened, closed, or passed on.
            await asyncio.sleep(AGAIN_S)
            standing = None
