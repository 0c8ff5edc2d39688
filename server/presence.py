"""What a provider said by REST about being there, told to whoever watches them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from storage import providers
from storage.errors import Unavailable
from storage.pool import Pool, within

READ_S = 4.0


class PresenceReader:
    """Reads a provider's word again when it has changed, in the background.

    `learned` is given the user's id, availability and status message.
    """

    def __init__(self, pool: Pool, learned: Callable[[UUID, str, str | None], None]) -> None:
        self._pool = pool
        self._learned = learned
        self._tasks: set[asyncio.Task[None]] = set()

    def changed(self, user_id: UUID) -> None:
        """A provider's word was committed; never blocks."""
        task = asyncio.create_task(self._read(user_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, user_id: UUID) -> None:
        try:
            provider = await within(READ_S, self._ask(user_id))
        except Unavailable:
            return  # Read again with the provider's next socket.
        if provider is not None:
            self._learned(user_id, provider.availability, provider.status_message)

    async def _ask(self, user_id: UUID) -> providers.Provider | None:
        async with self._pool.acquire() as conn:
            return await providers.read_provider(conn, user_id)
