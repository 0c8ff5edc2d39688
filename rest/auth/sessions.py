"""Which sessions have been revoked lately, in memory: access tokens outlive their session."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from storage import credentials
from storage.pool import Connection


class Sessions:
    """Revoked sessions, for as long as an access token of theirs could still be valid."""

    def __init__(self, clock: Callable[[], int], *, access_ttl_s: int) -> None:
        """`clock` gives Unix ms."""
        self._clock = clock
        # Twice the lifetime: wall clocks move, and forgetting late costs nothing.
        self._kept_ms = 2 * access_ttl_s * 1000
        self._revoked: dict[UUID, int] = {}

    async def load(self, conn: Connection) -> None:
        """Learn at start what was revoked before it."""
        since = self._clock() - self._kept_ms
        self._revoked |= dict(await credentials.revoked_since(conn, since))

    def is_live(self, session_id: UUID) -> bool:
        return session_id not in self._revoked

    def revoke(self, session_id: UUID) -> None:
        now = self._clock()
        self._revoked[session_id] = now
        # The oldest stand first; those whose last token has expired need not be known any more.
        for known, revoked_ms in list(self._revoked.items()):
            if revoked_ms + self._kept_ms > now:
                break
            del self._revoked[known]
