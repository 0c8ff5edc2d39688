"""Nodes that Redis has left alone talk by PostgreSQL: all once and in order, or told as lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from signalling.nodes import notices, redis, spare
from signalling.nodes.frame import PARCEL_BYTES_MAX
from signalling.nodes.line import Server
from signalling.nodes.spare import SpareBus
from storage.errors import Unavailable
from tests.signalling.nodes.twins import ANN, Node, Nodes, becomes, eventually
from tests.valkey import Valkey


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is noticed in a third of the time."""
    for name, value in (("BEAT_S", 0.2), ("BLOCK_S", 0.2), ("UNHEALTHY_S", 0.8)):
        monkeypatch.setattr(redis, name, value)
    for name, value in (("LOOK_S", 0.05), ("HELLO_S", 0.3), ("OPEN_S", 0.3), ("DEAF_S", 1.2)):
        monkeypatch.setattr(spare, name, value)


@pytest.fixture
async def nodes(valkey: Valkey, dsn: str) -> AsyncIterator[Nodes]:
    made = Nodes(valkey.url, dsn)
    yield made
    await made.stop()


def bus(node: Node) -> SpareBus:
    assert isinstance(node.bus, SpareBus)
    return node.bus


async def away(*nodes: Node) -> None:
    """Until all of them use the spare way and know it of each other."""
    others = len(nodes) - 1
    await becomes(lambda: all(len(bus(node)._aware) == others for node in nodes))


async def back(*nodes: Node) -> None:
    """Until all of them use Redis again."""
    await becomes(lambda: all(node.bus.healthy and not bus(node)._open for node in nodes))


async def cut(dsn: str) -> None:
    """Every connection that the nodes have to PostgreSQL."""
    conn = await asyncpg.connect(dsn)
    try:
        await conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'talktime parcels' and datname = current_database()"
        )
    finally:
        await conn.close()


async def redis_at(node: Node, url: str) -> None:
    """Cut the node's connections to Redis; the next ones lead to `url`."""
    for line in bus(node)._bus._lines:
        line._server = Server(url)
        await line.close()


async def test_parcels_go_on_in_both_directions_while_redis_is_frozen(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    for number in range(50):
        east.bus.post("west.1", b"%d" % number)
        west.bus.post("east.1", b"%d" % number)
    await away(west, east)
    assert not west.bus.healthy
    assert west.bus.peers() == frozenset({"east.1"})
    for number in range(50, 100):
        east.bus.post("west.1", b"%d" % number)
        west.bus.post("east.1", b"%d" % number)
    expected = [b"%d" % number for number in range(100)]
    assert await west.heard.came(100) == expected
    assert await east.heard.came(100) == expected
    valkey.thaw()
    await back(west, east)
    east.bus.post("west.1", b"100")
    assert (await west.heard.came(101))[-1] == b"100"
    assert (west.heard.gaps, east.heard.gaps) == (0, 0)
    assert (west.heard.nodes, east.heard.nodes) == ([("joined", "east.1")], [("joined", "west.1")])
    assert bus(west).spare_sent >= 100
    assert bus(west).spare_received >= 100
    assert bus(west).spare_dropped == 0


async def test_a_restart_that_forgets_all_is_no_gap_when_all_spoke_meanwhile(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east, south = await nodes.start("west.1", "east.1", "south.1")
    valkey.kill()
    await away(west, east, south)
    east.bus.post_all(b"all")
    valkey.start()
    east.bus.post("west.1", b"one")
    await back(west, east, south)
    east.bus.post_all(b"again")
    assert await west.heard.came(3) == [b"all", b"one", b"again"]
    assert await south.heard.came(2) == [b"all", b"again"]
    assert [node.heard.gaps for node in (west, east, south)] == [0, 0, 0]


async def test_a_restart_too_quick_to_be_noticed_is_a_gap_as_ever(
    nodes: Nodes, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "UNHEALTHY_S", 15.0)
    west, east = await nodes.start("west.1", "east.1")
    valkey.restart_empty()
    await west.heard.until(lambda: west.heard.gaps == 1)
    await east.heard.until(lambda: east.heard.gaps == 1)
    assert bus(west).spare_sent == 0


async def test_order_is_kept_across_all_changes_of_the_way(nodes: Nodes, valkey: Valkey) -> None:
    west, east = await nodes.start("west.1", "east.1")
    sent = 0

    async def talk() -> None:
        nonlocal sent
        while True:
            for node, other in ((west, "east.1"), (east, "west.1")):
                node.bus.post(other, b"%d" % sent)
            sent += 1
            await asyncio.sleep(0.002)

    talking = asyncio.create_task(talk())
    for stop, go_on in ((valkey.freeze, valkey.thaw), (valkey.kill, valkey.start)) * 2:
        stop()
        await away(west, east)
        go_on()
        await back(west, east)
    talking.cancel()
    await asyncio.wait([talking])
    expected = [b"%d" % number for number in range(sent)]
    assert await west.heard.came(sent) == expected
    assert await east.heard.came(sent) == expected
    assert (west.heard.gaps, east.heard.gaps) == (0, 0)


async def test_large_parcels_are_split_and_come_whole_between_small_ones(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    sizes = (0, 1, 5_735, 5_736, 5_737, 32 << 10, PARCEL_BYTES_MAX)
    sent = [bytes([number]) * size for number, size in enumerate(sizes)]
    for parcel in sent:
        east.bus.post("west.1", parcel)
        east.bus.post("west.1", b"between")
    came = await west.heard.came(2 * len(sent))
    assert came[::2] == sent
    assert set(came[1::2]) == {b"between"}
    assert west.heard.gaps == 0
    valkey.thaw()


async def test_a_parcel_that_is_too_large_is_missed_by_the_receiver(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    east.bus.post("west.1", b"x" * (PARCEL_BYTES_MAX + 1))
    await west.heard.until(lambda: west.heard.gaps == 1)
    assert bus(east).spare_dropped == 1
    valkey.thaw()
    await east.heard.until(lambda: east.heard.gaps == 1)
    await back(west, east)


async def test_more_than_the_queue_holds_is_dropped_counted_and_missed(
    nodes: Nodes, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare, "QUEUE_BYTES", 10_000)
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    for number in range(30):
        east.bus.post("west.1", b"%04d" % number + b"x" * 996)
    await west.heard.until(lambda: west.heard.gaps == 1)
    came = [parcel for _, parcel in west.heard.parcels]
    assert 1 <= len(came) < 30
    assert came == sorted(came)
    assert bus(east).spare_dropped == 30 - len(came)
    valkey.thaw()


async def test_what_is_too_fast_waits(
    nodes: Nodes, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PER_S", 20)
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    for number in range(60):
        east.bus.post("west.1", b"%04d" % number + b"x" * 5_000)
    came = await west.heard.came(60)
    assert [int(parcel[:4]) for parcel in came] == list(range(60))
    valkey.thaw()


async def test_a_spare_way_that_is_never_empty_is_left_all_the_same(
    nodes: Nodes, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PER_S", 5)
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    for _ in range(180):
        east.bus.post("west.1", b"x" * 5_000)
    valkey.thaw()
    await back(west, east)
    east.bus.post("west.1", b"by Redis")
    await west.heard.until(lambda: ("east.1", b"by Redis") in west.heard.parcels)
    await west.heard.until(lambda: west.heard.gaps > 0)


async def test_what_is_for_a_user_goes_to_every_node(nodes: Nodes, valkey: Valkey) -> None:
    west, east, south = await nodes.start("west.1", "east.1", "south.1")
    east.presence.arrived(ANN)
    await west.sees(ANN, "east.1")
    valkey.freeze()
    west.bus.post_user(ANN, b"early")
    await away(west, east, south)
    west.bus.post_user(ANN, b"late")
    assert await east.heard.came(2) == [b"early", b"late"]
    assert await south.heard.came(2) == [b"early", b"late"]
    with pytest.raises(Unavailable):
        await west.presence.where([ANN])
    valkey.thaw()
    await west.sees(ANN, "east.1")


async def test_nothing_goes_to_the_node_itself_or_to_one_that_never_was(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    west.bus.post("west.1", b"me")
    west.bus.post("north.1", b"nobody")
    west.bus.post_all(b"all")
    assert await east.heard.came(1) == [b"all"]
    assert west.heard.parcels == []
    valkey.thaw()


async def test_a_cut_connection_is_made_again_and_what_it_missed_is_told(
    nodes: Nodes, valkey: Valkey, dsn: str
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    for number in range(20):
        east.bus.post("west.1", b"%d" % number)
        if number % 5 == 0:
            await cut(dsn)

    async def arrives() -> bool:
        east.bus.post("west.1", b"last")
        return ("east.1", b"last") in west.heard.parcels

    await eventually(arrives)
    came = [parcel for _, parcel in west.heard.parcels]
    numbers = [int(parcel) for parcel in came if parcel != b"last"]
    assert numbers == sorted(set(numbers))
    if len(numbers) < 20:
        await west.heard.until(lambda: west.heard.gaps > 0)
    valkey.thaw()
    await back(west, east)


async def test_a_connection_that_was_cut_before_it_is_needed_is_there_when_it_is(
    nodes: Nodes, valkey: Valkey, dsn: str
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    await becomes(lambda: bus(west)._notices.connected and bus(east)._notices.connected)
    await cut(dsn)
    valkey.freeze()
    east.bus.post("west.1", b"1")
    assert await west.heard.came(1) == [b"1"]
    assert (west.heard.gaps, east.heard.gaps) == (0, 0)
    valkey.thaw()


async def test_without_both_ways_what_was_posted_is_told_as_lost(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "STALE_S", 0.2)
    monkeypatch.setattr(spare, "STALE_S", 0.2)
    nodes = Nodes(valkey.url, "postgresql://nobody@127.0.0.1:1/nothing")
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await becomes(lambda: bus(east)._away and bus(west)._away)
    east.bus.post("west.1", b"lost")
    valkey.thaw()
    await back(west, east)
    await east.heard.until(lambda: east.heard.gaps == 1)
    east.bus.post("west.1", b"next")
    assert await west.heard.came(1) == [b"next"]
    assert bus(east).spare_dropped == 1
    await nodes.stop()


async def test_a_node_that_redis_does_not_reach_is_still_spoken_to_and_has_not_left(
    nodes: Nodes,
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    await redis_at(east, "unix:///nowhere")
    west.bus.post("east.1", b"1")
    await becomes(lambda: bus(west)._kept == {"east.1"})
    assert west.bus.healthy
    assert not east.bus.healthy
    west.bus.post("east.1", b"2")
    west.bus.post_all(b"3")
    east.bus.post("west.1", b"4")
    assert await east.heard.came(3) == [b"1", b"2", b"3"]
    assert await west.heard.came(1) == [b"4"]
    assert west.bus.peers() == frozenset({"east.1"})
    assert nodes.url is not None
    await redis_at(east, nodes.url)
    await back(west, east)
    west.bus.post("east.1", b"5")
    assert (await east.heard.came(4))[-1] == b"5"
    assert west.heard.nodes == [("joined", "east.1")]
    assert east.heard.nodes == [("joined", "west.1")]
    assert (west.heard.gaps, east.heard.gaps) == (0, 0)


async def test_such_a_node_has_left_when_it_falls_silent(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    await redis_at(east, "unix:///nowhere")
    await becomes(lambda: bus(west)._kept == {"east.1"})
    await east.bus.stop()
    await west.heard.has_left("east.1")
    assert west.bus.peers() == frozenset()


async def test_what_was_posted_last_is_sent_before_the_stop(nodes: Nodes, valkey: Valkey) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    await away(west, east)
    east.bus.post("west.1", b"bye")
    await east.bus.stop()
    assert await west.heard.came(1) == [b"bye"]
    valkey.thaw()


async def test_what_is_not_a_frame_is_dropped(nodes: Nodes, valkey: Valkey, dsn: str) -> None:
    west, east = await nodes.start("west.1", "east.1")
    conn = await asyncpg.connect(dsn)
    await conn.execute("select pg_notify($1, 'rubbish')", bus(east)._links["west.1"].channel)
    await conn.close()
    valkey.freeze()
    await away(west, east)
    east.bus.post("west.1", b"1")
    assert await west.heard.came(1) == [b"1"]
    valkey.thaw()
