"""Whom a socket belongs to: the user of an access token whose session and account still live."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.http.limiter import Limiter
from signalling.codes import Code, Refused
from signalling.events import Profile
from signalling.handlers.table import ENDED
from signalling.limits import Rate
from signalling.sockets.identity import Identity
from storage import users
from storage.errors import Unavailable
from storage.pool import Pool, within

READ_S = 4.0
# Of one user, on all their devices. A phone that comes back and back pauses longer than this.
HANDSHAKES = Rate(30, 1_000)


class Doorman:
    def __init__(
        self,
        pool: Pool,
        keys: TokenKeys,
        sessions: Sessions,
        clock: Callable[[], int],
        *,
        handshakes: Rate | None = HANDSHAKES,
    ) -> None:
        """`clock` gives Unix ms and never goes back; `handshakes` None is no limit."""
        self._by_user = None if handshakes is None else Limiter(handshakes, clock)
        self._pool = pool
        self._keys = keys
        self._sessions = sessions

    async def authenticate(self, token: str) -> Identity:
        """
        Raises:
            Refused: unauthorized, rate_limited, unavailable; and what `TokenKeys.read` says of a
                bad token.
        """
        claims = self._keys.read(token)
        if not self.is_live(claims.session_id):
            raise Refused(Code.UNAUTHORIZED, ENDED)
        wait_ms = 0 if self._by_user is None else self._by_user.take(str(claims.user_id))
        if wait_ms > 0:
            raise Refused(Code.RATE_LIMITED, "Too many sockets; wait.", retry_after_ms=wait_ms)
        try:
            found = await within(READ_S, self._read(claims.user_id))
        except Unavailable as fault:
            raise Refused(Code.UNAVAILABLE, fault.message) from None
        if found is None:
            raise Refused(Code.UNAUTHORIZED, "There is no such account any more.")
        return Identity(
            user_id=claims.user_id,
            session_id=claims.session_id,
            profile=Profile(user_id=found.id, name=found.name, avatar_url=found.avatar_url),
            roles=claims.roles,
            expires_ms=claims.expires_s * 1_000,
        )

    def is_live(self, session_id: UUID) -> bool:
        return self._sessions.is_live(session_id)

    async def _read(self, user_id: UUID) -> users.PublicUser | None:
        async with self._pool.acquire() as conn:
            return await users.read_public(conn, user_id)
