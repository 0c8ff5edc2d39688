"""What a node answers about its calls; most of it is tried from the other side, by request."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from signalling.calls import answering as module
from signalling.codes import Code, Refused
from signalling.events import Final, Snapshot
from signalling.nodes import parcels
from signalling.nodes.parcels import AnyQuestion
from storage.errors import Unavailable
from tests.signalling.cluster import Apart, Cluster

NOTHING = UUID(int=99)


def ask(apart: Apart, question: AnyQuestion) -> list[bytes | Refused]:
    """What was answered at once, and where later answers will be."""
    got: list[bytes | Refused] = []
    apart.west.live.answering.answer(apart.east.bus.address, question, got.append)
    return got


async def test_a_device_that_attaches_is_known_from_then_on(cluster: Cluster, apart: Apart) -> None:
    apart.desk.drop()
    await cluster.quiet()
    await apart.request()
    north = cluster.nodes[2].bus.address
    assert north not in apart.west.fanout.nodes_of(apart.kai.id)
    got: list[bytes | Refused] = []
    question = parcels.Attach(UUID(apart.call), apart.kai.id, "desk")
    apart.west.live.answering.answer(north, question, got.append)
    assert north in apart.west.fanout.nodes_of(apart.kai.id)
    [answer] = got
    assert isinstance(answer, bytes)
    assert msgspec.json.decode(answer, type=Snapshot).you == "ringing"


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (parcels.Attach(NOTHING, NOTHING, "x"), Code.NOT_FOUND),
        (parcels.Look(NOTHING, NOTHING), Code.NOT_FOUND),
        (parcels.Join(NOTHING, NOTHING, None, False, None), Code.NOT_FOUND),
        (parcels.Accept(NOTHING, NOTHING, True, False), Code.NOT_FOUND),
        (parcels.Reject(NOTHING, NOTHING, "busy", None), Code.NOT_FOUND),
        (parcels.Hook(NOTHING, NOTHING, "rtp"), Code.NOT_FOUND),
    ],
)
async def test_of_a_call_that_is_not_here_it_says_so(
    cluster: Cluster, apart: Apart, question: AnyQuestion, code: Code
) -> None:
    with pytest.raises(Refused) as caught:
        ask(apart, question)
    assert caught.value.code is code


async def test_the_end_is_answered_when_the_books_are_closed(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    got = ask(apart, parcels.End(UUID(apart.call), apart.kai.id))
    assert got == []
    await cluster.quiet()
    [answer] = got
    assert isinstance(answer, bytes)
    final = msgspec.json.decode(answer, type=Final)
    assert (final.total, final.settled) == (100, True)


async def test_what_is_refused_later_is_answered_as_well(cluster: Cluster, apart: Apart) -> None:
    got = ask(apart, parcels.Stop(NOTHING, NOTHING))
    got += ask(apart, parcels.End(NOTHING, NOTHING))
    await cluster.until(lambda: not apart.west.live.answering._tasks)
    codes = [one.code for one in got if isinstance(one, Refused)]
    assert codes == [Code.NOT_FOUND]


@pytest.mark.parametrize("fault", [Unavailable("away"), TimeoutError()])
async def test_without_the_books_it_is_to_be_asked_again(
    cluster: Cluster, apart: Apart, fault: Exception
) -> None:
    async def broken(*_: object) -> Final:
        raise fault

    apart.west.actions.end = broken  # type: ignore[method-assign, assignment]
    got = ask(apart, parcels.End(NOTHING, NOTHING))
    await cluster.until(lambda: bool(got))
    [refused] = got
    assert isinstance(refused, Refused)
    assert refused.code is Code.UNAVAILABLE


async def test_too_many_that_wait_are_refused(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TASKS_MAX", 0)
    with pytest.raises(Refused) as caught:
        ask(apart, parcels.End(NOTHING, NOTHING))
    assert caught.value.code is Code.UNAVAILABLE


async def test_who_stops_lets_nothing_wait(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    got = ask(apart, parcels.End(UUID(apart.call), apart.kai.id))
    await apart.west.live.answering.stop()
    assert len(got) == 1
    await asyncio.sleep(0)
    assert apart.west.live.answering._tasks == set()
