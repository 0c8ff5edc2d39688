"""When, and for how long, a node has proved that its epoch is its own."""

from collections.abc import Callable

# Proofs that are further apart than this say nothing of what lies between them. It must be less
# than the silence for which others are taken for dead: an outage that all had is nobody's death.
GAP_S = 1.6


class Proof:
    """`seconds` is a monotonic clock. Given a proof with `given`."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._last_s = self._since_s = seconds()
        # The epoch was ours then: at the beginning of the last transaction that has proved it.
        self.at_s = self._since_s

    def given(self, began_s: float) -> None:
        """A transaction that began then, and has just been committed, has found the epoch ours."""
        now_s = self._seconds()
        if now_s - self._last_s > GAP_S:
            self._since_s = now_s
        self._last_s, self.at_s = now_s, began_s

    @property
    def steady_ms(self) -> int:
        """For how long it has been proved again and again, without a gap, until now."""
        if self._seconds() - self._last_s > GAP_S:
            return 0
        return int((self._last_s - self._since_s) * 1_000)
