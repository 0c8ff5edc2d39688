"""Leaving calls to other nodes: written down when the books are done, given out evenly, and not
waited for too long. What parties see of it is tested in `test_node_handover`."""

import asyncio

import pytest

from signalling.calls import handover as module
from signalling.calls.handover import until_not
from signalling.core import revival
from signalling.nodes.parcels import Handed
from storage import works
from tests.signalling.cluster import Apart, Cluster
from tests.signalling.handsets import Handset


def handed(cluster: Cluster) -> list[tuple[str, int]]:
    return [
        (node.split(".")[0], len(given.calls))
        for _, node, given in cluster.space.sent
        if isinstance(given, Handed)
    ]


async def calls(cluster: Cluster, count: int) -> list[Handset]:
    """Callers on the first node, whose callees are on the second."""
    callers = []
    for number in range(count):
        ann = await cluster.nodes[0].person("Ann", funds=500)
        kai = await cluster.nodes[0].provider("Kai")
        await cluster.nodes[1].handset(kai, "tab")
        caller = await cluster.nodes[0].handset(ann, f"phone{number}")
        await caller.ok("call_request", toUserId=str(kai.id))
        callers.append(caller)
    await cluster.quiet()
    return callers


async def test_a_node_without_calls_leaves_none(cluster: Cluster) -> None:
    assert await cluster.drain(cluster.nodes[0]) == 0
    assert handed(cluster) == []


async def test_calls_are_given_to_all_successors(cluster: Cluster) -> None:
    await calls(cluster, 5)
    assert await cluster.drain(cluster.nodes[0]) == 5
    assert sorted(handed(cluster)) == [("east", 3), ("north", 2)]
    assert [len(node.registry) for node in cluster.nodes] == [0, 3, 2]


async def test_a_parcel_names_only_so_many(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PARCEL_MAX", 1)
    await calls(cluster, 3)
    await cluster.drain(cluster.nodes[0])
    assert sorted(handed(cluster)) == [("east", 1), ("east", 1), ("north", 1)]


async def test_those_that_drain_themselves_get_none(cluster: Cluster) -> None:
    await calls(cluster, 2)
    cluster.nodes[1].bus.drain()
    await cluster.drain(cluster.nodes[0])
    assert [len(node.registry) for node in cluster.nodes] == [0, 0, 2]


async def test_what_is_written_is_the_whole_state(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    written: list[works.HandOver] = []
    put = apart.west.combiner.put

    def seen(work: works.Work, done: object) -> None:
        if isinstance(work, works.HandOver) and work.state:
            written.append(work)
        put(work, done)  # type: ignore[arg-type]

    apart.west.combiner.put = seen  # type: ignore[method-assign]
    call = apart.host.call
    await cluster.drain(apart.west)
    [work] = written
    assert (str(work.call_id), work.now_ms) == (apart.call, cluster.time())
    assert revival.decode(work.state, 0) == call


async def test_books_that_are_never_done_are_not_waited_for(
    cluster: Cluster,
    apart: Apart,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "WRITE_S", 0.05)
    await apart.connect()
    monkeypatch.setattr(apart.west.combiner, "is_busy", lambda _call_id: True)
    host = apart.host
    assert await cluster.drain(apart.west) == 0
    assert "a call could not be handed over" in caplog.text
    assert (handed(cluster), apart.west.registry.hosts()) == ([], [])
    assert host._lost, "it does nothing any more; its row is found when this node has left"
    monkeypatch.undo()


async def test_a_successor_that_takes_nothing_is_not_waited_for(
    cluster: Cluster,
    apart: Apart,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "TAKEN_S", 0.05)
    await apart.connect()
    cluster.space.lose = lambda given: isinstance(given, Handed)
    assert await cluster.drain(apart.west) == 1
    assert "not all calls were taken over in time" in caplog.text
    await cluster.pool.execute("update call_handover set at = at - interval '3 s'")
    await cluster.sweep(cluster.nodes[2])
    assert cluster.owners(apart.call) == ["north"]
    assert apart.state.state == "connected"


async def test_waiting_ends_as_soon_as_it_is_not_so_any_more() -> None:
    answers = [True, True, False]
    async with asyncio.timeout(10):
        await until_not(lambda: answers.pop(0))
    assert answers == []
