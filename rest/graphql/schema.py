"""Queries and mutations. Each is a few lines over what REST's operators use, too.

What may fail is nullable, or one failure would take the answers of all the others with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import strawberry
import structlog
from strawberry.schema.config import StrawberryConfig

from rest.graphql import hello
from rest.graphql.desk import Info, check_page, check_text
from rest.graphql.shapes import (
    LONG,
    Call,
    CallPage,
    CounterPage,
    Job,
    JobPage,
    JobState,
    Long,
    Node,
    Queue,
    call_of,
    counter_of,
    job_of,
    node_of,
    queue_of,
)
from rest.http.errors import Problem
from rest.http.pages import LIMIT_DEFAULT
from storage import audit, jobs, live_calls, nodes
from storage.ids import parse_id
from storage.jobs import Changed
from storage.pool import Connection

NAME_CHARS_MAX = 100
REASON_CHARS_MAX = 200
NODES_MAX = 100
# More digits than any number of a job has would overflow the database's integer.
JOB_DIGITS_MAX = 18
REASON = "By GraphQL."

_log = structlog.stdlib.get_logger(__name__)


@strawberry.type
class Query:
    @strawberry.field(description="Whether anybody is there.")
    async def hello(self) -> str:
        return "Hello from Talktime."

    @strawberry.field(description="PONG from Redis, or that there is none.")
    async def redis_ping(self, info: Info) -> str | None:
        return await info.context.desk.ping()

    @strawberry.field(description="Background jobs by name and state.")
    async def queues(self, info: Info) -> list[Queue] | None:
        async with info.context.desk.conn() as conn:
            return [queue_of(each) for each in await jobs.counts(conn)]

    @strawberry.field(description="Jobs that are not done, the oldest first.")
    async def jobs(
        self,
        info: Info,
        state: JobState | None = None,
        name: str | None = None,
        limit: int = LIMIT_DEFAULT,
        offset: int = 0,
    ) -> JobPage | None:
        check_page(limit, offset)
        if name is not None:
            check_text("name", name, NAME_CHARS_MAX)
        async with info.context.desk.conn() as conn:
            rows, total = await jobs.list_jobs(conn, state, name, limit, offset)
        items: list[Job] = [job_of(row) for row in rows]
        return JobPage(items=items, total=total, limit=limit, offset=offset)

    @strawberry.field(description="Figures of the node that answers, whose names begin so.")
    async def counters(
        self,
        info: Info,
        prefix: str = "talktime_",
        limit: int = LIMIT_DEFAULT,
        offset: int = 0,
    ) -> CounterPage:
        check_page(limit, offset)
        check_text("prefix", prefix, NAME_CHARS_MAX)
        found = [each for each in info.context.desk.samples() if each.name.startswith(prefix)]
        items = [counter_of(each) for each in found[offset : offset + limit]]
        return CounterPage(items=items, total=len(found), limit=limit, offset=offset)

    @strawberry.field(description="Live calls of all nodes, the oldest first.")
    async def live_calls(
        self, info: Info, limit: int = LIMIT_DEFAULT, offset: int = 0
    ) -> CallPage | None:
        check_page(limit, offset)
        async with info.context.desk.conn() as conn:
            found, total = await live_calls.list_live(conn, limit, offset)
        items = [call_of(each) for each in found]
        return CallPage(items=items, total=total, limit=limit, offset=offset)

    @strawberry.field(description="Any call, live or over; null when there is none.")
    async def call(self, info: Info, id: strawberry.ID) -> Call | None:
        call_id = parse_id(id)
        if call_id is None:
            raise Problem(400, "INVALID_PAYLOAD", "id is not the id of a call.", {"field": "id"})
        async with info.context.desk.conn() as conn:
            found = await live_calls.read_any(conn, call_id)
        return None if found is None else call_of(found)

    @strawberry.field(description="Nodes that live, then those that did, the latest first.")
    async def nodes(self, info: Info) -> list[Node] | None:
        async with info.context.desk.conn() as conn:
            return [node_of(each) for each in await nodes.list_lives(conn, NODES_MAX)]


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Put a job on the queue that only says that it came.")
    async def add_job(self, info: Info, message: str) -> bool | None:
        check_text("message", message, hello.MESSAGE_CHARS_MAX)
        async with info.context.desk.conn() as conn, conn.transaction():
            await hello.promise(conn, message)
        return True

    @strawberry.mutation(description="Try one failed job again.")
    async def retry_job(self, info: Info, id: strawberry.ID, reason: str = REASON) -> bool | None:
        return await _change(info, "job.retry", id, reason, jobs.retry)

    @strawberry.mutation(description="Take a job off the queue that waits or has failed.")
    async def cancel_job(self, info: Info, id: strawberry.ID, reason: str = REASON) -> bool | None:
        return await _change(info, "job.cancel", id, reason, jobs.cancel)

    @strawberry.mutation(
        description="Try failed jobs again, of one name or all, 1000 at most; how many there were."
    )
    async def retry_failed_jobs(
        self, info: Info, name: str | None = None, reason: str = REASON
    ) -> int | None:
        check_text("reason", reason, REASON_CHARS_MAX)
        if name is not None:
            check_text("name", name, NAME_CHARS_MAX)
        async with info.context.desk.conn() as conn, conn.transaction():
            retried = await jobs.retry_all(conn, name)
            details: dict[str, object] = {"name": name, "retried": retried}
            # All of them: no job has the number 0.
            await _record(conn, info, "job.retry_all", 0, reason, details)
        return retried


schema_config = StrawberryConfig(scalar_map={Long: LONG}, disable_field_suggestions=True)


class _Schema(strawberry.Schema):
    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Says nothing: the view tells refusals from mistakes, and logs those."""


schema = _Schema(query=Query, mutation=Mutation, config=schema_config)


async def _change(
    info: Info,
    action: str,
    given: strawberry.ID,
    reason: str,
    change: Callable[[Connection, int], Awaitable[Changed]],
) -> bool:
    check_text("reason", reason, REASON_CHARS_MAX)
    if not (given.isascii() and given.isdigit() and len(given) <= JOB_DIGITS_MAX):
        raise Problem(400, "INVALID_PAYLOAD", "id is not the number of a job.", {"field": "id"})
    number = int(given)
    async with info.context.desk.conn() as conn, conn.transaction():
        changed = await change(conn, number)
        match changed:
            case Changed.NOT_FOUND:
                raise Problem(404, "JOB_NOT_FOUND", "There is no such job, or it is done.")
            case Changed.WRONG_STATE if action == "job.retry":
                raise Problem(409, "JOB_NOT_FAILED", "Only a failed job can be tried again.")
            case Changed.WRONG_STATE:
                raise Problem(409, "JOB_RUNNING", "A job that runs is not stopped half-way.")
            case Changed.REPEATED:
                raise Problem(409, "JOB_REPEATED", "Another job of the same key waits or runs.")
        await _record(conn, info, action, number, reason, None)
    return True


async def _record(
    conn: Connection,
    info: Info,
    action: str,
    number: int,
    reason: str,
    details: dict[str, object] | None,
) -> None:
    """Jobs have numbers, lines of the audit log ids: a job's is its number, written as one."""
    await audit.record(
        conn,
        actor=info.context.admin,
        action=action,
        target_type="job",
        target_id=UUID(int=number),
        reason=reason,
        details=details,
    )
    _log.info("job_changed", action=action, number=number, by=str(info.context.admin))
