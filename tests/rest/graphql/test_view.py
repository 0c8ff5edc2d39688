"""Who may ask, how much, and what is said of mistakes."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from rest.http.errors import Problem
from tests.rest.graphql.asking import HASTY, Graph

HELLO = {"query": "{ hello }"}


async def test_only_an_admin_with_a_token_is_let_in(graph: Graph) -> None:
    answer = await graph.post(HELLO)
    assert (answer.status, answer.error) == (401, "UNAUTHORIZED")
    assert "www-authenticate" in answer.headers
    answer = await graph.post(HELLO, await graph.rest.person())
    assert (answer.status, answer.error) == (403, "FORBIDDEN")
    answer = await graph.post(HELLO, graph.admin)
    assert (answer.status, answer.body) == (200, {"data": {"hello": "Hello from Talktime."}})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_questions_are_posted(graph: Graph, method: str) -> None:
    headers = {"Authorization": f"Bearer {graph.admin.token}"}
    async with graph.client.request(
        method, "/graphql", params={"query": "{ hello }"}, headers=headers
    ) as answer:
        assert (answer.status, (await answer.json())["error"]) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ([HELLO, HELLO], 400, "INVALID_PAYLOAD"),
        ({}, 400, "INVALID_PAYLOAD"),
        ({"query": ""}, 400, "INVALID_PAYLOAD"),
        ({"query": 5}, 400, "INVALID_PAYLOAD"),
        ({"query": "{ hello }", "variables": []}, 400, "INVALID_PAYLOAD"),
        ({"query": "{ hello }", "other": 1}, 400, "INVALID_PAYLOAD"),
        ({"query": "x" * 65_536}, 413, "TOO_LARGE"),
    ],
)
async def test_a_body_that_is_no_question_is_refused_as_everywhere(
    graph: Graph, body: object, status: int, error: str
) -> None:
    answer = await graph.post(body, graph.admin)
    assert (answer.status, answer.error) == (status, error)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ hello", "Syntax Error"),
        ("{ nothing }", "Cannot query field 'nothing'"),
        ('{ jobs(limit: "x") { total } }', "Int cannot represent"),
        ("query ($n: Int!) { jobs(limit: $n) { total } }", "Expected a value of non-null type"),
        ("subscription { hello }", "ubscription"),
        ("query A { hello } query B { hello }", "operation"),
        ("fragment F on Query { hello }", "operation"),
        ("{ a { b { c { d { e { f { g { h { i } } } } } } } } }", "at most 8 levels"),
        ("{" + " ".join(f"a{n}: hello" for n in range(16)) + "}", "at most 15 aliases"),
        ("{" + "hello " * 1_000 + "}", "1000 tokens"),
        (
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
            "Maximum introspection depth",
        ),
    ],
)
async def test_a_wrong_question_is_told_in_graphql_s_own_way(
    graph: Graph, query: str, message: str
) -> None:
    answer = await graph.post({"query": query}, graph.admin)
    assert (answer.status, answer.body["data"]) == (200, None)
    error = answer.body["errors"][0]
    assert message in error["message"]
    assert error["extensions"]["code"] == "INVALID_QUERY"


async def test_of_several_operations_the_one_that_is_named_is_done(graph: Graph) -> None:
    body = {"query": "query A { a: hello } query B { b: hello }", "operationName": "B"}
    answer = await graph.post(body, graph.admin)
    assert list(answer.body["data"]) == ["b"]
    answer = await graph.post(body | {"operationName": "C"}, graph.admin)
    assert answer.body["errors"][0]["extensions"]["code"] == "INVALID_QUERY"


async def test_of_a_mistake_of_ours_the_client_hears_its_number_alone(graph: Graph) -> None:
    graph.pinged[0] = RuntimeError("the password is hunter2")
    with capture_logs() as logs:
        answer = await graph.post({"query": "{ redisPing }"}, graph.admin)
    assert b"hunter2" not in answer.raw
    [error] = answer.body["errors"]
    assert error["message"] == "Something went wrong on our side."
    incident = answer.headers["x-request-id"]
    assert error["extensions"] == {
        "code": "INTERNAL",
        "requestId": incident,
        "details": {"incidentId": incident},
    }
    [line] = [each for each in logs if each["event"] == "unexpected"]
    assert line["incident"] == incident
    assert isinstance(line["exc_info"], RuntimeError)


async def test_a_refusal_is_no_mistake_and_not_logged_as_one(graph: Graph) -> None:
    graph.pinged[0] = Problem(409, "WRONG_STATE", "Not now.", {"field": "x"})
    with capture_logs() as logs:
        error = await graph.refused("{ redisPing }")
    assert (error["message"], error["extensions"]["code"]) == ("Not now.", "WRONG_STATE")
    assert [each for each in logs if each["log_level"] in ("error", "warning")] == []


async def test_admins_may_ask_for_the_schema(graph: Graph) -> None:
    data = await graph.ask("{ __schema { mutationType { fields { name } } } }")
    assert {each["name"] for each in data["__schema"]["mutationType"]["fields"]} == {
        "addJob",
        "retryJob",
        "retryFailedJobs",
        "cancelJob",
    }


async def test_an_answer_has_a_deadline(graph: Graph) -> None:
    answer = await graph.post({"query": "{ redisPing }"}, graph.admin, HASTY)
    assert (answer.status, answer.error) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
