"""What both twins of the bus and of presence do alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from storage.errors import Unavailable
from tests.signalling.nodes.twins import ANN, KAI, LIV, Nodes, becomes


@pytest.fixture(params=["memory", "redis", "spare", "direct"])
def ways(request: pytest.FixtureRequest) -> Nodes:
    """Over Redis alone, with the spare way beside it, which is not needed, and by connections."""
    url = None if request.param == "memory" else request.getfixturevalue("redis_url")
    spare = request.param in ("spare", "direct")
    dsn = request.getfixturevalue("shared_dsn") if spare else None
    return Nodes(url, dsn, direct=request.param == "direct")


@pytest.fixture
async def nodes(ways: Nodes) -> AsyncIterator[Nodes]:
    made = ways
    yield made
    await made.stop()


async def test_parcels_come_in_order_and_name_their_sender(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    for number in range(5_000):
        east.bus.post("west.1", b"%d" % number)
    assert await west.heard.came(5_000) == [b"%d" % number for number in range(5_000)]
    assert {sender for sender, _ in west.heard.parcels} == {"east.1"}
    assert west.heard.gaps == east.heard.gaps == 0


async def test_the_three_ways_to_post_keep_one_order(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    west.presence.arrived(ANN)
    await east.sees(ANN, "west.1")
    for _ in range(100):
        east.bus.post("west.1", b"node")
        east.bus.post_user(ANN, b"user")
        east.bus.post_all(b"all")
    assert await west.heard.came(300) == [b"node", b"user", b"all"] * 100


async def test_large_parcels_come_whole(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    large = [bytes([number]) * 300_000 for number in range(8)]
    for parcel in large:
        east.bus.post("west.1", parcel)
    assert await west.heard.came(8) == large


async def test_any_bytes_are_a_parcel(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    odd = [b"", b"\0", b"\r\n", bytes(range(256))]
    for parcel in odd:
        east.bus.post("west.1", parcel)
    assert await west.heard.came(4) == odd


async def test_nothing_goes_to_the_node_itself(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    west.presence.arrived(ANN)
    await east.sees(ANN, "west.1")
    west.bus.post("west.1", b"me")
    west.bus.post_all(b"all")
    west.bus.post_user(ANN, b"user")
    west.bus.post("east.1", b"last")
    assert await east.heard.came(2) == [b"all", b"last"]
    east.bus.post("west.1", b"answer")
    assert await west.heard.came(1) == [b"answer"]


async def test_a_parcel_to_all_comes_to_every_other_node(nodes: Nodes) -> None:
    west, east, south = await nodes.start("west.1", "east.1", "south.1")
    west.bus.post_all(b"hear")
    assert await east.heard.came(1) == [b"hear"]
    assert await south.heard.came(1) == [b"hear"]


async def test_a_parcel_to_a_user_comes_to_the_nodes_with_sockets_only(nodes: Nodes) -> None:
    west, east, south = await nodes.start("west.1", "east.1", "south.1")
    east.presence.arrived(ANN)
    west.presence.arrived(ANN)
    south.presence.arrived(KAI)
    await west.sees(ANN, "east.1")
    await west.sees(KAI, "south.1")
    west.bus.post_user(ANN, b"ann")
    west.bus.post_user(LIV, b"nobody")
    west.bus.post_user(KAI, b"kai")
    assert await east.heard.came(1) == [b"ann"]
    assert await south.heard.came(1) == [b"kai"]


async def test_the_last_word_about_a_user_counts(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    west.presence.arrived(ANN)
    await east.sees(ANN, "west.1")
    west.presence.left(ANN)
    await east.sees(ANN)
    west.presence.arrived(ANN)
    west.presence.left(ANN)
    west.presence.arrived(ANN)
    await east.sees(ANN, "west.1")


async def test_once_a_user_is_known_to_be_here_the_others_find_them_at_once(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    for number in range(100, 120):
        user_id = UUID(int=number)
        west.presence.arrived(user_id)
        await west.presence.known(user_id)
        assert await east.presence.where([user_id]) == [frozenset({"west.1"})]


async def test_a_session_that_waits_takes_parcels_and_is_not_where_its_user_is(
    nodes: Nodes,
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    west.presence.arrived(ANN)
    await east.sees(ANN, "west.1")
    west.presence.waits(ANN)
    await east.sees(ANN)
    east.bus.post_user(ANN, b"kept")
    assert await west.heard.came(1) == [b"kept"]
    west.presence.arrived(ANN)
    await east.sees(ANN, "west.1")
    west.presence.waits(ANN)
    west.presence.left(ANN)
    await east.sees(ANN)
    east.bus.post_user(ANN, b"lost")
    east.bus.post("west.1", b"last")
    assert await west.heard.came(2) == [b"kept", b"last"]


async def test_where_answers_for_many_users_in_their_order(nodes: Nodes) -> None:
    west, east, south = await nodes.start("west.1", "east.1", "south.1")
    users = [uuid4() for _ in range(2_500)]
    for number, user_id in enumerate(users):
        if number % 2:
            east.presence.arrived(user_id)
        if number % 3 == 0:
            south.presence.arrived(user_id)
        west.presence.arrived(user_id)
    await west.sees(users[2_499], "east.1", "south.1")
    await west.sees(users[2_496], "south.1")
    found = await west.presence.where(users)
    assert len(found) == len(users)
    for number, on in enumerate(found):
        assert ("east.1" in on) == bool(number % 2)
        assert ("south.1" in on) == (number % 3 == 0)
        assert "west.1" not in on
    assert await west.presence.where([]) == []
    assert await west.presence.where([ANN, users[1], ANN]) == [
        frozenset(),
        frozenset({"east.1"}),
        frozenset(),
    ]


async def test_a_node_is_told_of_those_there_before_it_and_of_those_after_it(nodes: Nodes) -> None:
    (west,) = await nodes.start("west.1")
    assert west.heard.nodes == []
    assert west.bus.peers() == frozenset()
    east = nodes.make("east.1")
    await east.bus.start()
    assert east.heard.nodes == [("joined", "west.1")]
    assert east.bus.peers() == frozenset({"west.1"})
    await west.heard.has_joined("east.1")
    assert west.heard.nodes == [("joined", "east.1")]
    assert west.bus.peers() == frozenset({"east.1"})
    assert west.bus.healthy
    assert not west.bus.alone


async def test_a_node_that_stops_has_left_with_its_users(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    east.presence.arrived(ANN)
    await west.sees(ANN, "east.1")
    await east.bus.stop()
    await west.heard.has_left("east.1")
    assert west.bus.peers() == frozenset()
    assert west.bus.successors() == ()
    await west.sees(ANN)
    assert west.heard.nodes == [("joined", "east.1"), ("left", "east.1")]


async def test_a_node_that_has_stopped_cannot_say_where_anybody_is(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    await east.bus.stop()
    with pytest.raises(Unavailable):
        await east.presence.where([ANN])
    east.bus.post("west.1", b"too late")
    east.presence.left(ANN)
    assert await west.presence.where([ANN]) == [frozenset()]


async def test_what_was_posted_before_the_good_bye_comes(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    east.bus.post("west.1", b"last")
    await east.bus.stop()
    assert await west.heard.came(1) == [b"last"]


async def test_parcels_to_a_life_that_is_over_do_not_reach_the_next_one(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    east.presence.arrived(ANN)
    await west.sees(ANN, "east.1")
    await east.bus.stop()
    again = nodes.make("east.2")
    await again.bus.start()
    await west.heard.has_joined("east.2")
    west.bus.post("east.1", b"old")
    west.bus.post_user(ANN, b"old")
    west.bus.post("east.2", b"new")
    assert await again.heard.came(1) == [b"new"]
    assert east.heard.parcels == []


async def test_a_draining_node_takes_no_calls_over_but_is_there(nodes: Nodes) -> None:
    west, east, south = await nodes.start("west.1", "east.1", "south.1")
    await becomes(lambda: set(west.bus.successors()) == {"east.1", "south.1"})
    east.bus.drain()
    await becomes(lambda: west.bus.successors() == ("south.1",))
    await becomes(lambda: south.bus.successors() == ("west.1",))
    assert west.bus.peers() == frozenset({"east.1", "south.1"})
    west.bus.post("east.1", b"still here")
    assert await east.heard.came(1) == [b"still here"]
    assert ("left", "east.1") not in west.heard.nodes


async def test_a_parcel_to_a_node_that_never_was_is_lost(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    west.bus.post("north.1", b"lost")
    west.bus.post_user(UUID(int=9), b"lost")
    west.bus.post("east.1", b"next")
    assert await east.heard.came(1) == [b"next"]
