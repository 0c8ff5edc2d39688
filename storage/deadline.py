"""Deadlines for many at a time: one timer for all that run, where asyncio would set one for each.

Setting and taking back a timer is most of what `asyncio.timeout` costs, 10 µs; a span costs 1 µs,
and every request has two.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

# Timers of a loop may come a little early.
EARLY_S = 0.001


class Deadline:
    """`async with deadline():` gives what is inside `seconds`, as `asyncio.timeout` does: past them
    its task is cancelled, and `TimeoutError` is raised at the end of the block.

    Make one for each length of time, and use it for all tasks.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # All last equally long, so the first to end stands first.
        self._spans: dict[Span, None] = {}
        # Where a timer is set now; the next loop of this process, if there is one, needs its own.
        self._watched: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> Span:
        return Span(self)

    def __len__(self) -> int:
        """How many blocks are under it now."""
        return len(self._spans)

    def begin(self, span: Span, loop: asyncio.AbstractEventLoop) -> None:
        """Only for `Span`."""
        span.ends_s = loop.time() + self._seconds
        if self._watched is not loop:
            self._spans.clear()
            self._watched = loop
            loop.call_at(span.ends_s, self._expire, loop)
        self._spans[span] = None

    def end(self, span: Span) -> None:
        """Only for `Span`."""
        self._spans.pop(span, None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._watched is not loop:
            return
        self._watched = None
        now_s = loop.time() + EARLY_S
        for span in list(self._spans):
            if span.ends_s > now_s:
                self._watched = loop
                loop.call_at(span.ends_s, self._expire, loop)
                break
            del self._spans[span]
            span.expire()


class Span:
    """One block under a deadline; `expired` says whether that ended it."""

    __slots__ = ("_cancelling", "_deadline", "_task", "ends_s", "expired")

    _task: asyncio.Task[object]

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.expired = False
        self.ends_s = 0.0

    async def __aenter__(self) -> Span:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "only tasks can be cancelled"
        self._task = task
        # What others have asked for before is not ours to take back.
        self._cancelling = task.cancelling()
        self._deadline.begin(self, loop)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.expired:
            self._deadline.end(self)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from fault

    def expire(self) -> None:
        """Only for `Deadline`."""
        self.expired = True
        self._task.cancel()
