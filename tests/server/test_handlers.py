"""A promised job is done by its handler in a whole server, and counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from storage import objects
from storage.pool import Pool
from tests.server.running import development, running

KEY = "avatars/old.webp"
WAIT_S = 10.0
DONE = 'talktime_jobs_done_total{name="remove_object",outcome="done"} 1.0'


async def test_an_object_that_was_promised_to_go_is_gone(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    kept = tmp_path / "objects" / KEY
    async with running(dsn, development(tmp_path)) as there:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(b"picture")
        async with pool.acquire() as conn, conn.transaction():
            await objects.promise_removal(conn, KEY)
        async with asyncio.timeout(WAIT_S):
            while True:
                async with there.site.http.get(f"{there.site.url}/metrics") as answer:
                    if DONE in await answer.text():
                        break
    assert not kept.exists()
