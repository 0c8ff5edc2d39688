"""Sessions that were ended without this process being told: by another one, by the operator's
command, or by a request of ours whose commit was not answered."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from rest.auth.sessions import Sessions
from server.poller import Poller
from storage import credentials
from storage.pool import Pool, within

READ_S = 4.0
POLL_S = 10.0
# How far clocks may differ and commits be late; what is read twice is ended once.
OVERLAP_MS = 60_000
ROWS_MAX = 1_000


class Revocations:
    """Looks every 10 s which sessions were revoked, and ends those that were not known to be."""

    def __init__(
        self,
        pool: Pool,
        sessions: Sessions,
        *,
        clock: Callable[[], int],
        session_ended: Callable[[UUID], None],
        poll_s: float = POLL_S,
        rows_max: int = ROWS_MAX,
    ) -> None:
        """`sessions` knows what was revoked up to now; `clock` gives Unix ms. `session_ended` is
        told of every session that has ended, to close its sockets."""
        self._pool = pool
        self._sessions = sessions
        self._clock = clock
        self._session_ended = session_ended
        self._rows_max = rows_max
        self._since_ms = clock() - OVERLAP_MS
        self._after = credentials.FIRST
        self._poller = Poller("revocations", self.look, poll_s=poll_s)

    def kick(self) -> None:
        """Look now; never blocks."""
        self._poller.kick()

    async def start(self) -> None:
        await self._poller.start()

    async def stop(self) -> None:
        await self._poller.stop()

    async def look(self) -> bool:
        """End what one page of them says; True when there is another page.

        Raises:
            Unavailable: the next look begins where this one would have.
        """
        began_ms = self._clock()
        found = await within(READ_S, self._read())
        for session_id, _ in found:
            if self._sessions.is_live(session_id):
                self._sessions.revoke(session_id)
                self._session_ended(session_id)
        if len(found) == self._rows_max:
            self._after, self._since_ms = found[-1]
            return True
        self._since_ms, self._after = began_ms - OVERLAP_MS, credentials.FIRST
        return False

    async def _read(self) -> list[tuple[UUID, int]]:
        async with self._pool.acquire(timeout=READ_S) as conn:
            return await credentials.revoked_since(
                conn, self._since_ms, after=self._after, limit=self._rows_max
            )
