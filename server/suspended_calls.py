"""Ends the live calls of accounts that were suspended, on whichever node they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from server.jobs import Handler
from signalling.codes import Code, Refused
from storage import calls, sanctions
from storage.deadline import Deadline
from storage.pool import Pool

DEADLINE = Deadline(4.0)


class SuspendedCalls:
    """`stop` ends a live call of any node as the operator, and raises `Refused`."""

    def __init__(self, pool: Pool, stop: Callable[[UUID], Awaitable[object]]) -> None:
        self._pool = pool
        self._stop = stop

    def handlers(self) -> dict[str, Handler]:
        return {sanctions.END_CALL_JOB: self.end}

    async def end(self, payload: dict[str, object]) -> None:
        """One that has ended stays as it is.

        Raises:
            Refused: it goes from one node to another at this moment, or its node does not answer;
                to be tried again.
        """
        call_id = UUID(str(payload["callId"]))
        try:
            await self._stop(call_id)
        except Refused as refused:
            if refused.code is not Code.NOT_FOUND:
                raise
            async with DEADLINE(), self._pool.acquire() as conn:
                live = await calls.live_among(conn, [call_id])
            if live:
                raise
