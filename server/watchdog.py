"""Is the event loop on time? It says how late it was, and what it was doing when it stood still."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType

import structlog

EVERY_S = 0.1
STALL_S = 0.1
FRAMES_MAX = 20

_log = structlog.stdlib.get_logger(__name__)


class Watchdog:
    """A task on the loop that wakes every 100 ms, and a thread that looks when it does not.

    `lag` is told of every wake-up, in seconds late. `start` is called on the loop's thread.
    """

    def __init__(
        self, lag: Callable[[float], object], *, every_s: float = EVERY_S, stall_s: float = STALL_S
    ) -> None:
        self._lag = lag
        self._every_s = every_s
        self._stall_s = stall_s
        self._due_s = math.inf
        self._late_s = 0.0
        self._stack: list[str] | None = None
        self._ended = threading.Event()
        self._watched = threading.get_ident()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)

    @property
    def late_s(self) -> float:
        """How late the loop was at its last wake-up, or is now if that is more."""
        return max(self._late_s, time.monotonic() - self._due_s)

    def start(self) -> None:
        assert self._task is None, "started once"
        self._watched = threading.get_ident()
        self._due_s = time.monotonic() + self._every_s
        self._task = asyncio.create_task(self._wake(), name="watchdog")
        self._thread.start()

    async def stop(self) -> None:
        self._ended.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            # It sleeps for half a stall at most.
            await asyncio.to_thread(self._thread.join)

    async def _wake(self) -> None:
        while True:
            self._due_s, self._stack = time.monotonic() + self._every_s, None
            await asyncio.sleep(self._every_s)
            late_s = self._late_s = max(0.0, time.monotonic() - self._due_s)
            self._lag(late_s)
            if late_s > self._stall_s:
                # Not as `stack`, which structlog's console takes for a text.
                _log.warning("event_loop_stalled", seconds=round(late_s, 3), at=self._stack or [])

    def _look(self) -> None:
        while not self._ended.wait(self._stall_s / 2):
            if self._stack is None and time.monotonic() - self._due_s > self._stall_s:
                frame = sys._current_frames().get(self._watched)
                if frame is not None:
                    self._stack = places(frame)


def places(frame: FrameType) -> list[str]:
    """The innermost frames as "file:line function", the innermost last; without any values."""
    walked = list(traceback.walk_stack(frame))[:FRAMES_MAX]
    return [
        f"{each.f_code.co_filename}:{line} {each.f_code.co_name}" for each, line in reversed(walked)
    ]


@contextlib.contextmanager
def collections_timed(observe: Callable[[int, float], None]) -> Iterator[None]:
    """Tell of each garbage collection of this process, while inside: generation and seconds."""
    began = 0.0

    def on(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        elif began:
            observe(info["generation"], time.perf_counter() - began)

    gc.callbacks.append(on)
    try:
        yield
    finally:
        gc.callbacks.remove(on)
