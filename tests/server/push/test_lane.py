"""Lanes: some at a time, the oldest falls out, and a failure stops nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.push.lane import Lane


class Works:
    def __init__(self) -> None:
        self.begun: list[int] = []
        self.dropped = 0
        self.gate = asyncio.Event()
        self.news = asyncio.Condition()

    async def work(self, item: int) -> None:
        async with self.news:
            self.begun.append(item)
            self.news.notify_all()
        if item < 0:
            raise ValueError("no")
        await self.gate.wait()

    def drop(self) -> None:
        self.dropped += 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(lambda: len(self.begun) >= count)


@pytest.fixture
async def works() -> Works:
    return Works()


@pytest.fixture
async def lane(works: Works) -> AsyncIterator[Lane[int]]:
    made = Lane("test", works.work, workers=2, size_max=3, dropped=works.drop)
    made.start()
    yield made
    await made.stop()


async def test_so_many_are_worked_on_at_a_time(works: Works, lane: Lane[int]) -> None:
    for item in (1, 2, 3):
        lane.put(item)
    await works.until(2)
    assert works.begun == [1, 2]
    works.gate.set()
    await works.until(3)
    assert works.dropped == 0


async def test_the_oldest_falls_out_of_a_full_lane(works: Works, lane: Lane[int]) -> None:
    for item in (1, 2):
        lane.put(item)
    await works.until(2)
    for item in (3, 4, 5, 6, 7):
        lane.put(item)
    works.gate.set()
    await works.until(5)
    assert works.begun == [1, 2, 5, 6, 7]
    assert works.dropped == 2


async def test_a_failure_stops_nobody(
    works: Works, lane: Lane[int], caplog: pytest.LogCaptureFixture
) -> None:
    for item in (-1, -2, -3):
        lane.put(item)
    await works.until(3)
    lane.put(4)
    await works.until(4)
    assert caplog.messages == ["a push failed"] * 3


async def test_a_lane_that_stops_leaves_what_waits(works: Works, lane: Lane[int]) -> None:
    for item in (1, 2, 3):
        lane.put(item)
    await works.until(2)
    await lane.stop()
    assert works.begun == [1, 2]
