"""Where a call is run, for a node that does not run it."""

import asyncio
from uuid import UUID

import pytest

from signalling.calls import finder as module
from signalling.nodes.parcels import Owns
from storage.errors import Unavailable
from tests.signalling.cluster import Apart, Cluster

NOTHING = UUID(int=99)


async def test_a_call_is_found_from_every_node(cluster: Cluster, apart: Apart) -> None:
    await apart.request()
    for node in cluster.nodes:
        assert await node.live.finder.find(UUID(apart.call)) == apart.west.bus.address
        found = await node.live.finder.of_user(apart.kai.id)
        assert found == (UUID(apart.call), apart.west.bus.address)
        assert await node.live.finder.find(NOTHING) is None
        assert await node.live.finder.of_user(NOTHING) is None


async def test_what_is_only_asked_after_is_not_remembered(cluster: Cluster, apart: Apart) -> None:
    apart.desk.drop()
    await apart.request()
    live = cluster.nodes[2].live
    await live.finder.find(UUID(apart.call))
    await live.finder.of_user(apart.ann.id)
    assert live.guests.all() == []
    await live.finder.of_user(apart.ann.id, remember=True)
    assert [guest.call_id for guest in live.guests.all()] == [UUID(apart.call)]


async def test_a_call_of_a_dead_node_is_taken_over_by_who_looks(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await cluster.kill(apart.west)
    north = cluster.nodes[1]
    assert await north.live.finder.find(UUID(apart.call)) == north.bus.address
    assert cluster.owners(apart.call) == ["north"]


async def test_a_node_that_is_cut_off_but_lives_is_unavailable(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIND_S", 0.2)
    await apart.connect()
    cluster.space.leave(apart.west.bus.address)
    with pytest.raises(Unavailable):
        await apart.east.live.finder.find(UUID(apart.call))
    assert await cluster.owned_by(apart.call) == "west"


async def test_two_who_look_at_once_find_the_same(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    await cluster.kill(apart.west)
    east, north = cluster.nodes
    found = await asyncio.gather(
        *[node.live.finder.find(UUID(apart.call)) for node in (east, north, east, north)]
    )
    assert len(set(found)) == 1
    assert len(cluster.owners(apart.call)) == 1


async def test_who_gives_up_looking_does_not_lose_the_call(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    await cluster.kill(apart.west)
    east = cluster.nodes[0]
    adopt = east.live.adopter._claims.adopt
    began = asyncio.Event()

    async def slowly(call_ids: list[UUID]) -> object:
        began.set()
        orphans = await adopt(call_ids)
        await asyncio.sleep(0.01)
        return orphans

    east.live.adopter._claims.adopt = slowly  # type: ignore[method-assign, assignment]
    looking = asyncio.ensure_future(east.live.finder.find(UUID(apart.call)))
    await began.wait()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await cluster.until(lambda: cluster.owners(apart.call) == ["east"])


async def test_a_node_that_does_not_run_a_call_any_more_is_forgotten(cluster: Cluster) -> None:
    live = cluster.nodes[0].live
    live.guests.learn("east.2", Owns(NOTHING, (UUID(int=1), UUID(int=2)), 1))
    live.finder.wrong(NOTHING, "north.3")
    assert len(live.guests) == 1
    live.finder.wrong(NOTHING, "east.2")
    live.finder.wrong(NOTHING, "east.2")
    assert len(live.guests) == 0
