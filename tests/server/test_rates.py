"""Limits on all requests: by address, by user, with the time to wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from rest.http.errors import Problem
from rest.http.identity import Identity
from server.rates import Rates, rate
from signalling.limits import Rate
from storage.ids import new_id
from tests.rest.harness import FakeClock
from tests.server.running import development, running


def identity() -> Identity:
    return Identity(new_id(), new_id(), frozenset(), 0)


def test_a_rate_of_nothing_is_no_limit() -> None:
    assert rate(0, 10) is None
    assert rate(10, 0) is None
    assert rate(10, 50) == Rate(10, 20)


def test_each_user_has_a_limit_of_their_own() -> None:
    clock = FakeClock()
    rates = Rates(address=None, user=rate(2, 1), clock=clock)
    ann, bob = identity(), identity()
    for _ in range(2):
        rates.admit_user(ann)
    with pytest.raises(Problem) as caught:
        rates.admit_user(ann)
    assert (caught.value.status, caught.value.code) == (429, "RATE_LIMITED")
    assert caught.value.headers["Retry-After"] == "1"
    rates.admit_user(bob)
    clock.move(1_000)
    rates.admit_user(ann)


async def test_an_address_that_asks_too_much_is_told_when_to_come_back(
    dsn: str, tmp_path: Path
) -> None:
    config = development(tmp_path, address_burst=3, address_per_s=1)
    async with running(dsn, config) as there:
        seen = []
        for _ in range(5):
            async with there.site.http.get(f"{there.site.url}/wallet/plans-of-nobody") as answer:
                seen.append(answer.status)
                after = answer.headers.get("Retry-After")
        assert seen == [404, 404, 404, 429, 429]
        assert after is not None
        assert int(after) >= 1
        # A balancer must hear how the process is, whatever else its address asks.
        async with there.site.http.get(f"{there.site.url}/health") as answer:
            assert answer.status == 200


async def test_a_user_is_limited_wherever_they_ask_from(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path, user_burst=2, user_per_s=1)) as there:
        login = {"email": "mia@demo.talktime", "password": "talktime-demo"}
        async with there.site.http.post(f"{there.site.url}/auth/login", json=login) as answer:
            token = (await answer.json())["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        seen = []
        for _ in range(3):
            url = f"{there.site.url}/wallet/balance"
            async with there.site.http.get(url, headers=headers) as answer:
                seen.append(answer.status)
        assert seen == [200, 200, 429]
