"""Background jobs as operators see them: how many there are, which, why they
failed; another try, an earlier one, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.pages import PageQuery, first_row
from rest.http.reply import Done, reply
from rest.http.route import Route
from rest.operators.bodies import (
    FailedJobs,
    FailedJobView,
    JobCounts,
    JobList,
    JobOverview,
    JobsQuery,
    JobView,
    Retried,
    RetryBody,
)
from storage import jobs
from storage.deadline import Deadline
from storage.jobs import Changed, JobState
from storage.pool import Connection, Pool

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
# More digits than any number of a job has would overflow the database's integer.
JOB = "/jobs/{id:[0-9]{1,18}}"

JOB_NOT_FOUND = Fault(404, "JOB_NOT_FOUND", "There is no such job, or it is done.")
JOB_NOT_FAILED = Fault(409, "JOB_NOT_FAILED", "Only a failed job can be tried again.")
JOB_NOT_DELAYED = Fault(409, "JOB_NOT_DELAYED", "Only a delayed job can be made due.")
JOB_REPEATED = Fault(409, "JOB_REPEATED", "Another job of the same key waits or runs.")
JOB_RUNNING = Fault(409, "JOB_RUNNING", "A job that runs is not stopped half-way.")

_AN_HOUR = datetime(2026, 1, 1, 9, tzinfo=UTC)
_OVERVIEW = JobOverview(
    jobs=[
        JobCounts(
            name="send_sms", waiting=3, delayed=1, active=2, failed=0, oldest_seconds=0.4
        )
    ]
)  # fmt: skip
_DELAYED = JobList(
    items=[
        JobView(
            id=4712,
            name="send_sms",
            state="delayed",
            tries=1,
            error=None,
            promised_at=_AN_HOUR,
            due_at=_AN_HOUR + timedelta(seconds=4),
        )
    ],
    total=1,
    limit=20,
    offset=0,
)
_FAILED = FailedJobs(
    items=[
        FailedJobView(
            id=4711,
            name="send_sms",
            tries=3,
            error="TimeoutError: the gateway did not answer",
            promised_at=_AN_HOUR,
            failed_at=_AN_HOUR,
        )
    ],
    total=1,
    limit=20,
    offset=0,
)


class OperatorRoutes:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/jobs",
                self.overview,
                summary="Background jobs by name and state",
                returns=JobOverview,
                tag="operations",
                roles=ADMIN,
                example=_OVERVIEW,
            ),
            Route(
                "GET",
                "/jobs/list",
                self.listed,
                summary="Jobs that are not done, of a state or name, the oldest first",
                returns=JobList,
                query=JobsQuery,
                tag="operations",
                roles=ADMIN,
                errors=("INVALID_QUERY",),
                example=_DELAYED,
            ),
            Route(
                "GET",
                "/jobs/failed",
                self.failed,
                summary="Jobs that were given up, the latest first",
                returns=FailedJobs,
                query=PageQuery,
                tag="operations",
                roles=ADMIN,
                errors=("INVALID_QUERY",),
                example=_FAILED,
            ),
            Route(
                "POST",
                "/jobs/failed/retry",
                self.retry_all,
                summary="Try failed jobs again, 1000 at most",
                returns=Retried,
                body=RetryBody,
                body_optional=True,
                tag="operations",
                roles=ADMIN,
                errors=("CONFLICT",),
                example=Retried(retried=12),
            ),
            Route(
                "POST",
                f"{JOB}/retry",
                self.retry,
                summary="Try one failed job again",
                returns=Done,
                tag="operations",
                roles=ADMIN,
                errors=(JOB_NOT_FOUND, JOB_NOT_FAILED, JOB_REPEATED),
                example=Done(),
            ),
            Route(
                "POST",
                f"{JOB}/promote",
                self.promote,
                summary="Make a delayed job due now",
                returns=Done,
                tag="operations",
                roles=ADMIN,
                errors=(JOB_NOT_FOUND, JOB_NOT_DELAYED),
                example=Done(),
            ),
            Route(
                "POST",
                f"{JOB}/cancel",
                self.cancel,
                summary="Take a job off the queue that waits or has failed",
                returns=Done,
                tag="operations",
                roles=ADMIN,
                errors=(JOB_NOT_FOUND, JOB_RUNNING),
                example=Done(),
            ),
        ]

    async def overview(self, _: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await jobs.counts(conn)
        return reply(
            JobOverview(
                jobs=[
                    JobCounts(
                        name=each.name,
                        waiting=each.waiting,
                        delayed=each.delayed,
                        active=each.active,
                        failed=each.failed,
                        oldest_seconds=round(each.oldest_s, 3),
                    )
                    for each in found
                ]
            )
        )

    async def listed(self, request: web.Request) -> web.Response:
        """Without payloads: these may hold data of people."""
        query = read_query(request, JobsQuery)
        offset = first_row(query)
        state = None if query.state is None else JobState(query.state)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await jobs.list_jobs(conn, state, query.name, query.limit, offset)
        views = [
            JobView(
                id=each.id,
                name=each.name,
                state=each.state.value,
                tries=each.tries,
                error=each.error,
                promised_at=each.promised_at,
                due_at=each.due_at,
            )
            for each in found
        ]
        return reply(JobList(items=views, total=total, limit=query.limit, offset=offset))

    async def failed(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await jobs.list_failed(conn, query.limit, offset)
        views = [
            FailedJobView(
                id=each.id,
                name=each.name,
                tries=each.tries,
                error=each.error,
                promised_at=each.promised_at,
                failed_at=each.failed_at,
            )
            for each in found
        ]
        return reply(FailedJobs(items=views, total=total, limit=query.limit, offset=offset))

    async def retry_all(self, request: web.Request) -> web.Response:
        body = await read_body(request, RetryBody, optional=True)
        async with DEADLINE(), self._pool.acquire() as conn:
            retried = await jobs.retry_all(conn, body.name)
        return reply(Retried(retried=retried))

    async def retry(self, request: web.Request) -> web.Response:
        return await self._change(request, jobs.retry, JOB_NOT_FAILED)

    async def promote(self, request: web.Request) -> web.Response:
        return await self._change(request, jobs.promote, JOB_NOT_DELAYED)

    async def cancel(self, request: web.Request) -> web.Response:
        return await self._change(request, jobs.cancel, JOB_RUNNING)

    async def _change(
        self,
        request: web.Request,
        change: Callable[[Connection, int], Awaitable[Changed]],
        wrong_state: Fault,
    ) -> web.Response:
        job_id = int(request.match_info["id"])
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            changed = await change(conn, job_id)
        match changed:
            case Changed.NOT_FOUND:
                raise JOB_NOT_FOUND.problem()
            case Changed.WRONG_STATE:
                raise wrong_state.problem()
            case Changed.REPEATED:
                raise JOB_REPEATED.problem()
        return reply(Done())
