"""Refresh tokens: rotated, and the family ended when one is used twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.rest.auth.conftest import Auth
from tests.rest.harness import FakeClock


async def test_a_refresh_gives_both_tokens_anew(auth: Auth) -> None:
    first = await auth.sign_up()
    second = await auth.refresh(first["refreshToken"])
    assert second["refreshToken"] != first["refreshToken"]
    assert second["expiresIn"] == second["expires_in"] == 900
    keys = auth.rest.keys
    assert keys.read(second["token"]).session_id == keys.read(first["token"]).session_id
    await auth.rest.call("GET", "/auth/me", token=second["token"], status=200)
    snake = {"refresh_token": second["refreshToken"]}
    await auth.rest.call("POST", "/auth/refresh", json=snake, status=200)


async def test_a_refresh_brings_the_roles_of_today(auth: Auth) -> None:
    first = await auth.sign_up()
    await auth.rest.pool.execute("update users set roles = '{customer,companion}'")
    second = await auth.refresh(first["refreshToken"])
    assert auth.rest.keys.read(second["token"]).roles == {"customer", "companion"}


@pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 44, "x" * 299, "ü" * 43])
async def test_an_unknown_refresh_token_is_refused(auth: Auth, token: str) -> None:
    answer = await auth.rest.call("POST", "/auth/refresh", json={"refreshToken": token}, status=401)
    assert answer.error == "INVALID_REFRESH_TOKEN"
    assert "invalid_token" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("body", [{}, {"refreshToken": ""}, {"refresh_token": None}])
async def test_a_missing_refresh_token_is_named(auth: Auth, body: dict[str, object]) -> None:
    answer = await auth.rest.call("POST", "/auth/refresh", json=body, status=400)
    assert answer.body["details"] == {"field": "refreshToken"}


async def test_an_access_token_refreshes_nothing(auth: Auth) -> None:
    first = await auth.sign_up()
    answer = await auth.rest.call("POST", "/auth/refresh", json={"refreshToken": first["token"]})
    assert answer.status in (400, 401)


async def test_a_repeated_refresh_within_the_grace_gets_the_same_successor(
    auth: Auth, clock: FakeClock
) -> None:
    first = await auth.sign_up()
    second = await auth.refresh(first["refreshToken"])
    clock.move(10_000)
    again = await auth.refresh(first["refreshToken"])
    assert again["refreshToken"] == second["refreshToken"]
    assert auth.ended == []


async def test_a_repeated_refresh_after_its_successor_was_used_ends_the_family(auth: Auth) -> None:
    first = await auth.sign_up()
    second = await auth.refresh(first["refreshToken"])
    third = await auth.refresh(second["refreshToken"])
    await auth.refresh(first["refreshToken"], 401)
    assert auth.ended == [auth.rest.keys.read(first["token"]).session_id]
    await auth.refresh(third["refreshToken"], 401)


async def test_twenty_refreshes_at_once_leave_one_family(auth: Auth) -> None:
    first = await auth.sign_up()
    answers = await asyncio.gather(*(auth.refresh(first["refreshToken"]) for _ in range(20)))
    assert len({answer["refreshToken"] for answer in answers}) == 1
    await auth.refresh(answers[0]["refreshToken"])
    assert auth.ended == []


async def test_a_refresh_token_used_again_later_ends_the_family(
    auth: Auth, clock: FakeClock
) -> None:
    first = await auth.sign_up()
    second = await auth.refresh(first["refreshToken"])
    clock.move(10_001)
    await auth.refresh(first["refreshToken"], 401)
    assert auth.ended == [auth.rest.keys.read(first["token"]).session_id]
    await auth.refresh(second["refreshToken"], 401)
    await auth.rest.call("GET", "/auth/me", token=second["token"], status=401)
