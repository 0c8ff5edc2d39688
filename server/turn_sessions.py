"""The end of relayed media: no session of a TURN server outlives its call.

The names in our credentials say which call they are for (`signalling.turn`). Who still has
sessions for a call that has ended is cut off: at the end of each call, and every 10 s for relays
that were made afterwards, with credentials whose time was not up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit
from uuid import UUID

import structlog

from server.coturn import Console, CoturnFault, console
from server.poller import Poller
from storage import calls
from storage.pool import Pool, within

POLL_S = 10.0
PAUSE_S = 0.5
READ_S = 4.0
_ours = re.compile(r"\d{1,15}:[0-9a-f]{8}-[0-9a-f-]{27}:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22})")

Open = Callable[[str, int, str], AbstractAsyncContextManager[Console]]

_log = structlog.stdlib.get_logger(__name__)


class TurnSessions:
    """Needs TURN servers of this deployment's own: one that is shared with another would have that
    one's sessions cut off, whose calls are not in our database. Without consoles it does nothing.
    """

    def __init__(
        self,
        pool: Pool,
        consoles: Sequence[str],
        password: str,
        *,
        observe: Callable[[int], None] = lambda _: None,
        open_console: Open = console,
    ) -> None:
        """`consoles` as `host:port`; `observe` hears how many sessions were ended."""
        self._pool = pool
        self._consoles = tuple(consoles)
        self._password = password
        self._observe = observe
        self._open = open_console
        self._silent: set[str] = set()
        self._poller = Poller("turn-sessions", self.sweep, poll_s=POLL_S, pause_s=PAUSE_S)

    def kick(self) -> None:
        """A call has ended; never blocks."""
        self._poller.kick()

    async def start(self) -> None:
        if self._consoles:
            await self._poller.start()

    async def stop(self) -> None:
        await self._poller.stop()

    async def sweep(self) -> bool:
        """End the sessions of ended calls, once. Always false: there is no more to do at once.

        Raises:
            Unavailable: the database does not say which calls are live; no session was ended.
        """
        for address in self._consoles:
            try:
                await self._sweep(address)
                self._silent.discard(address)
            except (CoturnFault, OSError, TimeoutError) as fault:
                if address not in self._silent:  # Said once, until it answers again.
                    _log.warning("turn_console_failed", address=address, why=repr(fault))
                    self._silent.add(address)
        return False

    async def _sweep(self, address: str) -> None:
        parts = urlsplit(f"//{address}")
        assert parts.hostname is not None
        assert parts.port is not None
        async with self._open(parts.hostname, parts.port, self._password) as there:
            users = calls_of(await there.users())
            over = set(users.values()) - await within(READ_S, self._live(users.values()))
            for user, call_id in users.items():
                if call_id in over:
                    self._observe(await there.end(user))

    async def _live(self, call_ids: Iterable[UUID]) -> set[UUID]:
        asked = list(set(call_ids))
        if not asked:
            return set()
        async with self._pool.acquire() as conn:
            return await calls.live_among(conn, asked)


def calls_of(users: Iterable[str]) -> dict[str, UUID]:
    """The call that each name is for; names that are not ours are left out."""
    found = {user: _ours.fullmatch(user) for user in users}
    return {user: UUID(match[1]) for user, match in found.items() if match}
