"""Nodes with connections of their own: all parcels once and in order, whatever becomes of these."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest

from signalling.nodes import direct
from signalling.nodes.cable import Cable
from signalling.nodes.direct import DirectBus
from signalling.nodes.doors import Doors, Hello
from signalling.nodes.memory import MemoryBus, MemoryPresence, Space
from signalling.nodes.outgoing import BATCH_BYTES_MAX, PARCELS_MAX
from tests.signalling.nodes.twins import ANN, Node, Nodes, becomes
from tests.valkey import Valkey


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("BEAT_S", 0.05), ("RETRY_MIN_S", 0.01), ("MARK_S", 0.3)):
        monkeypatch.setattr(direct, name, value)


class Slow(Space):
    """Parcels are late, each pair's in order; those that `lose` chooses never come."""

    def __init__(self) -> None:
        super().__init__()
        self.dice = random.Random(11)
        self.carried = 0
        self.lose: Callable[[bytes], bool] = lambda _: False
        self._under_way: dict[tuple[str, str], deque[bytes]] = {}

    def carry(self, sender: str, node: str, parcel: bytes) -> None:
        self.carried += 1
        if self.lose(parcel):
            return
        queue = self._under_way.setdefault((sender, node), deque())
        queue.append(parcel)

        def next_one() -> None:
            self.arrive(sender, node, queue.popleft())

        asyncio.get_running_loop().call_later(self.dice.random() * 0.01, next_one)


class Pairs:
    """Nodes with connections, above a space of memory."""

    def __init__(self) -> None:
        self.space = Slow()
        self.here: dict[str, set[UUID]] = {}
        self._made: list[Node] = []

    async def start(self, *addresses: str) -> list[Node]:
        nodes = [self.make(address) for address in addresses]
        for node in nodes:
            await node.bus.start()
        await self.connected(*nodes)
        return nodes

    def make(self, address: str) -> Node:
        users = self.here.setdefault(address, set())
        bus = DirectBus(MemoryBus(self.space, address), Doors(address), users.__contains__)
        node = Node(bus, MemoryPresence(self.space, address))
        self._made.append(node)
        return node

    async def connected(self, *nodes: Node) -> None:
        await becomes(lambda: all(bus(node).connections == len(nodes) - 1 for node in nodes))

    async def stop(self) -> None:
        for node in self._made:
            await node.bus.stop()


@pytest.fixture
async def pairs() -> AsyncIterator[Pairs]:
    made = Pairs()
    yield made
    await made.stop()


def bus(node: Node) -> DirectBus:
    assert isinstance(node.bus, DirectBus)
    return node.bus


def cable(node: Node, other: str) -> Cable:
    return bus(node)._cables[other]


def cut(node: Node, other: str) -> None:
    """The connection, as the network would."""
    cable(node, other)._transport.abort()


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_parcels_between_connected_nodes_go_by_no_other_way(pairs: Pairs) -> None:
    west, east = await pairs.start("west.1", "east.1")
    before = pairs.space.carried
    for parcel in numbers(500):
        west.bus.post("east.1", parcel)
        east.bus.post("west.1", parcel)
    assert await west.heard.came(500) == numbers(500)
    assert await east.heard.came(500) == numbers(500)
    assert pairs.space.carried == before
    assert bus(west).parcels_sent == bus(west).parcels_received == 500


async def test_what_is_sent_while_they_connect_comes_once_and_in_order(pairs: Pairs) -> None:
    west, east = pairs.make("west.1"), pairs.make("east.1")
    await west.bus.start()
    await east.bus.start()
    sent = 0
    while bus(west).connections == 0 or sent < 300:
        west.bus.post("east.1", b"%d" % sent)
        sent += 1
        await asyncio.sleep(0)
    for _ in range(300):
        west.bus.post("east.1", b"%d" % sent)
        sent += 1
    assert await east.heard.came(sent) == numbers(sent)


async def test_connections_may_be_cut_at_any_moment(pairs: Pairs) -> None:
    west, east = await pairs.start("west.1", "east.1")
    dice = random.Random(5)
    sent = cuts = 0
    while cuts < 40:
        for _ in range(dice.randint(1, 200)):
            west.bus.post("east.1", b"%d" % sent)
            east.bus.post("west.1", b"%d" % sent)
            sent += 1
        for node, other in ((west, "east.1"), (east, "west.1")):
            if other in bus(node)._cables and dice.random() < 0.4:
                cut(node, other)
                cuts += 1
        for _ in range(dice.randint(0, 20)):
            await asyncio.sleep(dice.choice((0, 0, 0.001)))
    assert await east.heard.came(sent) == numbers(sent)
    assert await west.heard.came(sent) == numbers(sent)


async def test_the_three_ways_to_post_keep_one_order_through_cuts(pairs: Pairs) -> None:
    west, east, south = await pairs.start("west.1", "east.1", "south.1")
    for node in (east, south):
        pairs.here[node.bus.address].add(ANN)
        node.presence.arrived(ANN)
    dice = random.Random(7)
    sent = 0
    for _ in range(60):
        for _ in range(dice.randint(1, 30)):
            kind = dice.randrange(3)
            if kind == 0:
                west.bus.post("east.1", b"%d" % sent)
                west.bus.post("south.1", b"%d" % sent)
            elif kind == 1:
                west.bus.post_user(ANN, b"%d" % sent)
            else:
                west.bus.post_all(b"%d" % sent)
            sent += 1
        for other in ("east.1", "south.1"):
            if other in bus(west)._cables and dice.random() < 0.3:
                cut(west, other)
        await asyncio.sleep(dice.choice((0, 0.001, 0.01)))
    assert await east.heard.came(sent) == numbers(sent)
    assert await south.heard.came(sent) == numbers(sent)


async def test_a_node_without_a_connection_hears_what_is_for_all(pairs: Pairs) -> None:
    west, east = await pairs.start("west.1", "east.1")
    south = pairs.make("south.1")
    bus(south)._doors.admits = lambda _: False
    bus(south)._hello = Hello("\0nowhere", "", 0, b"")
    await south.bus.start()
    for node in (west, east):
        await node.heard.has_joined("south.1")
    bus(west)._peers["south.1"].hello = None
    south.presence.arrived(ANN)
    pairs.here["south.1"].add(ANN)
    for _ in range(50):
        west.bus.post_all(b"all")
        west.bus.post_user(ANN, b"ann")
        west.bus.post("south.1", b"node")
    assert await south.heard.came(150) == [b"all", b"ann", b"node"] * 50
    assert await east.heard.came(50) == [b"all"] * 50


async def test_a_user_is_looked_for_by_the_nodes_themselves(pairs: Pairs) -> None:
    west, east, south = await pairs.start("west.1", "east.1", "south.1")
    pairs.here["east.1"].add(ANN)  # Nobody else has heard of it yet.
    west.bus.post_user(ANN, b"ann")
    west.bus.post_all(b"last")
    assert await east.heard.came(2) == [b"ann", b"last"]
    assert await south.heard.came(1) == [b"last"]


async def test_a_connection_whose_mark_is_lost_is_given_up_and_made_anew(pairs: Pairs) -> None:
    west, east = pairs.make("west.1"), pairs.make("east.1")
    marks = 0

    def lose(parcel: bytes) -> bool:
        nonlocal marks
        is_mark = parcel[4] == direct.MARK
        marks += is_mark
        return is_mark and marks <= 2

    pairs.space.lose = lose
    await west.bus.start()
    await east.bus.start()
    await becomes(lambda: bus(west).connections == 1)
    for parcel in numbers(100):
        west.bus.post("east.1", parcel)
    assert await east.heard.came(100) == numbers(100)
    await becomes(lambda: marks >= 4 and bus(west).connections == 1)


async def test_a_node_that_gives_no_sign_of_life_is_left_to_the_other_way(
    pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    west, east = await pairs.start("west.1", "east.1")
    old = cable(west, "east.1")
    monkeypatch.setattr(cable(east, "west.1"), "beat", lambda: None)
    monkeypatch.setattr(direct, "LATE_S", 60.0)
    monkeypatch.setattr("signalling.nodes.cable.SILENCE_S", 0.2)
    west.bus.post("east.1", b"one")
    await becomes(lambda: bus(west)._cables.get("east.1") is not old)
    west.bus.post("east.1", b"two")
    assert await east.heard.came(2) == [b"one", b"two"]


async def test_a_node_that_was_late_itself_judges_nobody(
    pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    west, _ = await pairs.start("west.1", "east.1")
    old = cable(west, "east.1")
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    monkeypatch.setattr(old, "beat", beat)
    monkeypatch.setattr(old, "silent", lambda _: True)
    monkeypatch.setattr(direct, "LATE_S", -1.0)  # Every beat is a late one.
    await becomes(lambda: beats > 3)
    assert cable(west, "east.1") is old


async def test_what_a_node_cannot_take_in_time_goes_by_the_other_way(pairs: Pairs) -> None:
    west, east = await pairs.start("west.1", "east.1")
    old = cable(west, "east.1")
    cable(east, "west.1").hold()
    count = PARCELS_MAX + 10
    for number in range(count):
        west.bus.post("east.1", b"%d" % number)
    assert bus(west)._cables.get("east.1") is not old
    assert await east.heard.came(count) == numbers(count)


async def test_a_parcel_too_large_for_a_connection_is_the_other_bus_s_business(
    pairs: Pairs,
) -> None:
    west, east = await pairs.start("west.1", "east.1")
    large = bytes(BATCH_BYTES_MAX + 1)
    west.bus.post("east.1", large)
    west.bus.post_all(large)
    heard = await east.heard.came(2)
    assert [len(parcel) for parcel in heard] == [len(large)] * 2


async def test_who_stops_sends_what_is_under_way_before_it_says_good_bye(pairs: Pairs) -> None:
    west, east = await pairs.start("west.1", "east.1")
    for parcel in numbers(2_000):
        west.bus.post("east.1", parcel)
    await west.bus.stop()
    await east.heard.has_left("west.1")
    assert await east.heard.came(2_000) == numbers(2_000)
    assert bus(east).connections == 0


async def test_the_next_life_of_a_node_gets_a_connection_of_its_own(pairs: Pairs) -> None:
    west, east = await pairs.start("west.1", "east.1")
    await east.bus.stop()
    await west.heard.has_left("east.1")
    assert bus(west).connections == 0
    (again,) = [pairs.make("east.2")]
    await again.bus.start()
    await pairs.connected(west, again)
    west.bus.post("east.1", b"to nobody")
    west.bus.post("east.2", b"hello")
    assert await again.heard.came(1) == [b"hello"]


async def test_a_node_that_was_taken_for_gone_is_connected_again_when_it_is_back(
    pairs: Pairs,
) -> None:
    west, east = await pairs.start("west.1", "east.1")
    west.bus.post("east.1", b"before")
    assert await east.heard.came(1) == [b"before"]
    bus(west).left("east.1")
    await becomes(lambda: bus(east).connections == 0)
    west.bus.post("east.1", b"between")
    bus(west).joined("east.1")
    bus(east).left("west.1")
    bus(east).joined("west.1")
    await pairs.connected(west, east)
    west.bus.post("east.1", b"after")
    assert await east.heard.came(3) == [b"before", b"between", b"after"]


async def test_a_listener_that_raises_costs_no_other_parcel(pairs: Pairs) -> None:
    west, east = await pairs.start("west.1", "east.1")
    hear = east.heard.parcel

    def raising(sender: str, parcel: bytes) -> None:
        hear(sender, parcel)
        raise RuntimeError(parcel)

    east.heard.parcel = raising  # type: ignore[method-assign]
    for parcel in numbers(10):
        west.bus.post("east.1", parcel)
    assert await east.heard.came(10) == numbers(10)


async def test_a_frozen_redis_does_not_stop_parcels(valkey: Valkey, dsn: str) -> None:
    nodes = Nodes(valkey.url, dsn, direct=True)
    try:
        west, east = await nodes.start("west.1", "east.1")
        valkey.freeze()
        for parcel in numbers(200):
            east.bus.post("west.1", parcel)
            east.bus.post_all(parcel)
        assert len(await west.heard.came(400)) == 400
        valkey.thaw()
    finally:
        valkey.thaw()
        await nodes.stop()
