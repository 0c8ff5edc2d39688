"""After a call both users find in their inbox what came of it: missed, how long, for how much.

The call's end itself only queues its id; what there is to tell is put together here, beside the
calls, each call once on whichever node comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from server.poller import Poller
from storage import ended_calls, notifications
from storage.ended_calls import EndedCall
from storage.notifications import Notice
from storage.pool import Connection, Pool

BATCH_MAX = 500
BATCH_DEADLINE_S = 4.0
POLL_S = 0.5
# Calls that end one after the other are told of together.
PAUSE_S = 0.2

Also = Callable[[Connection, Sequence[EndedCall]], Awaitable[None]]


class AfterCalls:
    def __init__(
        self,
        pool: Pool,
        notices_of: Callable[[EndedCall], Sequence[Notice]],
        *,
        told: Callable[[], None],
        also: Also | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """`told` is called after each commit: the outbox has something to relay. What `also`
        writes down of the calls is committed with it."""
        self._pool = pool
        self._notices_of = notices_of
        self._told = told
        self._also = also
        self._poller = Poller("after-calls", self._tell, poll_s=poll_s, pause_s=PAUSE_S)

    def kick(self) -> None:
        """A call of this node has ended, and its end is committed; never blocks."""
        self._poller.kick()

    async def start(self) -> None:
        await self._poller.start()

    async def stop(self) -> None:
        await self._poller.stop()

    async def _tell(self) -> bool:
        """One batch, in one transaction; True when there may be more."""
        async with (
            asyncio.timeout(BATCH_DEADLINE_S),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            ended = await ended_calls.take(conn, BATCH_MAX)
            notices = [notice for call in ended for notice in self._notices_of(call)]
            count = await notifications.add_all(conn, notices)
            if ended and self._also is not None:
                await self._also(conn, ended)
        if count:
            self._told()
        return len(ended) == BATCH_MAX
