"""Every field answers from the real database; every change is written down."""

from __future__ import annotations

from typing import Any

import pytest

from rest.graphql.desk import Sample
from storage import jobs
from storage.errors import Unavailable
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.graphql.asking import Graph
from tests.storage.world import make_world, settle_of

FAILED = '{"exception_message": "TimeoutError: no answer"}'


async def failed_job(pool: Pool, name: str = "greet", *, key: str | None = None) -> str:
    """As the runner leaves a job after its last try; its number."""
    async with pool.acquire() as conn:
        assert await jobs.enqueue(conn, name, {"secret": "hush"}, key=key)
        number: int = await conn.fetchval("select max(id) from pgqueuer")
        log = jobs.queries_on(conn).qbq.build_log_job_query()
        await conn.execute(log, [number], ["failed"], [FAILED])
    return str(number)


async def audited(pool: Pool) -> list[tuple[str, int, str, Any]]:
    rows = await pool.fetch(
        "select action, target_id, reason, details from audit_log where target_type = 'job'"
        " order by id"
    )
    return [(row[0], row[1].int, row[2], row[3]) for row in rows]


async def test_anybody_is_there_and_redis_is(graph: Graph) -> None:
    assert await graph.ask("{ hello redisPing }") == {
        "hello": "Hello from Talktime.",
        "redisPing": "PONG",
    }


async def test_what_is_away_leaves_the_other_answers(graph: Graph) -> None:
    graph.pinged[0] = Unavailable("Redis: TimeoutError")
    answer = await graph.post({"query": "{ redisPing queues { name } }"}, graph.admin)
    assert answer.body["data"] == {"redisPing": None, "queues": []}
    [error] = answer.body["errors"]
    assert (error["path"], error["message"]) == (["redisPing"], "Redis: TimeoutError")
    assert error["extensions"]["code"] == "UNAVAILABLE"


async def test_queues_and_jobs_are_shown_by_state_without_payload(graph: Graph, pool: Pool) -> None:
    number = await failed_job(pool)
    async with pool.acquire() as conn:
        await jobs.enqueue(conn, "greet", {"secret": "hush"})
        await jobs.enqueue(conn, "later", {}, delay_s=60)
    data = await graph.ask("{ queues { name waiting delayed active failed oldestSeconds } }")
    oldest_s = [each.pop("oldestSeconds") for each in data["queues"]]
    assert oldest_s[0] >= 0
    assert data["queues"] == [
        {"name": "greet", "waiting": 1, "delayed": 0, "active": 0, "failed": 1},
        {"name": "later", "waiting": 0, "delayed": 1, "active": 0, "failed": 0},
    ]
    query = """
    query ($state: JobState, $name: String, $limit: Int! = 20, $offset: Int! = 0) {
      jobs(state: $state, name: $name, limit: $limit, offset: $offset) {
        total limit offset items { id name state tries error promisedAt dueAt changedAt }
      }
    }
    """
    page = (await graph.ask(query, state="FAILED"))["jobs"]
    assert (page["total"], page["items"][0]["id"]) == (1, number)
    assert page["items"][0]["error"] == "TimeoutError: no answer"
    assert "hush" not in str(page)
    page = (await graph.ask(query, limit=1, offset=2))["jobs"]
    assert (page["total"], page["limit"], page["offset"]) == (3, 1, 2)
    assert [(each["name"], each["state"]) for each in page["items"]] == [("later", "DELAYED")]
    assert (await graph.ask(query, name="greet"))["jobs"]["total"] == 2


async def test_live_calls_and_nodes_are_shown(graph: Graph, pool: Pool) -> None:
    query = "{ liveCalls { total items { id node state caller { name } chargedMinor } } }"
    async with make_world(pool) as world:
        call = await world.call()
        page = (await graph.ask(query))["liveCalls"]
        assert page["total"] == 1
        [shown] = page["items"]
        assert (shown["id"], shown["node"]) == (str(call.call_id), world.node.name)
        [node] = (await graph.ask("{ nodes { name epoch state calls } }"))["nodes"]
        assert node == {
            "name": world.node.name,
            "epoch": world.node.epoch,
            "state": "live",
            "calls": 1,
        }
        await world.combiner.do(settle_of(call, 0))
        assert (await graph.ask(query))["liveCalls"] == {"total": 0, "items": []}
        one = "query ($id: ID!) { call(id: $id) { state node endedAt } }"
        over = (await graph.ask(one, id=str(call.call_id)))["call"]
        assert (over["state"], over["node"]) == ("ended", None)
        assert over["endedAt"].endswith("+00:00")
        assert await graph.ask(one, id=str(new_id())) == {"call": None}
        wrong = await graph.refused(one, id="x")
        assert wrong["extensions"]["details"] == {"field": "id"}


async def test_figures_are_found_by_the_beginning_of_their_name(graph: Graph) -> None:
    graph.samples[:] = [Sample(f"talktime_{n}", {"n": str(n)}, float(n)) for n in range(30)]
    graph.samples.append(Sample("process_open_fds", {}, 9.0))
    query = """
    query ($prefix: String! = "talktime_", $limit: Int! = 20) {
      counters(prefix: $prefix, limit: $limit) { total items { name value labels { value } } }
    }
    """
    page = (await graph.ask(query))["counters"]
    assert (page["total"], len(page["items"])) == (30, 20)
    assert page["items"][3] == {"name": "talktime_3", "value": 3.0, "labels": [{"value": "3"}]}
    assert (await graph.ask(query, prefix="process_"))["counters"]["total"] == 1
    wrong = await graph.refused(query, limit=101)
    assert wrong["extensions"]["code"] == "INVALID_LIMIT"


async def test_a_job_is_added_and_its_message_has_a_limit(graph: Graph, pool: Pool) -> None:
    query = "mutation ($message: String!) { addJob(message: $message) }"
    assert await graph.ask(query, message="good morning") == {"addJob": True}
    assert await pool.fetchval("select entrypoint from pgqueuer") == "hello_job"
    for wrong in ("", "x" * 201):
        error = await graph.refused(query, message=wrong)
        assert error["extensions"]["details"] == {"field": "message"}
    error = await graph.refused('mutation { addJob(message: "a\\u0000") }')
    assert error["extensions"]["details"] == {"field": "message"}


async def test_a_failed_job_is_tried_again_and_that_is_written_down(
    graph: Graph, pool: Pool
) -> None:
    number = await failed_job(pool)
    retry = 'mutation ($id: ID!) { retryJob(id: $id, reason: "The gateway is back.") }'
    assert await graph.ask(retry, id=number) == {"retryJob": True}
    assert await pool.fetchval("select status from pgqueuer") == "queued"
    error = await graph.refused(retry, id=number)
    assert error["extensions"]["code"] == "JOB_NOT_FAILED"
    cancel = "mutation ($id: ID!) { cancelJob(id: $id) }"
    assert await graph.ask(cancel, id=number) == {"cancelJob": True}
    assert (await graph.refused(cancel, id=number))["extensions"]["code"] == "JOB_NOT_FOUND"
    assert await audited(pool) == [
        ("job.retry", int(number), "The gateway is back.", None),
        ("job.cancel", int(number), "By GraphQL.", None),
    ]
    assert await pool.fetchval("select actor from audit_log limit 1") == graph.admin.id


async def test_all_failed_jobs_of_a_name_are_tried_again(graph: Graph, pool: Pool) -> None:
    for name in ("greet", "greet", "call"):
        await failed_job(pool, name)
    query = "mutation ($name: String) { retryFailedJobs(name: $name) }"
    assert await graph.ask(query, name="greet") == {"retryFailedJobs": 2}
    assert await graph.ask(query) == {"retryFailedJobs": 1}
    assert [(each[0], each[3]) for each in await audited(pool)] == [
        ("job.retry_all", {"name": "greet", "retried": 2}),
        ("job.retry_all", {"name": None, "retried": 1}),
    ]


async def test_a_job_that_runs_or_has_a_twin_is_left(graph: Graph, pool: Pool) -> None:
    number = await failed_job(pool, key="ann")
    async with pool.acquire() as conn:
        assert await jobs.enqueue(conn, "greet", {}, key="ann")
        await conn.execute("update pgqueuer set status = 'picked' where id <> $1", int(number))
        active: int = await conn.fetchval("select max(id) from pgqueuer")
    error = await graph.refused("mutation ($id: ID!) { retryJob(id: $id) }", id=number)
    assert error["extensions"]["code"] == "JOB_REPEATED"
    error = await graph.refused("mutation ($id: ID!) { cancelJob(id: $id) }", id=str(active))
    assert error["extensions"]["code"] == "JOB_RUNNING"
    assert await audited(pool) == []


@pytest.mark.parametrize("wrong", ["", "x", "-1", "1.5", "9" * 19, "٣"])
async def test_what_is_no_number_of_a_job_is_named(graph: Graph, wrong: str) -> None:
    error = await graph.refused("mutation ($id: ID!) { retryJob(id: $id) }", id=wrong)
    assert error["extensions"]["details"] == {"field": "id"}
