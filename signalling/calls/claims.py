"""Who owns a live call, by the database: for a node that does not know it, or is to take over."""

import asyncio
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from msgspec.structs import replace

from storage import nodes
from storage.nodes import Orphan, Standing
from storage.pool import Connection, Pool, within

READ_S = 3.0
LEASE_MS = 15_000
# A node is dead when it has not beaten for its lease, or for so long while nobody holds its name:
# then its process has ended.
LOST_MS = 2_500
# Only who has beaten without a gap all the while may judge others by their silence.
STEADY_MS = 5_000
NEVER_MS = 2**40
# What was handed over to a node that does not take it is anybody's after so long.
HANDED_MS = 2_000


class Claims(Protocol):
    """All raise `Unavailable` when the database does not answer."""

    @property
    def address(self) -> str:
        """This node."""
        ...

    async def of_call(self, call_id: UUID) -> Standing | None:
        """Who owns a call; None when it is not live."""
        ...

    async def of_user(self, user_id: UUID) -> Standing | None:
        """The live call a user is in, and who owns it."""
        ...

    async def fence_dead(self) -> int:
        """Take the calls from nodes that are dead; how many nodes there were."""
        ...

    async def is_dead(self, address: str) -> bool:
        """Whether this life of a node was found dead; one that ended in order was not."""
        ...

    async def orphaned(self) -> list[UUID]:
        """Live calls that nobody runs."""
        ...

    async def adopt(self, call_ids: Sequence[UUID]) -> list[Orphan]:
        """Make those of these calls ours that nobody runs."""
        ...


class Steady(Protocol):
    @property
    def steady_ms(self) -> int: ...


class PgClaims:
    """`proof` says for how long this node has beaten without a gap.

    An adoption whose answer is lost may have been committed: then nobody else would ever look for
    those calls. What was read of them is kept until it is known whose they are.
    """

    def __init__(
        self, pool: Pool, claim: nodes.NodeClaim, proof: Steady, *, lease_ms: int = LEASE_MS
    ) -> None:
        self._pool = pool
        self._epoch = claim.epoch
        self._proof = proof
        self._lease_ms = lease_ms
        self.address = claim.address
        # With the loop's time at which they were read.
        self._doubtful: dict[UUID, tuple[Orphan, float]] = {}

    async def of_call(self, call_id: UUID) -> Standing | None:
        return await within(READ_S, self._of_call(call_id))

    async def of_user(self, user_id: UUID) -> Standing | None:
        return await within(READ_S, self._of_user(user_id))

    async def fence_dead(self) -> int:
        if self._proof.steady_ms < STEADY_MS:
            return 0
        return await within(READ_S, self._fence_dead())

    async def is_dead(self, address: str) -> bool:
        return await within(READ_S, self._is_dead(int(address.rpartition(".")[2])))

    async def orphaned(self) -> list[UUID]:
        return await within(READ_S, self._orphaned())

    async def adopt(self, call_ids: Sequence[UUID]) -> list[Orphan]:
        return await within(READ_S, self._adopt(call_ids))

    async def _of_call(self, call_id: UUID) -> Standing | None:
        async with self._pool.acquire() as conn:
            return await nodes.standing_of_call(conn, call_id)

    async def _of_user(self, user_id: UUID) -> Standing | None:
        async with self._pool.acquire() as conn:
            return await nodes.standing_of_user(conn, user_id)

    async def _fence_dead(self) -> int:
        steady = self._proof.steady_ms >= self._lease_ms
        lease_ms = self._lease_ms if steady else NEVER_MS
        async with self._pool.acquire() as conn:
            dead = await nodes.fence_dead(conn, self._epoch, lease_ms=lease_ms, lost_ms=LOST_MS)
        return len(dead)

    async def _is_dead(self, epoch: int) -> bool:
        async with self._pool.acquire() as conn:
            return await nodes.is_dead(conn, epoch)

    async def _orphaned(self) -> list[UUID]:
        async with self._pool.acquire() as conn:
            found = await nodes.orphaned(conn, self._epoch, handed_ms=HANDED_MS)
        return [*self._doubtful, *found]

    async def _adopt(self, call_ids: Sequence[UUID]) -> list[Orphan]:
        """Nothing is in doubt while it is asked about: others ask at the same time."""
        doubts = {
            call_id: self._doubtful.pop(call_id)
            for call_id in call_ids
            if call_id in self._doubtful
        }
        loop = asyncio.get_running_loop()
        try:
            async with self._pool.acquire() as conn:
                ours = [
                    aged(orphan, loop.time() - at_s)
                    for orphan, at_s in doubts.values()
                    if await self._is_ours(conn, orphan)
                ]
                async with conn.transaction():
                    orphans = await nodes.adopt(conn, call_ids, self._epoch)
                    now_s = loop.time()
                    doubts.update({orphan.call_id: (orphan, now_s) for orphan in orphans})
        except BaseException:
            self._doubtful.update(doubts)
            raise
        return [*ours, *orphans]

    async def _is_ours(self, conn: Connection, orphan: Orphan) -> bool:
        standing = await nodes.standing_of_call(conn, orphan.call_id)
        return (
            standing is not None
            and standing.epoch == self._epoch
            and standing.claim == orphan.claim
        )


def aged(orphan: Orphan, by_s: float) -> Orphan:
    """As it is some seconds after it was read."""
    by_ms = int(by_s * 1_000)
    return replace(
        orphan, silent_ms=orphan.silent_ms + by_ms, left_age_ms=orphan.left_age_ms + by_ms
    )
