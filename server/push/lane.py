"""A bounded queue and the few tasks that work it off. When it is full, the oldest falls out."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Lane(Generic[T]):
    def __init__(
        self,
        name: str,
        work: Callable[[T], Awaitable[None]],
        *,
        workers: int,
        size_max: int,
        dropped: Callable[[], None],
    ) -> None:
        """`work` is done by so many tasks at a time; `dropped` hears of what fell out undone."""
        self._name = name
        self._work = work
        self._workers = workers
        self._size_max = size_max
        self._dropped = dropped
        self._items: deque[T] = deque()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def put(self, item: T) -> None:
        """Never waits. What is newest is of most use."""
        if len(self._items) >= self._size_max:
            self._items.popleft()
            self._dropped()
        self._items.append(item)
        self._news.set()

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(), name=f"push {self._name} {number}")
            for number in range(self._workers)
        ]

    async def stop(self) -> None:
        """What waits is left undone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._items.clear()

    async def _run(self) -> None:
        while True:
            while not self._items:
                self._news.clear()
                await self._news.wait()
            try:
                await self._work(self._items.popleft())
            except Exception:
                log.exception("a push failed", extra={"lane": self._name})
