"""Counters of what one device or socket may do. Pure: the caller says what time it is."""

from signalling.limits import Rate


class TokenBucket:
    """`burst` at once, then one every `every_ms`.

    Kept as the one moment at which the bucket will be full again, so taking is plain arithmetic.
    """

    __slots__ = ("_every_ms", "_full_at_ms", "_span_ms")

    def __init__(self, rate: Rate) -> None:
        self._every_ms = rate.every_ms
        self._span_ms = rate.burst * rate.every_ms
        self._full_at_ms = 0

    def take(self, now_ms: int) -> int:
        """Take one; 0 if there was one, else the milliseconds until there is."""
        full_at_ms = self._full_at_ms
        if full_at_ms < now_ms:
            full_at_ms = now_ms
        full_at_ms += self._every_ms
        wait_ms = full_at_ms - now_ms - self._span_ms
        if wait_ms > 0:
            return wait_ms
        self._full_at_ms = full_at_ms
        return 0


class Window:
    """Counts occurrences in windows that begin with an occurrence and last `window_ms`."""

    __slots__ = ("_count", "_max", "_since_ms", "_window_ms")

    def __init__(self, count_max: int, window_ms: int) -> None:
        self._max = count_max
        self._window_ms = window_ms
        self._count = 0
        self._since_ms = 0

    def over(self, now_ms: int) -> bool:
        """Count one more; true if that makes more than `count_max` in this window."""
        if self._count == 0 or now_ms - self._since_ms >= self._window_ms:
            self._since_ms = now_ms
            self._count = 0
        self._count += 1
        return self._count > self._max
