"""The node clock: Unix milliseconds that never go back.

Wall time is read once, at start; from there the monotonic clock counts. Durations are exact
whatever happens to the wall clock, and moments are close enough to it for people.
"""

import time
from collections.abc import Callable


def node_clock() -> Callable[[], int]:
    began_ms = time.time_ns() // 1_000_000
    began_ns = time.monotonic_ns()
    monotonic_ns = time.monotonic_ns

    def now_ms() -> int:
        return began_ms + (monotonic_ns() - began_ns) // 1_000_000

    return now_ms
