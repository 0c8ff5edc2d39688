"""Jobs are promised in a transaction: with it they come, without it they do not."""

from __future__ import annotations

import pytest

from storage import jobs
from storage.pool import Connection


async def waiting(conn: Connection) -> list[tuple[str, bytes]]:
    rows = await conn.fetch("select entrypoint, payload from pgqueuer order by id")
    return [(row["entrypoint"], row["payload"]) for row in rows]


async def test_a_job_is_promised_with_its_payload(conn: Connection) -> None:
    assert await jobs.enqueue(conn, "greet", {"name": "Ann"})
    assert await waiting(conn) == [("greet", b'{"name":"Ann"}')]


async def test_a_job_goes_with_the_transaction_that_promised_it(conn: Connection) -> None:
    savepoint = conn.transaction()
    await savepoint.start()
    await jobs.enqueue(conn, "greet", {})
    await savepoint.rollback()
    assert await waiting(conn) == []


async def test_of_jobs_with_one_key_there_is_one_at_a_time(conn: Connection) -> None:
    assert await jobs.enqueue(conn, "greet", {"n": 1}, key="ann")
    assert not await jobs.enqueue(conn, "greet", {"n": 2}, key="ann")
    assert await jobs.enqueue(conn, "greet", {"n": 3}, key="bob")
    assert [payload for _, payload in await waiting(conn)] == [b'{"n":1}', b'{"n":3}']


async def test_a_payload_has_a_limit(conn: Connection) -> None:
    with pytest.raises(ValueError, match="65536"):
        await jobs.enqueue(conn, "greet", {"text": "x" * jobs.PAYLOAD_BYTES_MAX})


async def test_preparing_again_changes_nothing(conn: Connection) -> None:
    await jobs.enqueue(conn, "greet", {})
    await jobs.prepare(conn)
    assert len(await waiting(conn)) == 1
