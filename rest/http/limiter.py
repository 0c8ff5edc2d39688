"""A limit per key in memory: a burst, then one every so often (the generic cell rate algorithm)."""

from __future__ import annotations

from collections.abc import Callable

from rest.http.errors import Problem
from signalling.limits import Rate

KEYS_MAX = 20_000


class Limiter:
    """Counts tries by key. One number per key; keys that are full again are forgotten."""

    def __init__(self, rate: Rate, clock: Callable[[], int], *, keys_max: int = KEYS_MAX) -> None:
        """`clock` gives Unix ms and never goes back."""
        self._rate = rate
        self._clock = clock
        self._keys_max = keys_max
        # When the key's bucket is full again, in ms. The oldest entry stands first.
        self._full_at: dict[str, int] = {}

    def take(self, key: str) -> int:
        """Count one try. 0 if it is allowed, else the ms until the next one would be."""
        now = self._clock()
        full_at = max(self._full_at.pop(key, now), now)
        wait_ms = full_at - now - (self._rate.burst - 1) * self._rate.every_ms
        if wait_ms <= 0:
            full_at += self._rate.every_ms
            wait_ms = 0
        if len(self._full_at) >= self._keys_max:
            self._forget(now)
        self._full_at[key] = full_at
        return wait_ms

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
        self._full_at.pop(key, None)

    def _forget(self, now: int) -> None:
        for key in [key for key, full_at in self._full_at.items() if full_at <= now]:
            del self._full_at[key]
        if len(self._full_at) >= self._keys_max:
            # Still full: the tenth that was touched longest ago goes.
            for key in list(self._full_at)[: self._keys_max // 10 + 1]:
                del self._full_at[key]
