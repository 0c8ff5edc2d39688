"""A development server dies at the named moment, and nothing else may ask for that."""

import asyncio
from uuid import uuid4

import pytest

from server.failpoints import POINTS, fail_point, heard, queue_class
from storage.combiner import Combiner
from storage.nodes import claim_node
from storage.pool import Pool
from storage.works import Note
from tests.server.settings import clean_environment, faults

__all__ = ["clean_environment"]


def observe(gateway: str, source: str, outcome: str) -> None:
    pass


def test_without_a_wish_there_is_nothing_to_call() -> None:
    assert fail_point("") is None
    assert queue_class(None) is Combiner
    assert heard(observe, None) is observe


def test_a_payment_is_a_moment_before_it_is_observed() -> None:
    said: list[str] = []

    def noted(gateway: str, source: str, outcome: str) -> None:
        said.append(f"{gateway} {source} {outcome}")

    heard(noted, said.append)("sandbox", "webhook", "completed")
    assert said == ["payment", "sandbox webhook completed"]


@pytest.mark.parametrize("name", POINTS)
def test_the_process_dies_at_the_moment_it_was_told(name: str) -> None:
    deaths: list[str] = []
    passed = fail_point(f"{name}:2", lambda: deaths.append(name))
    assert passed is not None
    passed(name)
    passed("another")
    assert deaths == []
    passed(name)
    assert deaths == [name]


@pytest.mark.parametrize("wish", ["settled", "settle:0", "settle:", "settle:x", ":1"])
def test_a_moment_that_does_not_exist_is_a_fault_of_the_settings(wish: str) -> None:
    assert any("TALKTIME_FAILPOINT" in line for line in faults(dev=True, failpoint=wish))


def test_production_refuses_to_be_killed() -> None:
    assert any("TALKTIME_FAILPOINT" in line for line in faults(failpoint="settle"))


async def test_the_queue_says_what_it_has_committed_before_it_answers(pool: Pool) -> None:
    said: list[str] = []
    async with pool.acquire() as conn:
        claim = await claim_node(conn, "n1", 1)
        combiner = queue_class(said.append)(pool, epoch=claim.epoch, clock=lambda: 1)
        await combiner.start()
        assert said == []
        async with asyncio.timeout(10):
            answered = asyncio.ensure_future(combiner.do(Note(call_id=uuid4(), state="ringing")))
            answered.add_done_callback(lambda _: said.append("answered"))
            await answered
        await combiner.stop()
    assert said == ["note", "answered"]
