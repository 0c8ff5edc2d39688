"""Whether this node has been asleep: a process that was frozen may have lost its calls meanwhile.

It wakes in the middle of what it was doing, with all its timers due and frames waiting. Until its
epoch is proved once more it must neither decide nor tell anything. A database that is away is
something else: then the node is awake all the time, and its calls go on.
"""

from collections.abc import Callable

# Longer than the loop takes to come round, and shorter than the silence that a node is fenced for.
ASLEEP_S = 2.0


class Wakefulness:
    """`seconds` is a clock that goes on while the process is frozen; `proved_s` is when, by it, the
    epoch was last proved to hold. `tick` is to be called more often than every `ASLEEP_S`.

    A proof is as good as a tick: while a node starts, nothing else may tell that it is awake.
    """

    def __init__(self, seconds: Callable[[], float], proved_s: Callable[[], float]) -> None:
        self._seconds = seconds
        self._proved_s = proved_s
        self._ticked_s = seconds()
        self._woke_s: float | None = None

    def tick(self) -> None:
        now_s = self._seconds()
        if now_s - max(self._ticked_s, self._proved_s()) > ASLEEP_S:
            self._woke_s = now_s
        self._ticked_s = now_s

    def is_sure(self) -> bool:
        """Whether what this node knows of its calls holds."""
        if self._seconds() - self._ticked_s > ASLEEP_S:
            self.tick()
        if self._woke_s is None:
            return True
        if self._proved_s() < self._woke_s:
            return False
        self._woke_s = None
        return True
