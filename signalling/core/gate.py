"""How many new calls a node takes while it is late with its work: the live ones come first.

A call that is let in asks for work later too, when it is answered and when it ends. So it is not
enough to close while the node is late: afterwards the gate opens at the rate that was served on
average, and lets in more little by little.
"""

import math
from typing import Final

# What is let in however late the node is.
LEAST_PER_S: Final = 20.0
# What may come at once where there is a rate: so many, and what a rate allows in so long.
BURST: Final = 10.0
BURST_MS: Final = 50
# Whoever is late for less stood still for a moment, and does not have too much to do.
MOMENT_MS: Final = 250
# The rate after being late, to what was let in on average from the end of the last time on.
CUT: Final = 0.9
# That average is of so long at least.
SPAN_MS: Final = 1_000
GROWTH_PER_S: Final = 0.1
# Without a refusal for so long there is no rate any more.
CALM_MS: Final = 10_000
RETRY_MS: Final = 1_000
RETRY_SPREAD_MS: Final = 2_000


class Gate:
    """Lets everything in until the node is later than `late_max_ms`; with 0 always."""

    __slots__ = (
        "_admitted",
        "_late_max_ms",
        "_late_since_ms",
        "_looked_ms",
        "_rate_per_s",
        "_refused_ms",
        "_since_ms",
        "_tokens",
        "_took_ms",
        "refused",
    )

    def __init__(self, late_max_ms: int, now_ms: int) -> None:
        self._late_max_ms = late_max_ms
        self._rate_per_s = math.inf
        self._late_since_ms: int | None = None
        self._admitted = 0.0  # Since `_since_ms`.
        self._since_ms = now_ms
        self._looked_ms = now_ms
        self._refused_ms = now_ms
        self._took_ms = now_ms
        self._tokens = BURST
        self.refused = 0

    def wait_ms(self, late_ms: float, now_ms: int) -> int:
        """0 lets a new call in; else when to ask again, which is not the same for all.

        `late_ms` is how late the node is at this moment.
        """
        if not self._late_max_ms:
            return 0
        self._look(late_ms > self._late_max_ms, now_ms)
        rate_per_s = self._rate_per_s if self._late_since_ms is None else LEAST_PER_S
        if rate_per_s is not math.inf and not self._take(rate_per_s, now_ms):
            self.refused += 1
            self._refused_ms = now_ms
            return RETRY_MS + self.refused * 137 % RETRY_SPREAD_MS
        self._admitted += 1
        return 0

    def _take(self, rate_per_s: float, now_ms: int) -> bool:
        most = BURST + rate_per_s * BURST_MS / 1_000
        fresh = rate_per_s * max(0, now_ms - self._took_ms) / 1_000
        self._took_ms = now_ms
        self._tokens = min(most, self._tokens + fresh)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _look(self, late: bool, now_ms: int) -> None:
        looked_ms, self._looked_ms = self._looked_ms, now_ms
        if late:
            if self._late_since_ms is None:
                self._late_since_ms = now_ms
            return
        late_since_ms, self._late_since_ms = self._late_since_ms, None
        span_ms = max(1, now_ms - self._since_ms)
        free = self._rate_per_s is math.inf
        if late_since_ms is not None:
            lasted = looked_ms - late_since_ms >= MOMENT_MS
            if lasted and (free or span_ms >= SPAN_MS):
                # Over the time when too many came in and that when they were worked off.
                average_per_s = self._admitted * 1_000 / span_ms
                self._rate_per_s = max(LEAST_PER_S, CUT * min(average_per_s, self._rate_per_s))
                self._since_ms, self._admitted = now_ms, 0.0
        elif free:
            if span_ms >= SPAN_MS:
                self._since_ms, self._admitted = now_ms - span_ms // 2, self._admitted / 2
        elif now_ms - self._refused_ms >= CALM_MS:
            self._rate_per_s = math.inf
        else:
            passed_s = min(1_000, max(0, now_ms - looked_ms)) / 1_000
            self._rate_per_s *= 1 + GROWTH_PER_S * passed_s
