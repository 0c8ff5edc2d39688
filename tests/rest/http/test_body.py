from __future__ import annotations

import asyncio
import gzip
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from aiohttp import web
from msgspec import Meta

from rest.http import body as bodies
from rest.http.body import Body, Query, read_body, read_query
from rest.http.reply import reply
from rest.http.route import Route
from signalling.events import Shape
from storage.deadline import Deadline
from tests.rest.http.plain import Client, Clients, ask


class Inner(Body, frozen=True):
    words: list[str] = msgspec.field(default_factory=list)


class Order(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"amountMinor": "INVALID_AMOUNT", "label": "INVALID_LABEL"}

    to_user: str
    amount_minor: Annotated[int, Meta(ge=1, le=100)]
    label: str = ""
    inner: Inner | None = None
    more: dict[str, str] = msgspec.field(default_factory=dict)


class Defaults(Body, frozen=True):
    reason: str = "none"


class Find(Query, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"count": "INVALID_LIMIT"}

    count: Annotated[int, Meta(ge=1, le=50)] = 20
    is_online: bool | None = None
    word: str | None = None
    since: datetime | None = None


class Seen(Shape, frozen=True):
    text: str


async def order(request: web.Request) -> web.Response:
    return reply(Seen(text=repr(await read_body(request, Order))))


async def reason(request: web.Request) -> web.Response:
    return reply(Seen(text=(await read_body(request, Defaults, optional=True)).reason))


async def find(request: web.Request) -> web.Response:
    return reply(Seen(text=repr(read_query(request, Find))))


@pytest.fixture
async def client(clients: Clients) -> Client:
    return await clients.start(
        Route("POST", "/orders", order, summary="", returns=Seen, body=Order, auth=False),
        Route("POST", "/reasons", reason, summary="", returns=Seen, body=Defaults, auth=False),
        Route("GET", "/find", find, summary="", returns=Seen, query=Find, auth=False),
    )


async def post(client: Client, data: bytes, **headers: str) -> tuple[int, Any]:
    sent = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return await ask(client, "POST", "/orders", data=data, headers=sent)


GOOD = b'{"toUser":"u","amountMinor":5}'


async def test_a_body_becomes_its_struct(client: Client) -> None:
    status, body = await post(client, GOOD)
    assert (status, body["success"]) == (200, True)
    assert "to_user='u', amount_minor=5" in body["text"]


async def test_a_charset_beside_the_content_type_is_fine(client: Client) -> None:
    assert (await post(client, GOOD, Content_Type="application/json; charset=utf-8"))[0] == 200


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        (b"", "INVALID_PAYLOAD", None),
        (b"[]", "INVALID_PAYLOAD", None),
        (b"null", "INVALID_PAYLOAD", None),
        (b"{", "INVALID_PAYLOAD", None),
        (GOOD + b"x", "INVALID_PAYLOAD", None),
        (b"\xff\xfe", "INVALID_PAYLOAD", None),
        (b'{"amountMinor":5}', "INVALID_PAYLOAD", "toUser"),
        (b'{"toUser":5,"amountMinor":5}', "INVALID_PAYLOAD", "toUser"),
        (b'{"toUser":"u"}', "INVALID_AMOUNT", "amountMinor"),
        (b'{"toUser":"u","amountMinor":"5"}', "INVALID_AMOUNT", "amountMinor"),
        (b'{"toUser":"u","amountMinor":5.5}', "INVALID_AMOUNT", "amountMinor"),
        (b'{"toUser":"u","amountMinor":true}', "INVALID_AMOUNT", "amountMinor"),
        (b'{"toUser":"u","amountMinor":NaN}', "INVALID_PAYLOAD", None),
        (b'{"toUser":"u","amountMinor":-1}', "INVALID_AMOUNT", "amountMinor"),
        (b'{"toUser":"u","amountMinor":101}', "INVALID_AMOUNT", "amountMinor"),
        (b'{"toUser":"u","amountMinor":5,"role":"admin"}', "INVALID_PAYLOAD", "role"),
        (b'{"toUser":"u","amountMinor":5,"to_user":"v"}', "INVALID_PAYLOAD", "to_user"),
        (b'{"toUser":"\\ud800","amountMinor":5}', "INVALID_PAYLOAD", None),
        (b'{"toUser":"\\udc00x","amountMinor":5}', "INVALID_PAYLOAD", None),
        (b'{"toUser":"a\\u0000b","amountMinor":5}', "INVALID_PAYLOAD", "toUser"),
        (b'{"toUser":"u","amountMinor":5,"label":"\\u0000"}', "INVALID_LABEL", "label"),
        (
            b'{"toUser":"u","amountMinor":5,"inner":{"words":["a","\\u0000"]}}',
            "INVALID_PAYLOAD",
            "inner.words[1]",
        ),
        (
            b'{"toUser":"u","amountMinor":5,"inner":{"words":["a",1]}}',
            "INVALID_PAYLOAD",
            "inner.words[1]",
        ),
        (
            b'{"toUser":"u","amountMinor":5,"inner":{"word":[]}}',
            "INVALID_PAYLOAD",
            "inner.word",
        ),
        (b'{"toUser":"u","amountMinor":5,"more":{"k":"\\u0000"}}', "INVALID_PAYLOAD", "more.k"),
        (b"[" * 5_000, "INVALID_PAYLOAD", None),
        (b'{"toUser":' * 5_000, "INVALID_PAYLOAD", "toUser"),
    ],
)
async def test_a_wrong_body_is_refused_and_its_field_named(
    client: Client, data: bytes, code: str, field: str | None
) -> None:
    status, body = await post(client, data)
    assert (status, body["error"]) == (400, code)
    assert body.get("details", {}).get("field") == field


async def test_an_escaped_backslash_before_u0000_is_no_nul(client: Client) -> None:
    assert (await post(client, b'{"toUser":"\\\\u0000","amountMinor":5}'))[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
async def test_only_json_is_taken(client: Client, kind: str) -> None:
    status, body = await post(client, GOOD, Content_Type=kind)
    assert (status, body["error"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_compressed_body_is_refused_unread(client: Client) -> None:
    status, body = await post(client, gzip.compress(GOOD), Content_Encoding="gzip")
    assert (status, body["error"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_beyond_the_limit_is_refused_with_and_without_its_length(
    client: Client,
) -> None:
    data = b'{"toUser":"' + b"u" * bodies.BODY_BYTES_MAX + b'","amountMinor":5}'
    assert (await post(client, data))[0] == 413

    async def chunks() -> Any:
        for start in range(0, len(data), 8_192):
            yield data[start : start + 8_192]

    status, body = await ask(
        client, "POST", "/orders", data=chunks(), headers={"Content-Type": "application/json"}
    )
    assert (status, body["error"]) == (413, "TOO_LARGE")


async def test_a_body_that_does_not_arrive_is_given_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "READ_DEADLINE", Deadline(0.05))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 30\r\n\r\n{"
    )
    head = await reader.readuntil(b"\r\n")
    writer.close()
    assert b"408" in head


async def test_an_optional_body_may_be_empty(client: Client) -> None:
    assert (await ask(client, "POST", "/reasons"))[1]["text"] == "none"
    sent = await ask(client, "POST", "/reasons", json={"reason": "busy"})
    assert sent[1]["text"] == "busy"


async def test_a_query_is_converted_from_text(client: Client) -> None:
    status, body = await ask(client, "GET", "/find?count=7&isOnline=true&word=null")
    assert status == 200
    assert body["text"] == "Find(count=7, is_online=True, word='null', since=None)"
    status, body = await ask(client, "GET", "/find?since=2026-11-25T18:00:00Z")
    assert status == 200
    assert "datetime.datetime(2026, 11, 25, 18, 0" in body["text"]


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("count=0", "INVALID_LIMIT", "count"),
        ("count=x", "INVALID_LIMIT", "count"),
        ("count=", "INVALID_LIMIT", "count"),
        ("count=1&count=2", "INVALID_LIMIT", "count"),
        ("count=51", "INVALID_LIMIT", "count"),
        ("isOnline=perhaps", "INVALID_QUERY", "isOnline"),
        ("isOnline=null", "INVALID_QUERY", "isOnline"),
        ("since=0.5", "INVALID_QUERY", "since"),
        ("since=1795629600", "INVALID_QUERY", "since"),
        ("since=2026-11-25", "INVALID_QUERY", "since"),
        ("is_online=true", "INVALID_QUERY", "is_online"),
        ("colour=red", "INVALID_QUERY", "colour"),
        ("word=%00", "INVALID_QUERY", "word"),
    ],
)
async def test_a_wrong_query_is_refused_and_its_parameter_named(
    client: Client, query: str, code: str, field: str
) -> None:
    status, body = await ask(client, "GET", f"/find?{query}")
    assert (status, body["error"], body["details"]) == (400, code, {"field": field})
    assert "body" not in body["message"].lower()


async def test_an_unknown_parameter_is_one_of_the_query_string(client: Client) -> None:
    _, body = await ask(client, "GET", "/find?colour=red")
    assert body["message"] == "The query string contains unknown field `colour`."


@pytest.mark.parametrize(
    "name", ["token", "access_token", "accessToken", "refresh-token", "jwt", "apiKey", "PASSWORD"]
)
@pytest.mark.parametrize("path", ["/find", "/nowhere", "/reasons"])
async def test_a_secret_in_a_url_is_always_refused(client: Client, path: str, name: str) -> None:
    method = "POST" if path == "/reasons" else "GET"
    status, body = await ask(client, method, f"{path}?{name}=x")
    assert (status, body["error"]) == (400, "TOKEN_IN_URL")
