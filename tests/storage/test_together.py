from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from storage.together import Together


class Slow:
    """Doubles numbers, each time when it is let."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    async def read(self, numbers: Sequence[int]) -> list[int]:
        self.seen.append(list(numbers))
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return [2 * number for number in numbers]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_while_a_query_runs_is_asked_for_in_the_next_one() -> None:
    slow = Slow()
    together = Together(slow.read)
    first = asyncio.create_task(together.ask(1))
    await turns()
    others = [asyncio.create_task(together.ask(number)) for number in (2, 3, 2)]
    await turns()
    assert slow.seen == [[1]]
    slow.gate.set()
    assert await first == 2
    assert await asyncio.gather(*others) == [4, 6, 4]
    assert slow.seen == [[1], [2, 3, 2]]
    assert await together.ask(9) == 18


async def test_no_query_is_for_more_than_so_many() -> None:
    slow = Slow()
    together = Together(slow.read, batch_max=2)
    asked = [asyncio.create_task(together.ask(number)) for number in range(6)]
    await turns()
    slow.gate.set()
    assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8, 10]
    assert slow.seen == [[0], [1, 2], [3, 4], [5]]


async def test_who_has_given_up_is_not_asked_for_and_the_others_are_answered() -> None:
    slow = Slow()
    together = Together(slow.read)
    first = asyncio.create_task(together.ask(1))
    await turns()
    second, third, fourth = (asyncio.create_task(together.ask(number)) for number in (2, 3, 4))
    await turns()
    third.cancel()
    await turns()
    slow.gate.set()
    assert (await first, await second, await fourth) == (2, 4, 8)
    assert slow.seen == [[1], [2, 4]]


async def test_when_the_first_gives_up_the_others_are_asked_for() -> None:
    slow = Slow()
    together = Together(slow.read)
    first = asyncio.create_task(together.ask(1))
    await turns()
    second, third = (asyncio.create_task(together.ask(number)) for number in (2, 3))
    await turns()
    first.cancel()
    await turns()
    assert slow.seen == [[1], [2, 3]]
    second.cancel()
    slow.gate.set()
    assert await third == 6
    assert await together.ask(4) == 8


async def test_a_fault_is_told_to_all_whom_it_concerns_and_to_nobody_after_them() -> None:
    slow = Slow()
    slow.fault = OSError("gone")
    together = Together(slow.read)
    asked = [asyncio.create_task(together.ask(number)) for number in (1, 2, 3)]
    await turns()
    slow.gate.set()
    for each in asked:
        with pytest.raises(OSError, match="gone"):
            await each
    assert slow.seen == [[1], [2, 3]]
    slow.fault = None
    assert await together.ask(4) == 8
