"""Work promised in a transaction and done after it, with retries: jobs on PostgreSQL (PgQueuer).

A job is rolled back with the transaction that promised it. Who does jobs, and how often they are
tried, is `server/jobs.py`'s business.
"""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import asyncpg
import orjson
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries

from storage.pool import Connection

PAYLOAD_BYTES_MAX = 65_536


def queries_on(conn: Connection) -> Queries:
    """The library's statements on a connection of ours; in its transaction, if there is one."""
    return Queries(AsyncpgDriver(cast("asyncpg.Connection[asyncpg.Record]", conn)))


async def prepare(conn: Connection) -> None:
    """Make the queue's tables, or bring those of an older release up to date; part of migrating."""
    queries = queries_on(conn)
    if await queries.schema_is_installed():
        await queries.upgrade()
    else:
        await queries.install(create_schema=False)


async def enqueue(
    conn: Connection,
    name: str,
    payload: dict[str, object],
    *,
    delay_s: float = 0,
    key: str | None = None,
) -> bool:
    """Promise a job in the caller's transaction; `payload` holds JSON values.

    With a `key` there is one such job at a time: while it waits or runs, the same key again is
    no second job and the answer is False.

    Raises:
        ValueError: the payload is over 64 KiB.
    """
    raw = orjson.dumps(payload)
    if len(raw) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a job carries at most {PAYLOAD_BYTES_MAX} bytes")
    made = await queries_on(conn).enqueue(
        [name],
        [raw],
        [0],
        [timedelta(seconds=delay_s)],
        [key],
        on_conflict="skip",
    )
    return made[0] is not None
