"""Questions of one moment, asked as one query."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

BATCH_MAX = 100


class Together(Generic[Q, A]):
    """Asks one query at a time: at once for who comes when none runs, then for all who came in the
    meantime. What is answered was read after it was asked.

    With a query and a connection for each, a short request costs twice as much under load.
    """

    def __init__(
        self, read: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], *, batch_max: int = BATCH_MAX
    ) -> None:
        """`read` answers questions in their order. It must bound its own time: those who wait
        giving up does not stop it."""
        self._read = read
        self._batch_max = batch_max
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._running = False
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """
        Raises:
            Exception: what `read` raised, to each whom it was to answer.
        """
        loop = asyncio.get_running_loop()
        if self._running:
            answer: asyncio.Future[A] = loop.create_future()
            self._waiting.append((question, answer))
            return await answer
        self._running = True
        try:
            (found,) = await self._read([question])
        finally:
            if self._waiting:
                self._task = loop.create_task(self._run(), name="together")
            else:
                self._running = False
        return found

    async def _run(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._batch_max)
                taken = [self._waiting.popleft() for _ in range(count)]
                await self._answer([each for each in taken if not each[1].done()])
        finally:
            self._running = False

    async def _answer(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        if not batch:
            return
        try:
            found = await self._read([question for question, _ in batch])
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for (_, answer), each in zip(batch, found, strict=True):
                if not answer.done():
                    answer.set_result(each)
