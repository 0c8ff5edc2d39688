from __future__ import annotations

import asyncio

import pytest

from storage.deadline import Deadline


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_ends_in_time_is_left_alone() -> None:
    deadline = Deadline(5)
    async with deadline() as span:
        await asyncio.sleep(0)
    assert not span.expired


async def test_what_takes_too_long_is_ended() -> None:
    span = Deadline(0.01)()
    seen: list[type[BaseException]] = []

    async def work() -> None:
        async with span:
            try:
                await never()
            except asyncio.CancelledError as fault:
                seen.append(type(fault))
                raise

    with pytest.raises(TimeoutError):
        await work()
    task = asyncio.current_task()
    assert task is not None
    assert (seen, span.expired, task.cancelling()) == ([asyncio.CancelledError], True, 0)


async def test_each_of_many_is_ended_and_those_that_came_later_too() -> None:
    deadline = Deadline(0.02)
    ended: list[int] = []

    async def one(number: int) -> None:
        with pytest.raises(TimeoutError):
            async with deadline():
                await never()
        ended.append(number)

    async with asyncio.TaskGroup() as group:
        group.create_task(one(0))
        group.create_task(one(1))
        async with Deadline(0.01)() as span:
            with pytest.raises(asyncio.CancelledError):
                await never()
        assert span.expired
        group.create_task(one(2))
    assert ended == [0, 1, 2]


async def test_the_end_of_one_does_not_end_the_watch_over_another() -> None:
    deadline = Deadline(0.01)
    inside = asyncio.Event()

    async def short() -> None:
        async with deadline():
            await inside.wait()

    async def long() -> None:
        async with deadline():
            inside.set()
            await first
            await never()

    first = asyncio.create_task(short())
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await long()


async def test_one_may_stand_within_another_and_each_ends_its_own_block() -> None:
    outer, inner = Deadline(5), Deadline(0.01)
    async with outer() as span:
        with pytest.raises(TimeoutError):
            async with inner():
                await never()
        await asyncio.sleep(0)
    assert not span.expired


async def test_a_cancellation_by_others_stays_one() -> None:
    deadline = Deadline(5)

    async def work() -> None:
        async with deadline():
            await never()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_by_others_at_the_deadline_is_not_swallowed() -> None:
    deadline = Deadline(0.01)

    async def work() -> None:
        async with deadline():
            try:
                await never()
            finally:
                task.cancel()

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_failure_at_the_deadline_is_the_one_that_is_raised() -> None:
    async def work() -> None:
        async with Deadline(0.01)():
            try:
                await never()
            finally:
                raise KeyError

    with pytest.raises(KeyError):
        await work()


async def test_nothing_is_kept_of_what_has_ended() -> None:
    deadline = Deadline(5)
    async with deadline():
        assert len(deadline) == 1
    assert len(deadline) == 0


def test_it_works_in_one_event_loop_after_another() -> None:
    deadline = Deadline(0.01)

    async def late() -> None:
        async with deadline():
            await never()

    async def left_open() -> None:
        task = asyncio.create_task(late())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(left_open())
    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(late())
