"""A provider's word is read again after it was committed."""

from __future__ import annotations

import asyncio
from uuid import UUID

from server.presence import PresenceReader
from storage import providers
from storage.ids import new_id
from storage.pool import Pool
from tests.storage.world import make_user

WAIT_S = 10.0


async def test_what_was_set_is_learned_and_of_others_nothing(pool: Pool) -> None:
    learned = asyncio.Queue[tuple[UUID, str, str | None]]()
    reader = PresenceReader(pool, lambda *word: learned.put_nowait(word))
    async with pool.acquire() as conn, conn.transaction():
        user = await make_user(conn, provider=True)
        await providers.set_availability(conn, user.id, "break", "tea")
    reader.changed(new_id())
    reader.changed(user.id)
    async with asyncio.timeout(WAIT_S):
        assert await learned.get() == (user.id, "break", "tea")
    assert learned.empty()
