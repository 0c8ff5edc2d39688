from __future__ import annotations

import pytest

from rest.http.errors import Problem
from rest.http.limiter import Limiter
from signalling.limits import Rate
from tests.rest.harness import FakeClock


def test_a_burst_passes_and_then_one_every_so_often() -> None:
    clock = FakeClock()
    limiter = Limiter(Rate(3, 1_000), clock)
    assert [limiter.take("a") for _ in range(5)] == [0, 0, 0, 1_000, 1_000]
    clock.move(999)
    assert limiter.take("a") == 1
    clock.move(1)
    assert limiter.take("a") == 0
    assert limiter.take("a") == 1_000


def test_refused_tries_do_not_lengthen_the_wait() -> None:
    clock = FakeClock()
    limiter = Limiter(Rate(1, 1_000), clock)
    limiter.take("a")
    for _ in range(50):
        assert limiter.take("a") == 1_000
    clock.move(1_000)
    assert limiter.take("a") == 0


def test_keys_do_not_share_a_bucket() -> None:
    limiter = Limiter(Rate(1, 1_000), FakeClock())
    assert [limiter.take("a"), limiter.take("b"), limiter.take("a")] == [0, 0, 1_000]


def test_a_success_forgives_what_was_counted() -> None:
    limiter = Limiter(Rate(1, 1_000), FakeClock())
    limiter.take("a")
    limiter.forgive("a")
    assert limiter.take("a") == 0


def test_a_refusal_says_when_to_come_back() -> None:
    limiter = Limiter(Rate(1, 1_500), FakeClock())
    limiter.check("a")
    with pytest.raises(Problem) as refused:
        limiter.check("a")
    assert (refused.value.status, refused.value.code) == (429, "RATE_LIMITED")
    assert refused.value.headers["Retry-After"] == "2"


def test_memory_is_bounded_and_a_busy_key_survives_a_flood_of_others() -> None:
    clock = FakeClock()
    limiter = Limiter(Rate(2, 60_000), clock, keys_max=100)
    for n in range(1_000):
        if n % 10 == 0:
            limiter.take("busy")
        limiter.take(f"other-{n}")
        clock.move(1)
    assert len(limiter._buckets._full_at_ms) <= 100
    assert limiter.take("busy") > 0
