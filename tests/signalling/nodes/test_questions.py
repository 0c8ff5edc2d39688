"""What is asked while a question is under way is asked together."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from signalling.nodes.questions import Places, Questions
from storage.errors import Unavailable
from storage.ids import new_id

USERS = [new_id() for _ in range(4)]
PLACES = {user_id: frozenset({f"node {number}"}) for number, user_id in enumerate(USERS)}


class Oracle:
    """Answers when `go` is set; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[UUID]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, user_ids: Sequence[UUID]) -> Places:
        self.asked.append(user_ids)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return [PLACES[user_id] for user_id in user_ids]


async def asking(questions: Questions, *asked: Sequence[UUID]) -> list[asyncio.Task[Places]]:
    """Each of them has been put, and the first is under way."""
    tasks = []
    for users in asked:
        tasks.append(asyncio.create_task(questions.places(users, 5.0)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_meanwhile_is_asked_in_one_round_trip() -> None:
    oracle = Oracle()
    tasks = await asking(Questions(oracle.ask), USERS[:1], USERS[1:3], USERS[3:])
    assert oracle.asked == [USERS[:1]]
    oracle.go.set()
    found = await asyncio.gather(*tasks)
    assert oracle.asked == [USERS[:1], USERS[1:]]
    parts = (USERS[:1], USERS[1:3], USERS[3:])
    assert found == [[PLACES[user_id] for user_id in each] for each in parts]


@pytest.mark.parametrize("error", [Unavailable("away"), OSError("broken")])
async def test_no_answer_is_unavailable_for_all_and_the_next_one_is_asked(error: Exception) -> None:
    oracle = Oracle()
    oracle.error = error
    questions = Questions(oracle.ask)
    tasks = await asking(questions, USERS[:1], USERS[1:])
    oracle.go.set()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(found, Unavailable)
    oracle.error = None
    assert await questions.places(USERS[:1], 5.0) == [PLACES[USERS[0]]]


async def test_who_has_waited_for_too_long_hears_so_and_is_not_asked_for() -> None:
    oracle = Oracle()
    questions = Questions(oracle.ask)
    tasks = await asking(questions, USERS[:1])
    with pytest.raises(Unavailable):
        await questions.places(USERS[1:2], 0.001)
    oracle.go.set()
    await tasks[0]
    assert oracle.asked == [USERS[:1]]


async def test_at_the_end_nobody_waits_any_more() -> None:
    oracle = Oracle()
    questions = Questions(oracle.ask)
    tasks = await asking(questions, USERS[:1], USERS[1:])
    await questions.stop()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(found, Unavailable)
