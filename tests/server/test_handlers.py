"""A promised job reaches its handler in a whole server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server import app
from storage import jobs
from storage.pool import Pool
from tests.server.running import development, running

WAIT_S = 10.0


async def test_what_is_promised_is_done_by_the_handler_of_its_name(
    dsn: str, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asyncio.Queue[dict[str, object]]()

    async def greet(payload: dict[str, object]) -> None:
        await done.put(payload)

    monkeypatch.setattr(app, "job_handlers", lambda *_, **__: {"greet": greet})
    async with running(dsn, development(tmp_path)) as there:
        async with pool.acquire() as conn, conn.transaction():
            await jobs.enqueue(conn, "greet", {"name": "Ann"})
        async with asyncio.timeout(WAIT_S):
            assert await done.get() == {"name": "Ann"}
            url = f"{there.site.url}/metrics"
            line = 'talktime_jobs_done_total{name="greet",outcome="done"} 1.0'
            while True:
                async with there.site.http.get(url) as answer:
                    if line in await answer.text():
                        break
