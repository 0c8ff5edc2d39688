from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from aiohttp import web
from msgspec import Meta
from openapi_spec_validator import validate

from rest.http.body import Body, Query
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.openapi import build_openapi
from rest.http.pages import PageQuery
from rest.http.reply import Done, reply
from rest.http.route import Route
from signalling.events import Shape


class Line(Shape, frozen=True):
    id: UUID
    amount: int


class Lines(Shape, frozen=True):
    items: list[Line]


class Make(Body, frozen=True):
    to_user: Annotated[str, Meta(min_length=1)]
    note: str | None = None


class Find(PageQuery, frozen=True):
    is_online: bool | None = None
    sort: Literal["old", "new"] | None = None


class Needed(Query, frozen=True):
    since_ms: int


async def nothing(_request: web.Request) -> web.Response:
    return reply(Done())


ROUTES = [
    Route(
        "GET",
        "/lines",
        nothing,
        summary="Lines",
        returns=Lines,
        query=Find,
        tag="lines",
        aliases=("/rows",),
        example={"items": [{"id": str(UUID(int=7)), "amount": 3}]},
    ),
    Route(
        "POST",
        "/lines",
        nothing,
        summary="Make",
        returns=Line,
        body=Make,
        status=201,
        tag="lines",
        errors=("INSUFFICIENT_FUNDS", Fault(409, "LINE_TAKEN", "It is taken.")),
        roles=("admin",),
    ),
    Route(
        "GET",
        "/lines/{id}/{part:[a-z]{1,9}}",
        nothing,
        summary="One",
        returns=Line,
        query=Needed,
        auth=False,
    ),
    Route(
        "PUT",
        "/picture",
        nothing,
        summary="Up",
        returns=Done,
        upload="picture",
    ),
    Route(
        "GET",
        "/picture",
        nothing,
        summary="Down",
        returns=Done,
        media="image/webp",
    ),
]


@pytest.fixture
def document() -> dict[str, Any]:
    return build_openapi(ROUTES, version="1.2.3", title="Lines")


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"


def test_every_path_and_alias_is_there(document: dict[str, Any]) -> None:
    assert list(document["paths"]) == ["/lines", "/lines/{id}/{part}", "/picture", "/rows"]
    assert set(document["paths"]["/lines"]) == {"get", "post"}
    names = [
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))


def test_a_success_carries_its_wrapper_and_example(document: dict[str, Any]) -> None:
    content = document["paths"]["/lines"]["get"]["responses"]["200"]["content"]["application/json"]
    wrapper, shape = content["schema"]["allOf"]
    assert wrapper["properties"] == {"success": {"const": True}}
    assert shape == {"$ref": "#/components/schemas/Lines"}
    assert content["example"]["success"] is True
    assert content["example"]["items"][0]["amount"] == 3


def test_failures_are_grouped_by_status_with_an_example_of_each(document: dict[str, Any]) -> None:
    responses = document["paths"]["/lines"]["post"]["responses"]
    expected = "201 400 401 402 403 408 409 413 415 429 500 503"
    assert set(responses) == set(expected.split())
    taken = responses["409"]["content"]["application/json"]["examples"]["LINE_TAKEN"]["value"]
    assert taken["success"] is False
    assert taken["message"] == "It is taken."


def test_a_path_with_parameters_may_not_be_there(document: dict[str, Any]) -> None:
    assert "404" in document["paths"]["/lines/{id}/{part}"]["get"]["responses"]
    assert "404" not in document["paths"]["/lines"]["get"]["responses"]


def test_parameters_come_from_path_and_query(document: dict[str, Any]) -> None:
    one = document["paths"]["/lines/{id}/{part}"]["get"]["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in one] == [
        ("id", "path", True),
        ("part", "path", True),
        ("sinceMs", "query", True),
    ]
    find = {each["name"]: each for each in document["paths"]["/lines"]["get"]["parameters"]}
    assert find["isOnline"]["schema"] == {"type": "boolean"}
    assert find["limit"]["schema"]["maximum"] == 100
    assert not find["offset"]["required"]


def test_only_routes_with_a_caller_ask_for_the_token(document: dict[str, Any]) -> None:
    assert document["paths"]["/lines"]["get"]["security"] == [{"bearer": []}]
    assert document["paths"]["/lines/{id}/{part}"]["get"]["security"] == []


def test_every_operation_has_an_example_of_what_it_takes_and_gives(
    document: dict[str, Any],
) -> None:
    made = document["paths"]["/lines"]["post"]
    body = made["requestBody"]["content"]["application/json"]["example"]
    assert set(body) == {"toUser"}
    answer = made["responses"]["201"]["content"]["application/json"]["example"]
    assert set(answer) == {"success", "id", "amount"}


def test_answers_show_their_headers(document: dict[str, Any]) -> None:
    responses = document["paths"]["/lines"]["post"]["responses"]
    assert set(responses["201"]["headers"]) == {"X-Request-Id"}
    assert set(responses["401"]["headers"]) == {"X-Request-Id", "WWW-Authenticate"}
    assert set(responses["429"]["headers"]) == {"X-Request-Id", "Retry-After"}


def test_a_route_that_takes_keys_says_so() -> None:
    route = Route(
        "POST", "/x", nothing, summary="", returns=Done, body=Make, status=201, errors=KEY_ERRORS
    )
    document = build_openapi([route], version="1", title="x", tags={"": ""})
    validate(document)
    operation = document["paths"]["/x"]["post"]
    assert [each["name"] for each in operation["parameters"]] == ["Idempotency-Key"]
    assert "Idempotent-Replayed" in operation["responses"]["201"]["headers"]


def test_a_file_is_sent_as_a_form_and_answered_as_it_is(document: dict[str, Any]) -> None:
    picture = document["paths"]["/picture"]
    form = picture["put"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["picture"]
    assert form["properties"]["picture"]["format"] == "binary"
    assert list(picture["get"]["responses"]["200"]["content"]) == ["image/webp"]
    assert "304" in picture["get"]["responses"]


def test_queries_are_no_components(document: dict[str, Any]) -> None:
    assert {"Done", "Line", "Lines", "Make", "ErrorBody"} == set(document["components"]["schemas"])


def test_a_code_without_a_status_is_a_mistake() -> None:
    route = Route("GET", "/x", nothing, summary="", returns=Done, errors=("NOBODY_KNOWS",))
    with pytest.raises(ValueError, match="NOBODY_KNOWS"):
        build_openapi([route], version="1", title="x")


def test_a_choice_of_words_is_a_string() -> None:
    document = build_openapi(ROUTES, version="1", title="Test")
    sort = next(
        each for each in document["paths"]["/lines"]["get"]["parameters"] if each["name"] == "sort"
    )
    assert sort["schema"] == {"type": "string", "enum": ["new", "old"]}
