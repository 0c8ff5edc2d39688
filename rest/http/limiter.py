"""A limit per key in memory: a burst, then one every so often."""

from __future__ import annotations

from collections.abc import Callable

from rest.http.errors import Problem
from signalling.limits import Rate
from signalling.sockets.throttle import KEYS_MAX, TokenBuckets


class Limiter:
    """Counts tries by key. One number per key; keys that are full again are forgotten."""

    def __init__(self, rate: Rate, clock: Callable[[], int], *, keys_max: int = KEYS_MAX) -> None:
        """`clock` gives Unix ms and never goes back."""
        self._buckets = TokenBuckets(rate, keys_max=keys_max)
        self._clock = clock

    def take(self, key: str) -> int:
        """Count one try. 0 if it is allowed, else the ms until the next one would be."""
        return self._buckets.take(key, self._clock())

    def check(self, key: str, message: str = "Too many tries; wait a little.") -> None:
        """As `take`.

        Raises:
            Problem: 429 RATE_LIMITED with Retry-After.
        """
        wait_ms = self.take(key)
        if wait_ms > 0:
            raise Problem(429, "RATE_LIMITED", message, retry_after_ms=wait_ms)

    def forgive(self, key: str) -> None:
        """Forget what was counted, after a success."""
        self._buckets.forgive(key)
