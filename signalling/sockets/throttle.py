"""Counters of what one device or socket may do. Pure: the caller says what time it is."""

from signalling.limits import Rate

KEYS_MAX = 20_000


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


class TokenBuckets:
    """A bucket for each key, as one number; keys whose bucket is full again are forgotten."""

    def __init__(self, rate: Rate, *, keys_max: int = KEYS_MAX) -> None:
        self._rate = rate
        self._keys_max = keys_max
        # When the key's bucket is full again, in ms. The oldest entry stands first.
        self._full_at_ms: dict[str, int] = {}

    def take(self, key: str, now_ms: int) -> int:
        """Take one; 0 if there was one, else the milliseconds until there is."""
        full_at_ms = max(self._full_at_ms.pop(key, now_ms), now_ms)
        wait_ms = full_at_ms - now_ms - (self._rate.burst - 1) * self._rate.every_ms
        if wait_ms <= 0:
            full_at_ms += self._rate.every_ms
            wait_ms = 0
        if len(self._full_at_ms) >= self._keys_max:
            self._forget(now_ms)
        self._full_at_ms[key] = full_at_ms
        return wait_ms

    def forgive(self, key: str) -> None:
        """Fill the bucket of this key."""
        self._full_at_ms.pop(key, None)

    def _forget(self, now_ms: int) -> None:
        for key in [key for key, full_at in self._full_at_ms.items() if full_at <= now_ms]:
            del self._full_at_ms[key]
        if len(self._full_at_ms) >= self._keys_max:
            # Still too many: the tenth that was touched longest ago goes.
            for key in list(self._full_at_ms)[: self._keys_max // 10 + 1]:
                del self._full_at_ms[key]


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
