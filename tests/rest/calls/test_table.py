from __future__ import annotations

import pytest

from rest.calls.table import CALL_NOT_FOUND, call_routes
from rest.http.idempotency import ERRORS
from rest.http.openapi import build_openapi
from rest.http.route import Route
from tests.rest.calls.conftest import routes_of
from tests.signalling.harness import Node


@pytest.fixture
def table(node: Node) -> list[Route]:
    return call_routes(routes_of(node))


def test_every_route_of_a_call_needs_a_caller(table: list[Route]) -> None:
    assert all(route.auth for route in table)


def test_every_route_about_one_call_can_miss_it(table: list[Route]) -> None:
    about_one = [route for route in table if "{id}" in route.path]

    assert len(about_one) == 5
    assert all(CALL_NOT_FOUND in route.errors for route in about_one)


def test_a_call_can_be_requested_under_a_key(table: list[Route]) -> None:
    (request,) = [route for route in table if route.method == "POST" and route.path == "/calls"]

    assert set(ERRORS) <= set(request.errors)


def test_the_routes_can_be_documented(table: list[Route]) -> None:
    document = build_openapi(table, version="1", title="Calls")

    assert set(document["paths"]) == {route.path for route in table}
