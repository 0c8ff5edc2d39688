"""How long a plain function takes."""

import timeit
from collections.abc import Callable

from tests.bench.lab import Lab

ROUNDS = 5


def fastest_ns(lab: Lab, run: Callable[[], object]) -> float:
    """One call, as in the fastest of some rounds of some 200 ms; the call itself included."""
    timer = timeit.Timer(run)
    once_s = max(timer.timeit(10) / 10, 1e-8)
    number = max(1, int(lab.pick(200, 30) / 1_000 / once_s))
    return min(timer.repeat(ROUNDS, number)) / number * 1e9


def empty_call_ns(lab: Lab) -> float:
    """The floor of all such figures: a call that does nothing."""
    return fastest_ns(lab, lambda: None)
