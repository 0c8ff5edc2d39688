"""Virtual time for several processes in one: each has its own event loop, all hang on one clock.

A loop of a killed process does nothing any more. What comes for a paused one waits, and is done all
at once when it goes on, as after SIGSTOP and SIGCONT.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

START_MS = 1_700_000_000_000
T = TypeVar("T")
# Whoever has no order of its own among what is due in one millisecond comes before the parcels.
PLAIN = (0, 0)
Entry = tuple[int, tuple[int, int], int, asyncio.Handle | None, Callable[[], None] | None]


class Time:
    """The clock of the world and everything that is due; `run_until` makes it pass."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.steps = 0
        self._order = 0
        self._due: list[Entry] = []

    def unix_ms(self) -> int:
        return START_MS + self.now_ms

    def push(self, delay_ms: int, handle: asyncio.Handle, rank: tuple[int, int] = PLAIN) -> None:
        """For the loops; `rank` as in `later`."""
        self._order += 1
        heapq.heappush(self._due, (self.now_ms + delay_ms, rank, self._order, handle, None))

    def later(self, delay_ms: int, run: Callable[[], None], rank: tuple[int, int] = PLAIN) -> None:
        """Run something that is in no process: a phone, a cable, the database.

        `rank` orders what is due in the same millisecond, where the order of asking is not the
        same in every run.
        """
        self._order += 1
        heapq.heappush(self._due, (self.now_ms + delay_ms, rank, self._order, None, run))

    def run_until(self, until_ms: int) -> None:
        due = self._due
        pop = heapq.heappop
        running: ProcessLoop | None = None
        try:
            while due and due[0][0] <= until_ms:
                at_ms, _, _, handle, run = pop(due)
                self.now_ms = at_ms
                self.steps += 1
                if handle is None:
                    if running is not None:
                        running = None
                        asyncio._set_running_loop(None)
                    assert run is not None
                    run()
                    continue
                if handle.cancelled():
                    continue
                loop: ProcessLoop = handle._loop  # type: ignore[attr-defined]
                if loop.held is not None:
                    loop.held.append(handle)
                    continue
                if loop.dead:
                    continue
                if loop is not running:
                    running = loop
                    asyncio._set_running_loop(loop)
                handle._run()
        finally:
            asyncio._set_running_loop(None)
        self.now_ms = max(self.now_ms, until_ms)


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one process. `failed` is told of what nobody has caught."""

    def __init__(self, world: Time, failed: Callable[[dict[str, Any]], None]) -> None:
        self._world = world
        self._failed = failed
        self.dead = False
        self.held: list[asyncio.Handle] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()

    def pause(self) -> None:
        self.held = []

    def go_on(self) -> None:
        """Everything that waited is done now, in its order."""
        held, self.held = self.held or [], None
        for handle in held:
            self._world.push(0, handle)

    def kill(self) -> None:
        """Nothing of this process happens any more. Its tasks stay, so that no `finally` runs."""
        self.dead, self.held = True, None

    def bury(self) -> None:
        """At the end of the world: its tasks end where they stand."""
        self.kill()
        asyncio._set_running_loop(self)
        try:
            while self.tasks:  # One that ends may begin another.
                task = self.tasks.pop()
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coro = task.get_coro()
                assert coro is not None
                try:
                    coro.close()
                except Exception:
                    pass  # A `finally` that found its process dead.
        finally:
            asyncio._set_running_loop(None)

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return self._world.now_ms / 1000

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.dead:
            self._world.push(0, handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        at_ms = round(when * 1000)
        if at_ms / 1000 < when:
            at_ms += 1  # Never before its time, however it is rounded.
        if not self.dead:
            self._world.push(max(0, at_ms - self._world.now_ms), handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def after(
        self, delay_ms: int, run: Callable[[], Any], rank: tuple[int, int] = PLAIN
    ) -> asyncio.TimerHandle:
        """Run once after so many milliseconds; also from outside of the process."""
        handle = asyncio.TimerHandle(0.0, run, (), self, _empty)
        if not self.dead:
            self._world.push(delay_ms, handle, rank)
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.dead:
            self._failed(context)


_empty = Context()
