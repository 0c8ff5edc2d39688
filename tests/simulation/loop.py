"""An event loop whose time is made of numbers: waiting costs nothing and runs are repeatable."""

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any

START_MS = 1_700_000_000_000


class Idle(Exception):
    """Nothing is scheduled any more."""


class _Skip(selectors.SelectSelector):
    """Instead of waiting, moves the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Idle
        if timeout > 0:
            self.now_ms += max(1, math.ceil(timeout * 1000 - 1e-6))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skip = _Skip()
        super().__init__(self._skip)

    def time(self) -> float:
        return self._skip.now_ms / 1000

    def clock(self) -> int:
        """Unix milliseconds of the simulated node."""
        return START_MS + self._skip.now_ms

    def later(self, delay_ms: int, call: Callable[[], Any]) -> asyncio.TimerHandle:
        return self.call_later(delay_ms / 1000, call)

    def stall(self, ms: int) -> None:
        """Time passes and nothing is done."""
        self._skip.now_ms += ms

    def run_for(self, ms: int) -> None:
        """Run everything that happens within the next `ms`."""
        self.call_later(ms / 1000, self.stop)
        self.run_forever()

    def scheduled(self) -> int:
        """How many timers wait."""
        waiting: list[asyncio.TimerHandle] = getattr(self, "_scheduled")  # noqa: B009
        return sum(not handle.cancelled() for handle in waiting)
