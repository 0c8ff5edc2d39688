"""Parcels to those who handle them, questions and answers, and nodes that come and go."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from signalling.codes import Code, Refused
from signalling.nodes import exchange as module
from signalling.nodes import parcels
from signalling.nodes.exchange import Done, Exchange
from signalling.nodes.memory import MemoryBus, Space
from signalling.nodes.parcels import AnyQuestion, Look, Missed, SessionEnded
from storage.errors import Unavailable

CALL, ANN, KAI = UUID(int=1), UUID(int=2), UUID(int=3)
LOOK = Look(CALL, ANN)


class Site:
    def __init__(self, space: Space, name: str) -> None:
        self.bus = MemoryBus(space, name)
        self.exchange = Exchange(self.bus)
        self.heard: list[object] = []
        self.exchange.on_nodes(
            joined=lambda node: self.heard.append(("joined", node)),
            left=lambda node: self.heard.append(("left", node)),
            gap=lambda: self.heard.append("gap"),
        )

    def answer(self, with_: Callable[[AnyQuestion, Done], None]) -> None:
        self.exchange.answer_with(lambda _, question, done: with_(question, done))


@pytest.fixture
async def sites() -> tuple[Site, Site]:
    space = Space()
    west, east = Site(space, "west.1"), Site(space, "east.2")
    await west.bus.start()
    await east.bus.start()
    return west, east


async def rest() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_parcel_goes_to_whoever_handles_its_kind(sites: tuple[Site, Site]) -> None:
    west, east = sites
    got: list[object] = []
    east.exchange.on(Missed, lambda node, given: got.append((node, given)))
    west.exchange.send("east.2", Missed(CALL, (ANN, KAI), 0))
    west.exchange.send("east.2", SessionEnded(CALL))
    await rest()
    assert got == [("west.1", Missed(CALL, (ANN, KAI), 0))]


async def test_what_cannot_be_read_or_fails_harms_nobody(
    sites: tuple[Site, Site], caplog: pytest.LogCaptureFixture
) -> None:
    west, east = sites

    def broken(_: str, __: Missed) -> None:
        raise RuntimeError("broken")

    east.exchange.on(Missed, broken)
    west.bus.post("east.2", b"rubbish")
    west.exchange.send("east.2", Missed(CALL, (ANN, KAI), 0))
    await rest()
    assert "a parcel that cannot be read" in caplog.text
    assert "a parcel failed" in caplog.text


async def test_a_question_is_answered_now_or_later(sites: tuple[Site, Site]) -> None:
    west, east = sites
    asked: list[tuple[AnyQuestion, Done]] = []
    east.answer(lambda question, done: asked.append((question, done)))
    waiting = [asyncio.ensure_future(west.exchange.ask("east.2", LOOK)) for _ in range(2)]
    await rest()
    assert [question for question, _ in asked] == [LOOK, LOOK]
    asked[1][1](b"second")
    asked[0][1](b"first")
    assert await asyncio.gather(*waiting) == [b"first", b"second"]
    assert west.exchange._asked == {}


async def test_the_answer_is_heard_between_what_came_before_and_after(
    sites: tuple[Site, Site],
) -> None:
    west, east = sites
    order: list[object] = []
    west.exchange.on(Missed, lambda _, given: order.append(given.users))

    def answer(_: AnyQuestion, done: Done) -> None:
        east.exchange.send("west.1", Missed(CALL, (ANN, KAI), 0))
        done(b"answer")
        east.exchange.send("west.1", Missed(CALL, (KAI, ANN), 0))

    east.answer(answer)
    await west.exchange.ask("east.2", LOOK, heard=order.append)
    await rest()
    assert order == [(ANN, KAI), b"answer", (KAI, ANN)]


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_refusal_comes_as_it_was_made(sites: tuple[Site, Site], at_once: bool) -> None:
    west, east = sites

    def refuse(_: AnyQuestion, done: Done) -> None:
        refused = Refused(Code.WRONG_STATE, "Not now.", field="call", details={"by": "x"})
        if at_once:
            raise refused
        done(refused)

    east.answer(refuse)
    with pytest.raises(Refused) as caught:
        await west.exchange.ask("east.2", LOOK)
    got = caught.value
    assert (got.code, got.message, got.field) == (Code.WRONG_STATE, "Not now.", "call")
    assert got.details == {"by": "x"}


async def test_a_node_that_answers_nothing_yet_says_so(sites: tuple[Site, Site]) -> None:
    with pytest.raises(Refused) as caught:
        await sites[0].exchange.ask("east.2", LOOK)
    assert caught.value.code is Code.UNAVAILABLE


async def test_no_answer_in_time_is_unavailable_and_a_late_one_is_dropped(
    sites: tuple[Site, Site],
) -> None:
    west, east = sites
    asked: list[Done] = []
    east.answer(lambda _, done: asked.append(done))
    with pytest.raises(Unavailable):
        await west.exchange.ask("east.2", LOOK, timeout_s=0.01)
    asked[0](b"late")
    await rest()
    assert west.exchange._asked == {}


async def test_a_node_that_leaves_answers_nobody(sites: tuple[Site, Site]) -> None:
    west, east = sites
    east.answer(lambda _question, _done: None)
    waiting = asyncio.ensure_future(west.exchange.ask("east.2", LOOK))
    await rest()
    await east.bus.stop()
    with pytest.raises(Unavailable):
        await waiting


async def test_of_too_many_questions_the_last_is_refused(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASKED_MAX", 1)
    west, east = sites
    east.answer(lambda _question, _done: None)
    first = asyncio.ensure_future(west.exchange.ask("east.2", LOOK))
    await rest()
    with pytest.raises(Unavailable):
        await west.exchange.ask("east.2", LOOK)
    first.cancel()


async def test_all_who_want_to_know_hear_of_nodes_and_gaps(sites: tuple[Site, Site]) -> None:
    west, east = sites
    also: list[str] = []
    west.exchange.on_nodes(left=also.append)
    west.bus.listener.gap()
    await east.bus.stop()
    assert west.heard == [("joined", "east.2"), "gap", ("left", "east.2")]
    assert also == ["east.2"]
    assert parcels.decode(parcels.encode(Missed(CALL, (ANN, KAI), 0))) == Missed(
        CALL, (ANN, KAI), 0
    )
