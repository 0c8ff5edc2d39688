"""When, and for how long, a node has proved that its epoch is its own."""

from collections.abc import Callable

# Proofs that are further apart than this say nothing of what lies between them.
GAP_S = 2.5


class Proof:
    """`seconds` is a monotonic clock. Given a proof with `given`."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._last_s = self._since_s = seconds()
        self.at_ms = 0

    def given(self, now_ms: int) -> None:
        """The epoch was ours when the node's clock said `now_ms`."""
        now_s = self._seconds()
        if now_s - self._last_s > GAP_S:
            self._since_s = now_s
        self._last_s, self.at_ms = now_s, now_ms

    @property
    def steady_ms(self) -> int:
        """For how long it has been proved again and again, without a gap, until now."""
        if self._seconds() - self._last_s > GAP_S:
            return 0
        return int((self._last_s - self._since_s) * 1_000)
