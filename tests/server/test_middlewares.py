from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from aiohttp import ClientSession, TCPConnector, web
from aiohttp.test_utils import TestClient, TestServer

from rest.http.identity import address_of
from rest.http.reply import reply
from rest.http.route import Route
from server.middlewares import SECURITY_HEADERS, Around, install
from signalling.events import Shape
from tests.rest.http.plain import Clients


class Seen(Shape, frozen=True):
    text: str = ""


async def fine(request: web.Request) -> web.Response:
    return reply(Seen(text=address_of(request)))


async def broken(_request: web.Request) -> web.Response:
    raise KeyError("the secret of the exception")


async def slow(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return reply(Seen())


async def own_timeout(_request: web.Request) -> web.Response:
    raise TimeoutError


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


def route(path: str, handler: Any, method: str = "GET") -> Route:
    return Route(method, path, handler, summary="", returns=Seen, auth=False)


@pytest.fixture
def with_lines() -> Iterator[None]:
    """Lines of requests are made, as they are by default in production."""
    logger = logging.getLogger("talktime.http")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)


ROUTES = [
    route("/fine", fine),
    route("/fine/{id}", fine),
    route("/broken", broken),
    route("/slow", slow),
    route("/late", own_timeout),
    route("/ws", echo),
    route("/take", fine, "POST"),
]


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    async with Clients() as opened:
        yield opened


@pytest.mark.parametrize("path", ["/fine", "/nowhere", "/broken"])
async def test_a_request_id_is_made_and_told(clients: Clients, path: str) -> None:
    client = await clients.start(*ROUTES)
    async with client.get(path) as response:
        made = UUID(response.headers["X-Request-Id"])
        body = await response.json()
    assert made.version == 7
    assert body.get("requestId", str(made)) == str(made)


@pytest.mark.parametrize("given", ["a", "abc-DEF_1.2", "x" * 64])
async def test_a_sane_request_id_is_kept(clients: Clients, given: str) -> None:
    client = await clients.start(*ROUTES)
    async with client.get("/fine", headers={"X-Request-Id": given}) as response:
        assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "ü", "{}", '"'])
async def test_an_odd_request_id_is_replaced(clients: Clients, given: str) -> None:
    client = await clients.start(*ROUTES)
    async with client.get("/fine", headers={"X-Request-Id": given}) as response:
        assert UUID(response.headers["X-Request-Id"]).version == 7


async def test_a_mistake_of_ours_says_nothing_of_the_exception(clients: Clients) -> None:
    client = await clients.start(*ROUTES)
    with structlog.testing.capture_logs() as lines:
        async with client.get("/broken") as response:
            raw, body = await response.text(), await response.json()
    assert response.status == 500
    assert body["error"] == "INTERNAL"
    assert body["details"] == {"incidentId": body["requestId"]}
    assert "secret" not in raw
    assert any(line.get("incident") == body["requestId"] for line in lines)


async def test_an_unknown_path_is_a_json_404(clients: Clients) -> None:
    client = await clients.start(*ROUTES)
    async with client.get("/nowhere") as response:
        assert response.status == 404
        assert (await response.json())["error"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/fine", "/nowhere", "/broken"])
async def test_security_headers_are_on_every_answer(clients: Clients, path: str) -> None:
    client = await clients.start(*ROUTES)
    async with client.get(path) as response:
        for name, value in SECURITY_HEADERS.items():
            assert response.headers[name] == value
        assert response.headers["Server"] == "talktime"


@pytest.mark.parametrize(("https_only", "told"), [(True, "max-age=31536000"), (False, None)])
async def test_browsers_are_held_to_https_where_it_is_spoken(
    clients: Clients, https_only: bool, told: str | None
) -> None:
    client = await clients.start(*ROUTES, around=Around(https_only=https_only))
    async with client.get("/fine") as response:
        assert response.headers.get("Strict-Transport-Security") == told


async def test_a_page_may_bring_its_own_policy() -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(headers={"Content-Security-Policy": "default-src 'self'"})

    app = web.Application()
    install(app)
    app.router.add_get("/page", page)
    async with TestClient(TestServer(app)) as client, client.get("/page") as response:
        assert response.headers["Content-Security-Policy"] == "default-src 'self'"


async def test_a_handler_has_a_deadline(clients: Clients) -> None:
    client = await clients.start(*ROUTES, around=Around(deadline_s=0.05))
    async with client.get("/slow") as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert (await response.json())["error"] == "UNAVAILABLE"


async def test_a_timeout_below_is_try_again_too(clients: Clients) -> None:
    client = await clients.start(*ROUTES)
    async with client.get("/late") as response:
        assert response.status == 503


async def test_a_socket_outlives_the_deadline(clients: Clients) -> None:
    client = await clients.start(*ROUTES, around=Around(deadline_s=0.05))
    async with client.ws_connect("/ws") as socket:
        deadline = asyncio.get_running_loop().time() + 0.1
        while asyncio.get_running_loop().time() < deadline:
            await socket.send_str("still")
            assert (await socket.receive_str()) == "still"


async def test_a_redirect_stays_a_redirect() -> None:
    async def moved(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    app = web.Application()
    install(app)
    app.router.add_get("/moved", moved)
    async with (
        TestClient(TestServer(app)) as client,
        client.get("/moved", allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


async def test_the_log_has_ids_and_never_the_url(clients: Clients, with_lines: None) -> None:
    client = await clients.start(*ROUTES)
    wanted = str(uuid4())
    with structlog.testing.capture_logs() as lines:
        async with client.get(f"/fine/{wanted}?word=canary"):
            pass
        async with client.get("/canary/nowhere?token=canary"):
            pass
    found = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in found] == [200, 400]
    assert found[0]["path_id"] == wanted
    assert found[0]["route"].startswith("/fine/{id")
    assert found[1]["route"] == "unmatched"
    assert "canary" not in repr(lines)


async def test_a_redirect_is_logged_as_what_it_is(with_lines: None) -> None:
    async def moved(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    app = web.Application()
    install(app)
    app.router.add_get("/moved", moved)
    async with TestClient(TestServer(app)) as client:
        with structlog.testing.capture_logs() as lines:
            async with client.get("/moved", allow_redirects=False):
                pass
    assert [line["status"] for line in lines if line["event"] == "request"] == [302]


async def test_no_line_is_made_of_a_request_that_is_not_to_be_logged(clients: Clients) -> None:
    logging.getLogger("talktime.http").setLevel(logging.WARNING)
    client = await clients.start(*ROUTES)
    with structlog.testing.capture_logs() as lines:
        async with client.get("/fine"):
            pass
        async with client.get("/broken"):
            pass
    logging.getLogger("talktime.http").setLevel(logging.NOTSET)
    assert [line["event"] for line in lines] == ["unexpected"]


async def test_ids_of_a_request_do_not_outlive_it_on_its_connection() -> None:
    async def bound_ids(_request: web.Request) -> web.Response:
        return web.json_response(structlog.contextvars.get_contextvars())

    app = web.Application()
    install(app)
    app.router.add_get("/calls/{id}", bound_ids)
    app.router.add_get("/plain", bound_ids)
    connector = TCPConnector(limit=1)
    async with TestServer(app) as server, ClientSession(connector=connector) as session:
        found = []
        for path in ("/calls/c1", "/plain"):
            async with session.get(server.make_url(path)) as response:
                found.append((await response.json(), response.headers["X-Request-Id"]))
    (first, first_id), (second, second_id) = found
    assert first == {"request_id": first_id, "call_id": "c1"}
    assert second == {"request_id": second_id}


async def test_lines_of_a_request_about_a_call_name_the_call(clients: Clients) -> None:
    async def bound_ids(_request: web.Request) -> web.Response:
        return reply(Seen(text=str(structlog.contextvars.get_contextvars().get("call_id"))))

    client = await clients.start(route("/calls/{id}/end", bound_ids), route("/x/{id}", bound_ids))
    wanted = str(uuid4())
    for path, named in ((f"/calls/{wanted}/end", wanted), (f"/x/{wanted}", "None")):
        async with client.get(path) as response:
            assert (await response.json())["text"] == named


async def test_each_request_is_observed_by_its_template(clients: Clients) -> None:
    seen: list[tuple[str, str, int]] = []
    around = Around(observe=lambda method, route, status, _s: seen.append((method, route, status)))
    client = await clients.start(*ROUTES, around=around)
    for path in ("/fine", f"/fine/{uuid4()}", "/broken", "/nowhere"):
        async with client.get(path):
            pass
    assert seen == [
        ("GET", "/fine", 200),
        ("GET", "/fine/{id}", 200),
        ("GET", "/broken", 500),
        ("GET", "unmatched", 404),
    ]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ([], "203.0.113.5", "127.0.0.1"),
        (["10.0.0.0/8"], "203.0.113.5", "127.0.0.1"),
        (["127.0.0.0/8"], "203.0.113.5", "203.0.113.5"),
        (["127.0.0.0/8"], "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        (["127.0.0.0/8", "203.0.113.0/24"], "198.51.100.1, 203.0.113.5", "198.51.100.1"),
        (["127.0.0.0/8"], "198.51.100.1, nonsense", "127.0.0.1"),
        (["127.0.0.0/8"], "", "127.0.0.1"),
        (["127.0.0.0/8", "::/0"], "2001:db8::1", "127.0.0.1"),
        (["127.0.0.0/8"], "2001:db8::1", "2001:db8::/64"),
        (["127.0.0.0/8"], "203.0.113.5:4711", "203.0.113.5"),
        (["127.0.0.0/8"], "198.51.100.1, 203.0.113.5:1", "203.0.113.5"),
        (["127.0.0.0/8", "203.0.113.0/24"], "198.51.100.1:9, 203.0.113.5:1", "198.51.100.1"),
        (["127.0.0.0/8"], "[2001:db8::1]:4711", "2001:db8::/64"),
        (["127.0.0.0/8"], "[2001:db8::1]", "2001:db8::/64"),
        (["127.0.0.0/8", "2001:db8::/32"], "203.0.113.5, [2001:db8::1]:1", "203.0.113.5"),
        (["127.0.0.0/8"], "203.0.113.5:", "127.0.0.1"),
        (["127.0.0.0/8"], "203.0.113.5:x", "127.0.0.1"),
        (["127.0.0.0/8"], "[203.0.113:1", "127.0.0.1"),
        (["127.0.0.0/8"], "[2001:db8::1", "127.0.0.1"),
    ],
)
async def test_a_forwarded_address_is_believed_from_listed_proxies_only(
    clients: Clients, trusted: list[str], forwarded: str, address: str
) -> None:
    around = Around(trusted_proxies=[ip_network(each) for each in trusted])
    client = await clients.start(*ROUTES, around=around)
    async with client.get("/fine", headers={"X-Forwarded-For": forwarded}) as response:
        assert (await response.json())["text"] == address
        assert "X-Request-Id" in response.headers


async def test_a_socket_works_behind_a_proxy(clients: Clients) -> None:
    client = await clients.start(
        *ROUTES, around=Around(trusted_proxies=[ip_network("127.0.0.0/8")])
    )
    headers = {"X-Forwarded-For": "203.0.113.5"}
    async with client.ws_connect("/ws", headers=headers) as socket:
        await socket.send_str("hello")
        assert (await socket.receive_str()) == "hello"


async def test_an_upgrade_with_a_body_is_refused_and_closed(clients: Clients) -> None:
    client = await clients.start(*ROUTES)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"POST /take HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}"
        b"GET /fine HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
