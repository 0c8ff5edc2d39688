from __future__ import annotations

from uuid import uuid4

import pytest
from aiohttp import web

from rest.http.identity import IDENTITY, Identity, unauthorized
from rest.http.reply import reply
from rest.http.route import Handler, Route, mount, path_id
from signalling.events import Shape
from tests.rest.http.plain import Clients, ask, refuse_nobody


class Seen(Shape, frozen=True):
    by: str


def says(word: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return reply(Seen(by=word))

    return handler


async def says_id(request: web.Request) -> web.StreamResponse:
    return reply(Seen(by=str(path_id(request))))


def public(path: str, handler: Handler, *aliases: str, method: str = "GET") -> Route:
    return Route(method, path, handler, summary="", returns=Seen, auth=False, aliases=aliases)


def roles_from_header(handler: Handler) -> Handler:
    """A guard that believes everything."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("X-Roles")
        if given is None:
            raise unauthorized("UNAUTHORIZED", "Log in first.")
        request[IDENTITY] = Identity(uuid4(), uuid4(), frozenset(given.split(",")), 0)
        return await handler(request)

    return guarded


async def test_fixed_paths_win_over_parameters_whatever_the_order(clients: Clients) -> None:
    client = await clients.start(
        public("/calls/{id}", says_id),
        public("/calls/active", says("active")),
        public("/calls/{id}/billing", says("billing")),
    )
    assert (await ask(client, "GET", "/calls/active"))[1]["by"] == "active"
    wanted = str(uuid4())
    assert (await ask(client, "GET", f"/calls/{wanted}"))[1]["by"] == wanted
    assert (await ask(client, "GET", f"/calls/{wanted}/billing"))[1]["by"] == "billing"


@pytest.mark.parametrize("wrong", ["x", "123", "{id}", "%00", "....", "0" * 36, f"{uuid4()}x"])
async def test_only_a_uuid_fits_into_an_id(clients: Clients, wrong: str) -> None:
    client = await clients.start(public("/calls/{id}", says_id))
    status, body = await ask(client, "GET", f"/calls/{wrong}")
    assert (status, body["error"]) == (404, "NOT_FOUND")


async def test_a_parameter_may_bring_its_own_pattern(clients: Clients) -> None:
    client = await clients.start(public("/verify/{reference:[A-Z0-9]{4}}", says("fits")))
    assert (await ask(client, "GET", "/verify/AB12"))[0] == 200
    assert (await ask(client, "GET", "/verify/ab12"))[0] == 404


async def test_aliases_reach_the_same_handler(clients: Clients) -> None:
    client = await clients.start(public("/user/me", says("me"), "/users/me"))
    assert (await ask(client, "GET", "/users/me"))[1]["by"] == "me"


async def test_another_method_of_a_path_is_refused_with_those_there_are(clients: Clients) -> None:
    client = await clients.start(
        public("/calls", says("list")), public("/calls", says("made"), method="POST")
    )
    async with client.request("DELETE", "/calls") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET,POST"
        assert (await response.json())["error"] == "METHOD_NOT_ALLOWED"


async def test_a_guarded_route_asks_for_a_caller_and_an_unknown_path_stays_unknown(
    clients: Clients,
) -> None:
    route = Route("GET", "/mine", says("mine"), summary="", returns=Seen)
    client = await clients.start(route, guard=roles_from_header)
    assert (await ask(client, "GET", "/mine"))[0] == 401
    assert (await ask(client, "GET", "/mine", headers={"X-Roles": "customer"}))[0] == 200
    assert (await ask(client, "GET", "/theirs"))[0] == 404


async def test_one_of_the_wanted_roles_is_enough(clients: Clients) -> None:
    route = Route("GET", "/desk", says("in"), summary="", returns=Seen, roles=("admin", "support"))
    client = await clients.start(route, guard=roles_from_header)
    assert (await ask(client, "GET", "/desk", headers={"X-Roles": "a,support"}))[0] == 200
    status, body = await ask(client, "GET", "/desk", headers={"X-Roles": "customer"})
    assert (status, body["error"]) == (403, "FORBIDDEN")


def test_two_routes_for_one_path_are_a_mistake() -> None:
    rows = [public("/calls/{id}", says_id), public("/x", says("x"), "/calls/{call}")]
    with pytest.raises(ValueError, match="two routes"):
        mount(web.Application(), rows, refuse_nobody)


def test_a_public_route_cannot_ask_for_roles() -> None:
    route = Route("GET", "/x", says("x"), summary="", returns=Seen, auth=False, roles=("admin",))
    with pytest.raises(ValueError, match="not for a caller"):
        mount(web.Application(), [route], refuse_nobody)
