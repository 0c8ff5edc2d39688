"""The operators' view of the queue: for admins only, without payloads."""

from __future__ import annotations

import asyncio

import pytest

from rest.operators.routes import OperatorRoutes
from storage import jobs
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Person, Rest

FAILED = '{"exception_message": "TimeoutError: no answer"}'


@pytest.fixture
async def rest(start: Start, pool: Pool) -> Rest:
    return await start(OperatorRoutes(pool))


@pytest.fixture
async def admin(rest: Rest) -> Person:
    return await rest.person("Root", roles=["customer", "admin"])


async def promise(
    pool: Pool, name: str = "greet", *, key: str | None = None, delay_s: float = 0
) -> int:
    """A waiting job, or one that is delayed; its number."""
    async with pool.acquire() as conn:
        assert await jobs.enqueue(conn, name, {"secret": "hush"}, key=key, delay_s=delay_s)
        number: int = await conn.fetchval("select max(id) from pgqueuer")
    return number


async def fail(pool: Pool, *numbers: int) -> None:
    """As the runner leaves a job after its last try."""
    async with pool.acquire() as conn:
        queries = jobs.queries_on(conn)
        for number in numbers:
            await conn.execute("update pgqueuer set attempts = 2 where id = $1", number)
            await conn.execute(queries.qbq.build_log_job_query(), [number], ["failed"], [FAILED])


async def counts(rest: Rest, admin: Person) -> dict[str, tuple[int, int, int, int]]:
    answer = await rest.call("GET", "/jobs", by=admin, status=200)
    return {
        each["name"]: (each["waiting"], each["delayed"], each["active"], each["failed"])
        for each in answer.body["jobs"]
    }


async def test_jobs_are_counted_by_name_and_state(rest: Rest, admin: Person, pool: Pool) -> None:
    assert await counts(rest, admin) == {}
    await promise(pool)
    await fail(pool, await promise(pool))
    async with pool.acquire() as conn:
        await jobs.enqueue(conn, "greet", {}, delay_s=60)
    await promise(pool, "call")
    await pool.execute("update pgqueuer set status = 'picked' where entrypoint = 'call'")
    assert await counts(rest, admin) == {"call": (0, 0, 1, 0), "greet": (1, 1, 0, 1)}


async def test_the_failed_are_listed_with_their_error_and_without_payload(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    first, second = await promise(pool), await promise(pool)
    await fail(pool, first)
    await fail(pool, second)
    answer = await rest.call("GET", "/jobs/failed?limit=1", by=admin, status=200)
    assert (answer.body["total"], answer.body["limit"]) == (2, 1)
    (shown,) = answer.body["items"]
    assert (shown["id"], shown["name"], shown["tries"]) == (second, "greet", 3)
    assert shown["error"] == "TimeoutError: no answer"
    assert b"hush" not in answer.raw
    answer = await rest.call("GET", "/jobs/failed?limit=1&page=2", by=admin, status=200)
    assert answer.body["items"][0]["id"] == first


async def test_jobs_are_listed_by_state_and_name_without_payload(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    waiting, active, failed = [await promise(pool) for _ in range(3)]
    delayed = await promise(pool, "call", delay_s=60)
    await pool.execute("update pgqueuer set status = 'picked' where id = $1", active)
    await fail(pool, failed)
    shown = {}
    for state in ("waiting", "active", "delayed", "failed"):
        answer = await rest.call("GET", f"/jobs/list?state={state}", by=admin, status=200)
        assert (answer.body["total"], b"hush" in answer.raw) == (1, False)
        (shown[state],) = answer.body["items"]
        assert shown[state]["state"] == state
    found = [(job["id"], job["name"], job["tries"], job["error"]) for job in shown.values()]
    assert found == [
        (waiting, "greet", 0, None),
        (active, "greet", 0, None),
        (delayed, "call", 0, None),
        (failed, "greet", 3, "TimeoutError: no answer"),
    ]
    assert shown["delayed"]["dueAt"] > shown["delayed"]["promisedAt"]


async def test_the_list_of_jobs_has_pages_and_takes_a_name(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    numbers = [await promise(pool) for _ in range(3)]
    await promise(pool, "call")
    for query, expected, total in (
        ("limit=2", numbers[:2], 4),
        ("name=greet&limit=2&offset=2", numbers[2:], 3),
        ("name=greet&state=waiting&limit=1&page=2", numbers[1:2], 3),
        ("name=nothing", [], 0),
    ):
        answer = await rest.call("GET", f"/jobs/list?{query}", by=admin, status=200)
        found = [job["id"] for job in answer.body["items"]]
        assert (found, answer.body["total"]) == (expected, total)


async def test_a_delayed_job_is_made_due_and_only_once(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    number = await promise(pool, delay_s=3_600)
    path = f"/jobs/{number}/promote"
    answers = await asyncio.gather(*(rest.call("POST", path, by=admin) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert await counts(rest, admin) == {"greet": (1, 0, 0, 0)}
    for status in ("picked", "failed"):
        await pool.execute("update pgqueuer set status = $1::text::pgqueuer_status", status)
        answer = await rest.call("POST", path, by=admin, status=409)
        assert answer.error == "JOB_NOT_DELAYED"


async def test_a_failed_job_is_tried_again_and_only_once(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    number = await promise(pool)
    await fail(pool, number)
    answers = await asyncio.gather(
        *(rest.call("POST", f"/jobs/{number}/retry", by=admin) for _ in range(4))
    )
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert await counts(rest, admin) == {"greet": (1, 0, 0, 0)}
    assert await pool.fetchval("select attempts from pgqueuer") == 0


async def test_a_job_whose_key_is_taken_again_stays_failed(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    number = await promise(pool, key="ann")
    await fail(pool, number)
    await promise(pool, key="ann")
    answer = await rest.call("POST", f"/jobs/{number}/retry", by=admin, status=409)
    assert answer.error == "JOB_REPEATED"
    assert await counts(rest, admin) == {"greet": (1, 0, 0, 1)}


async def test_all_failed_of_a_name_are_tried_again_but_one_of_a_key(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    for key in ("ann", "ann", "bob", None):
        await fail(pool, await promise(pool, key=key))
    await promise(pool, key="bob")
    await fail(pool, await promise(pool, "call"))
    answer = await rest.call(
        "POST", "/jobs/failed/retry", by=admin, json={"name": "greet"}, status=200
    )
    assert answer.body["retried"] == 2
    assert await counts(rest, admin) == {"call": (0, 0, 0, 1), "greet": (3, 0, 0, 2)}
    answer = await rest.call("POST", "/jobs/failed/retry", by=admin, status=200)
    assert answer.body["retried"] == 1
    assert (await counts(rest, admin))["call"] == (1, 0, 0, 0)


async def test_what_waits_or_failed_can_be_cancelled_and_what_runs_cannot(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    waiting, failed, active = [await promise(pool) for _ in range(3)]
    await fail(pool, failed)
    await pool.execute("update pgqueuer set status = 'picked' where id = $1", active)
    for number in (waiting, failed):
        await rest.call("POST", f"/jobs/{number}/cancel", by=admin, status=200)
    answer = await rest.call("POST", f"/jobs/{active}/cancel", by=admin, status=409)
    assert answer.error == "JOB_RUNNING"
    assert await counts(rest, admin) == {"greet": (0, 0, 1, 0)}


@pytest.mark.parametrize("verb", ["retry", "promote", "cancel"])
async def test_a_job_that_is_not_there_is_not_found(rest: Rest, admin: Person, verb: str) -> None:
    for number in ("1", "9" * 18):
        answer = await rest.call("POST", f"/jobs/{number}/{verb}", by=admin, status=404)
        assert answer.error == "JOB_NOT_FOUND"
    for wrong in ("9" * 19, "x", "-1", "1.5"):
        await rest.call("POST", f"/jobs/{wrong}/{verb}", by=admin, status=404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs"),
        ("GET", "/jobs/list"),
        ("GET", "/jobs/failed"),
        ("POST", "/jobs/failed/retry"),
        ("POST", "/jobs/1/retry"),
        ("POST", "/jobs/1/promote"),
        ("POST", "/jobs/1/cancel"),
    ],
)
async def test_nobody_else_is_let_in(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, status=401)
    answer = await rest.call(method, path, by=await rest.person(), status=403)
    assert answer.error == "FORBIDDEN"


async def test_wrong_input_names_its_field(rest: Rest, admin: Person) -> None:
    answer = await rest.call("GET", "/jobs/failed?limit=0", by=admin, status=400)
    assert answer.body["details"]["field"] == "limit"
    answer = await rest.call("POST", "/jobs/failed/retry", by=admin, json={"name": ""}, status=400)
    assert answer.body["details"]["field"] == "name"
    for query, code, field in (
        ("state=done", "INVALID_FILTER", "state"),
        ("name=", "INVALID_FILTER", "name"),
        ("offset=-1", "INVALID_OFFSET", "offset"),
        ("colour=red", "INVALID_QUERY", "colour"),
    ):
        answer = await rest.call("GET", f"/jobs/list?{query}", by=admin, status=400)
        assert (answer.error, answer.body["details"]["field"]) == (code, field)
