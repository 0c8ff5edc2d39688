"""How the gate opens and closes, and what it makes of an overload."""

import heapq
import random
from collections import deque
from collections.abc import Sequence

import pytest

from signalling.core.gate import BURST, CALM_MS, LEAST_PER_S, MOMENT_MS, Gate

LATE_MAX_MS = 100
LATE, ON_TIME = 500.0, 0.0


def let_in(gate: Gate, late_ms: float, from_ms: int, to_ms: int, per_s: int) -> int:
    """How many of the requests of this time are let in."""
    moments = range(from_ms, to_ms, 1_000 // per_s)
    return sum(gate.wait_ms(late_ms, now_ms) == 0 for now_ms in moments)


def test_whoever_is_on_time_lets_everything_in() -> None:
    gate = Gate(LATE_MAX_MS, 0)
    assert let_in(gate, LATE_MAX_MS, 0, 60_000, 500) == 30_000
    assert gate.refused == 0


def test_without_a_limit_everything_is_let_in_however_late() -> None:
    gate = Gate(0, 0)
    assert let_in(gate, LATE, 0, 10_000, 500) == 5_000
    assert gate.refused == 0


def test_whoever_is_late_still_lets_the_least_in() -> None:
    gate = Gate(LATE_MAX_MS, 0)
    count = let_in(gate, LATE, 0, 10_000, 500)
    assert count == pytest.approx(BURST + 10 * LEAST_PER_S, abs=3)
    assert gate.refused == 5_000 - count


def test_the_refused_are_told_different_times_to_come_back() -> None:
    gate = Gate(LATE_MAX_MS, 0)
    waits = [gate.wait_ms(LATE, now_ms) for now_ms in range(1_000)]
    told = [wait for wait in waits if wait]
    assert all(1_000 <= wait < 3_000 for wait in told)
    assert len(set(told)) > 500


def test_few_requests_are_let_in_even_while_it_is_late() -> None:
    gate = Gate(LATE_MAX_MS, 0)
    assert let_in(gate, LATE, 0, 10_000, 10) == 100


def test_who_stood_still_for_a_moment_goes_on_as_before() -> None:
    gate = Gate(LATE_MAX_MS, 0)
    let_in(gate, ON_TIME, 0, 5_000, 500)
    let_in(gate, LATE, 5_000, 5_000 + MOMENT_MS - 50, 500)
    assert let_in(gate, ON_TIME, 5_300, 10_300, 500) == 2_500


def test_after_being_late_it_lets_in_what_was_served_and_then_more() -> None:
    gate = Gate(LATE_MAX_MS, 0)
    let_in(gate, ON_TIME, 0, 1_000, 500)
    let_in(gate, LATE, 1_000, 2_000, 500)
    first = let_in(gate, ON_TIME, 2_000, 3_000, 1_000)
    assert first < 400
    assert let_in(gate, ON_TIME, 5_000, 6_000, 1_000) > first


def test_after_a_calm_time_there_is_no_limit_any_more() -> None:
    gate = Gate(LATE_MAX_MS, 0)
    let_in(gate, LATE, 0, 2_000, 500)
    let_in(gate, ON_TIME, 2_000, 2_500 + CALM_MS, 5)
    assert let_in(gate, ON_TIME, 2_500 + CALM_MS, 3_500 + CALM_MS, 1_000) == 1_000


def test_a_clock_that_goes_back_does_no_harm() -> None:
    gate = Gate(LATE_MAX_MS, 10_000)
    for now_ms in (10_000, 9_000, 0, 20_000):
        gate.wait_ms(LATE, now_ms)
        gate.wait_ms(ON_TIME, now_ms)
    assert gate.wait_ms(ON_TIME, 40_000) == 0


def overload(works_s: Sequence[float], *, per_s: int, served_per_s: int) -> tuple[list[int], int]:
    """A minute of a node whose calls ask for works so long after they came, done one after the
    other. What each work waited in the second half, in ms, and how many calls were let in then."""
    seed = random.Random(7)
    gate, due, queue = Gate(LATE_MAX_MS, 0), list[float](), deque[int]()
    waits, came, late_ms, budget = list[int](), 0, 0, 0.0
    for now_ms in range(60_000):
        for _ in range(per_s // 1_000 + (seed.random() < per_s % 1_000 / 1_000)):
            if gate.wait_ms(late_ms, now_ms) == 0:
                came += now_ms >= 30_000
                for after_s in works_s:
                    heapq.heappush(due, now_ms + after_s * 1_000 * seed.uniform(0.8, 1.2))
        while due and due[0] <= now_ms:
            heapq.heappop(due)
            queue.append(now_ms)
        budget = min(5.0, budget + served_per_s * len(works_s) / 1_000)
        while queue and budget >= 1:
            budget -= 1
            late_ms = now_ms - queue.popleft()
            if now_ms >= 30_000:
                waits.append(late_ms)
        if not queue:
            late_ms = 0
    return sorted(waits), came


@pytest.mark.parametrize("times", [1.05, 1.5, 3.0, 10.0])
@pytest.mark.parametrize(
    "works_s", [(0, 0.05, 0.05, 0.1, 0.15, 0.2), (0, 0.3, 1, 1, 1.2, 2)], ids=["brief", "slow"]
)
def test_however_much_is_offered_what_is_let_in_is_served_in_time(
    works_s: Sequence[float], times: float
) -> None:
    waits, came = overload(works_s, per_s=int(100 * times), served_per_s=100)
    assert waits[int(len(waits) * 0.99)] <= 3 * LATE_MAX_MS
    assert came / 30 >= 80


def test_calls_whose_work_comes_much_later_are_let_in_at_the_rate_that_is_served() -> None:
    _, came = overload((0, 1, 8, 9, 10, 12), per_s=300, served_per_s=100)
    assert came / 30 <= 150
