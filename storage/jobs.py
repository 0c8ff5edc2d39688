"""Work promised in a transaction and done after it, with retries: jobs on PostgreSQL (PgQueuer).

A job is rolled back with the transaction that promised it. Who does jobs, and how often they are
tried, is `server/jobs.py`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import cast

import asyncpg
import msgspec
import orjson
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.types import JobId

from storage.errors import Conflict
from storage.pool import Connection, Record

PAYLOAD_BYTES_MAX = 65_536
NAMES_MAX = 200
RETRIES_MAX = 1_000
ENQUEUED_AT_ONCE = 1_000


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


async def enqueue_all(conn: Connection, name: str, payloads: Sequence[dict[str, object]]) -> None:
    """Promise a job for each payload in the caller's transaction, in their order.

    Raises:
        ValueError: a payload is over 64 KiB.
    """
    for start in range(0, len(payloads), ENQUEUED_AT_ONCE):
        raw = [orjson.dumps(each) for each in payloads[start : start + ENQUEUED_AT_ONCE]]
        if any(len(each) > PAYLOAD_BYTES_MAX for each in raw):
            raise ValueError(f"a job carries at most {PAYLOAD_BYTES_MAX} bytes")
        await queries_on(conn).enqueue([name] * len(raw), list(raw), [0] * len(raw))


# -- what operators see and do


class Counts(msgspec.Struct, frozen=True):
    """Jobs of one name. `delayed` ones wait for their time, `waiting` ones for somebody to do them;
    `oldest_s` is how long the first of these has been waiting."""

    name: str
    waiting: int
    delayed: int
    active: int
    failed: int
    oldest_s: float


class FailedJob(msgspec.Struct, frozen=True):
    """A job that was given up. `error` is what the last try said; the payload is not shown."""

    id: int
    name: str
    tries: int
    error: str
    promised_at: datetime
    failed_at: datetime


class JobState(Enum):
    WAITING = "waiting"
    DELAYED = "delayed"
    ACTIVE = "active"
    FAILED = "failed"


class JobRow(msgspec.Struct, frozen=True):
    """A job that is not done. `due_at` is when it may be done at the earliest, `changed_at` when
    its state last changed. `error` is what the last try of a failed one said; the payload is not
    shown."""

    id: int
    name: str
    state: JobState
    tries: int
    error: str | None
    promised_at: datetime
    due_at: datetime
    changed_at: datetime


class Changed(Enum):
    """What became of an operator's wish about one job."""

    DONE = "done"
    NOT_FOUND = "not_found"
    WRONG_STATE = "wrong_state"
    # Another job with the same key waits or runs.
    REPEATED = "repeated"


async def counts(conn: Connection) -> list[Counts]:
    rows = await conn.fetch(
        """
        select entrypoint, count(*) filter (where queued and execute_after <= now()) as waiting,
               count(*) filter (where queued and execute_after > now()) as delayed,
               count(*) filter (where status = 'picked') as active,
               count(*) filter (where status = 'failed') as failed,
               extract(epoch from now() - min(execute_after)
                   filter (where queued and execute_after <= now()))::float8 as oldest_s
        from (select *, status = 'queued' as queued from pgqueuer) job
        group by entrypoint order by entrypoint limit $1
        """,
        NAMES_MAX,
    )
    return [
        Counts(
            name=row["entrypoint"],
            waiting=row["waiting"],
            delayed=row["delayed"],
            active=row["active"],
            failed=row["failed"],
            oldest_s=max(0.0, row["oldest_s"] or 0.0),
        )
        for row in rows
    ]


async def list_failed(conn: Connection, limit: int, offset: int) -> tuple[list[FailedJob], int]:
    """A page of the failed jobs, the latest first, and how many there are in all."""
    rows = await conn.fetch(
        """
        select job.id, job.entrypoint, job.attempts + 1 as tries, job.created, job.updated,
               told.traceback
        from pgqueuer job left join lateral (
            select traceback from pgqueuer_log
            where job_id = job.id and status = 'failed' order by id desc limit 1
        ) told on true
        where job.status = 'failed' order by job.updated desc, job.id desc limit $1 offset $2
        """,
        limit,
        offset,
    )
    total: int = await conn.fetchval("select count(*) from pgqueuer where status = 'failed'")
    failed = [
        FailedJob(
            id=row["id"],
            name=row["entrypoint"],
            tries=row["tries"],
            error=_error_of(row["traceback"]),
            promised_at=row["created"],
            failed_at=row["updated"],
        )
        for row in rows
    ]
    return failed, total


# "Waiting" and "delayed" are both queued: what is due, and what is not yet.
_STANDING = """
select * from (
    select *, case status when 'picked' then 'active' when 'failed' then 'failed'
              else case when execute_after <= now() then 'waiting' else 'delayed' end end as state
    from pgqueuer where status in ('queued', 'picked', 'failed')
) standing
where ($1::text is null or state = $1) and ($2::text is null or entrypoint = $2)
"""


async def list_jobs(
    conn: Connection, state: JobState | None, name: str | None, limit: int, offset: int
) -> tuple[list[JobRow], int]:
    """A page of the jobs that are not done, the oldest first, and how many there are in all; of one
    state or name, if they are given."""
    wanted = None if state is None else state.value
    rows = await conn.fetch(
        f"""
        select job.id, job.entrypoint, job.state, job.attempts, job.created, job.execute_after,
               job.updated, told.traceback
        from ({_STANDING} order by id limit $3 offset $4) job left join lateral (
            select traceback from pgqueuer_log
            where job_id = job.id and status = 'failed' and job.state = 'failed'
            order by id desc limit 1
        ) told on true
        order by job.id
        """,
        wanted,
        name,
        limit,
        offset,
    )
    total: int = await conn.fetchval(f"select count(*) from ({_STANDING}) job", wanted, name)
    jobs = [
        JobRow(
            id=row["id"],
            name=row["entrypoint"],
            state=JobState(row["state"]),
            tries=row["attempts"] + (row["state"] == "failed"),
            error=_error_of(row["traceback"]) if row["state"] == "failed" else None,
            promised_at=row["created"],
            due_at=row["execute_after"],
            changed_at=row["updated"],
        )
        for row in rows
    ]
    return jobs, total


def _error_of(traceback: object) -> str:
    # The library hands over encoded JSON, which our connections encode once more.
    record = orjson.loads(traceback) if isinstance(traceback, str) else traceback
    return str(record.get("exception_message", "")) if isinstance(record, dict) else ""


async def retry(conn: Connection, job_id: int) -> Changed:
    """Try a failed job again, with all its tries; needs a transaction."""
    row = await _lock(conn, job_id)
    if row is None:
        return Changed.NOT_FOUND
    if row["status"] != "failed":
        return Changed.WRONG_STATE
    try:
        async with conn.transaction():
            await queries_on(conn).requeue_jobs([JobId(job_id)])
    except asyncpg.UniqueViolationError:
        return Changed.REPEATED
    return Changed.DONE


async def retry_all(conn: Connection, name: str | None = None) -> int:
    """Try failed jobs again (of one name, or all), 1 000 at most; how many there were.

    Of several with one key the newest alone comes back, and none while such a job waits or runs.

    Raises:
        Conflict: a job with the key of one of them was promised at this very moment.
    """
    rows = await conn.fetch(
        """
        select id from (
            select id, dedupe_key, row_number() over (
                partition by coalesce(dedupe_key, id::text) order by id desc
            ) as place
            from pgqueuer where status = 'failed' and ($1::text is null or entrypoint = $1)
        ) failed
        where place = 1 and not exists (
            select from pgqueuer other where other.dedupe_key = failed.dedupe_key
              and other.status in ('queued', 'picked')
        )
        order by id limit $2
        """,
        name,
        RETRIES_MAX,
    )
    ids = [JobId(row["id"]) for row in rows]
    try:
        async with conn.transaction():
            await queries_on(conn).requeue_jobs(ids)
    except asyncpg.UniqueViolationError:
        raise Conflict("A job of the same key has just been promised; try again.") from None
    return len(ids)


async def cancel(conn: Connection, job_id: int) -> Changed:
    """Take a job off the queue that waits or has failed; needs a transaction.

    One that runs is not stopped half-way: wrong_state.
    """
    row = await _lock(conn, job_id)
    if row is None:
        return Changed.NOT_FOUND
    if row["status"] not in ("queued", "failed"):
        return Changed.WRONG_STATE
    await queries_on(conn).mark_job_as_cancelled([JobId(job_id)])
    return Changed.DONE


async def promote(conn: Connection, job_id: int) -> Changed:
    """Make a delayed job due now, with the tries it has left; needs a transaction.

    wrong_state: it is due already, runs, or has failed.
    """
    row = await _lock(conn, job_id)
    if row is None:
        return Changed.NOT_FOUND
    if row["status"] != "queued" or not row["early"]:
        return Changed.WRONG_STATE
    await conn.execute(
        "update pgqueuer set execute_after = now(), updated = now() where id = $1", job_id
    )
    return Changed.DONE


async def _lock(conn: Connection, job_id: int) -> Record | None:
    # By the clock: whoever had the lock before may have begun after this transaction.
    return await conn.fetchrow(
        "select status, execute_after > clock_timestamp() as early from pgqueuer"
        " where id = $1 for update",
        job_id,
    )


async def sweep_log(conn: Connection, limit: int) -> int:
    """Forget what was done a week ago, but for jobs that are still there; returns how many rows."""
    done = await conn.execute(
        """
        delete from pgqueuer_log where id in (
            select id from pgqueuer_log log where created < now() - interval '7 days'
              and not exists (select from pgqueuer where pgqueuer.id = log.job_id)
            order by created limit $1
        )
        """,
        limit,
    )
    return int(done.split()[-1])
