"""What Redis can do to its twins: die, freeze, forget, cut the line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from server.embedded_valkey import EmbeddedValkey
from signalling.nodes import redis
from signalling.nodes.bus import Misconfigured
from signalling.nodes.line import DEADLINE_S, Line, Server
from signalling.nodes.outgoing import PARCELS_MAX
from signalling.nodes.redis import RedisBus
from storage.errors import Unavailable
from tests.signalling.nodes.twins import ANN, KAI, Node, Nodes, becomes
from tests.valkey import Valkey


@pytest.fixture
async def nodes(valkey: Valkey) -> AsyncIterator[Nodes]:
    made = Nodes(valkey.url)
    yield made
    await made.stop()


def bus(node: Node) -> RedisBus:
    assert isinstance(node.bus, RedisBus)
    return node.bus


async def redis_says(nodes: Nodes, *command: object) -> object:
    assert nodes.url is not None
    line = Line(Server(nodes.url))
    try:
        return await line.call(*command)
    finally:
        await line.close()


async def freeze(valkey: Valkey, *nodes: Node) -> None:
    """Until all of them have noticed."""
    valkey.freeze()
    await becomes(lambda: not any(node.bus.healthy for node in nodes))


async def die(node: Node) -> None:
    """Without a word to anybody."""
    for task in bus(node)._tasks:
        task.cancel()
    await asyncio.wait(bus(node)._tasks)
    for line in bus(node)._lines:
        await line.close()


async def connect(node: Node, url: str) -> None:
    """Cut the node's connections; the next ones lead to `url`."""
    for line in bus(node)._lines:
        line._server = Server(url)
        await line.close()


async def unavailable(node: Node) -> float:
    """Ask where somebody is, in vain; returns how long that took, in seconds."""
    started = monotonic()
    with pytest.raises(Unavailable):
        await node.presence.where([ANN])
    return monotonic() - started


async def test_a_restart_that_forgets_all_is_one_gap_and_users_are_announced_again(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    users = [uuid4() for _ in range(2_500)]
    for user_id in users:
        east.presence.arrived(user_id)
    await west.sees(users[-1], "east.1")
    valkey.restart_empty()
    await west.heard.until(lambda: west.heard.gaps == 1)
    await east.heard.until(lambda: east.heard.gaps == 1)
    for user_id in users[::100]:
        await west.sees(user_id, "east.1")
    east.bus.post("west.1", b"again")
    assert await west.heard.came(1) == [b"again"]
    assert west.heard.nodes == [("joined", "east.1")]
    assert east.heard.nodes == [("joined", "west.1")]
    assert (west.heard.gaps, east.heard.gaps) == (1, 1)
    assert bus(west).gaps == 1


async def test_a_frozen_redis_loses_nothing_that_is_not_too_old(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    for number in range(1_000):
        east.bus.post("west.1", b"%d" % number)
    await becomes(lambda: not west.bus.healthy)
    east.bus.post("west.1", b"1000")
    valkey.thaw()
    assert await west.heard.came(1_001) == [b"%d" % number for number in range(1_001)]
    await becomes(lambda: west.bus.healthy and east.bus.healthy)
    assert west.heard.nodes == [("joined", "east.1")]
    assert (west.heard.gaps, east.heard.gaps) == (0, 0)
    assert bus(east).parcels_dropped == 0


async def test_parcels_that_waited_too_long_are_dropped_and_make_a_gap(
    nodes: Nodes, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "STALE_S", 0.2)
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    east.bus.post("west.1", b"old")
    east.presence.arrived(ANN)
    await becomes(lambda: not east.bus.healthy)
    valkey.thaw()
    await east.heard.until(lambda: east.heard.gaps == 1)
    east.bus.post("west.1", b"new")
    assert (await west.heard.came(1))[-1] == b"new"
    await west.sees(ANN, "east.1")
    assert bus(east).parcels_dropped == 1
    assert east.heard.gaps == 1


async def test_nobody_has_left_because_redis_was_away(
    nodes: Nodes, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "SILENCE_S", 0.5)
    monkeypatch.setattr(redis, "BEAT_S", 0.1)
    west, east = await nodes.start("west.1", "east.1")
    await freeze(valkey, west, east)
    assert west.bus.peers() == frozenset({"east.1"})
    valkey.thaw()
    await becomes(lambda: west.bus.healthy and east.bus.healthy)
    east.bus.post("west.1", b"here")
    await west.heard.came(1)
    assert west.heard.nodes == [("joined", "east.1")]


async def test_a_node_that_died_meanwhile_is_reported_after_the_return(
    nodes: Nodes, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "SILENCE_S", 0.5)
    monkeypatch.setattr(redis, "BEAT_S", 0.1)
    west, east = await nodes.start("west.1", "east.1")
    valkey.kill()
    await becomes(lambda: not west.bus.healthy)
    await die(east)
    assert west.heard.nodes == [("joined", "east.1")]
    valkey.start()
    await west.heard.has_left("east.1")
    assert west.bus.peers() == frozenset()


async def test_a_silent_node_has_left_and_its_users_with_it(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "SILENCE_S", 0.5)
    monkeypatch.setattr(redis, "BEAT_S", 0.1)
    west, east = await nodes.start("west.1", "east.1")
    east.presence.arrived(ANN)
    await west.sees(ANN, "east.1")
    await die(east)
    await west.heard.has_left("east.1")
    await west.sees(ANN)
    keys = await redis_says(nodes, "KEYS", f"{nodes.prefix}*")
    assert isinstance(keys, list)
    assert not [key for key in keys if b"east" in key or str(ANN).encode() in key]


async def test_a_node_that_was_cut_off_comes_back_with_its_users(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "SILENCE_S", 0.5)
    monkeypatch.setattr(redis, "BEAT_S", 0.1)
    west, east = await nodes.start("west.1", "east.1")
    east.presence.arrived(ANN)
    await west.sees(ANN, "east.1")
    assert nodes.url is not None
    await connect(east, "unix:///nowhere")
    await west.heard.has_left("east.1")
    east.presence.arrived(KAI)
    west.bus.post("east.1", b"lost")
    await becomes(lambda: not east.bus.healthy)
    await connect(east, nodes.url)
    await east.heard.until(lambda: east.heard.gaps == 1)
    await west.heard.until(lambda: west.heard.nodes[-1] == ("joined", "east.1"))
    await west.sees(ANN, "east.1")
    await west.sees(KAI, "east.1")
    west.bus.post("east.1", b"found")
    assert await east.heard.came(1) == [b"found"]
    assert east.heard.nodes == [("joined", "west.1")]


async def test_what_comes_soon_after_a_batch_goes_in_one(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    monkeypatch.setattr(redis, "BATCH_GAP_S", 1.0)
    box = f"{nodes.prefix}tt:node:west.1"
    east.bus.post("west.1", b"0")
    await west.heard.came(1)
    before = await redis_says(nodes, "XLEN", box)
    assert isinstance(before, int)
    for number in range(1, 6):
        east.bus.post("west.1", b"%d" % number)
        await asyncio.sleep(0)
    assert await west.heard.came(6) == [b"%d" % number for number in range(6)]
    assert await redis_says(nodes, "XLEN", box) == before + 1


async def test_killed_connections_cost_nothing(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    for number in range(2_000):
        east.bus.post("west.1", b"%d" % number)
        if number % 500 == 0:
            await redis_says(nodes, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert await west.presence.where([ANN]) == [frozenset()]
    assert await west.heard.came(2_000) == [b"%d" % number for number in range(2_000)]
    assert (west.heard.gaps, east.heard.gaps) == (0, 0)
    assert west.heard.nodes == [("joined", "east.1")]


async def test_forgotten_scripts_are_sent_again(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    await redis_says(nodes, "SCRIPT", "FLUSH")
    east.presence.arrived(ANN)
    east.bus.post("west.1", b"1")
    assert await west.heard.came(1) == [b"1"]
    await west.sees(ANN, "east.1")
    assert (west.heard.gaps, east.heard.gaps) == (0, 0)


async def test_a_mailbox_that_was_deleted_is_made_again_with_a_gap(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    east.bus.post("west.1", b"1")
    await west.heard.came(1)
    await redis_says(nodes, "FLUSHALL")
    await west.heard.until(lambda: west.heard.gaps == 1)
    await east.heard.until(lambda: east.heard.gaps == 1)
    east.bus.post("west.1", b"2")
    assert await west.heard.came(2) == [b"1", b"2"]


async def test_mailboxes_of_another_run_of_redis_are_not_trusted(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    west.presence.arrived(ANN)
    await east.sees(ANN, "west.1")
    await redis_says(nodes, "SET", f"{nodes.prefix}tt:run", "before")
    await west.heard.until(lambda: west.heard.gaps == 1)
    await east.heard.until(lambda: east.heard.gaps == 1)
    await east.sees(ANN, "west.1")
    east.bus.post("west.1", b"1")
    assert await west.heard.came(1) == [b"1"]
    assert west.heard.nodes == [("joined", "east.1")]


async def test_a_mailbox_that_was_cut_before_it_was_read_makes_a_gap(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    box = f"{nodes.prefix}tt:node:west.1"
    trimmed = "redis.call('XADD', KEYS[1], ARGV[1] .. '-*', 's', 'east.1', 'p', 'lost')"
    trimmed += " return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)"
    numbers = await redis_says(nodes, "HGET", f"{nodes.prefix}tt:boxes", "west.1")
    await redis_says(nodes, "EVAL", trimmed, 1, box, numbers)
    east.bus.post("west.1", b"next")
    assert await west.heard.came(1) == [b"next"]
    await west.heard.until(lambda: west.heard.gaps == 1)


async def test_more_than_fits_is_dropped_from_the_oldest_and_makes_a_gap(
    nodes: Nodes, valkey: Valkey
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    for number in range(PARCELS_MAX + 5):
        east.bus.post("west.1", b"%d" % number)
    valkey.thaw()
    await west.heard.until(lambda: len(west.heard.parcels) >= PARCELS_MAX)
    assert west.heard.parcels[-1] == ("east.1", b"%d" % (PARCELS_MAX + 4))
    await east.heard.until(lambda: east.heard.gaps == 1)
    assert bus(east).parcels_dropped == 5


async def test_nobody_waits_long_for_a_frozen_redis(nodes: Nodes, valkey: Valkey) -> None:
    (west,) = await nodes.start("west.1")
    await west.sees(ANN)
    valkey.freeze()
    waits = await asyncio.gather(*(unavailable(west) for _ in range(20)))
    assert max(waits) < 2 * DEADLINE_S
    await becomes(lambda: not west.bus.healthy)
    assert await unavailable(west) < DEADLINE_S
    valkey.thaw()
    await becomes(lambda: west.bus.healthy)
    await west.sees(ANN)


async def test_a_node_starts_without_redis_and_finds_it_later(nodes: Nodes, valkey: Valkey) -> None:
    valkey.kill()
    west = nodes.make("west.1")
    await west.bus.start()
    assert not west.bus.healthy
    west.presence.arrived(ANN)
    valkey.start()
    await becomes(lambda: west.bus.healthy)
    (east,) = await nodes.start("east.1")
    await east.sees(ANN, "west.1")


async def test_a_wrong_password_is_said_at_the_start_and_is_not_in_the_text() -> None:
    server = EmbeddedValkey(password="right-password")
    server.start()
    try:
        for url in (
            server.url.replace("right", "wrong"),
            server.url.replace(":right-password@", ""),
        ):
            node = Nodes(url).make("west.1")
            with pytest.raises(Misconfigured, match="REDIS_URL") as refused:
                await node.bus.start()
            assert "password@" not in str(refused.value)
            assert "wrong-password" not in str(refused.value)
        good = Nodes(server.url)
        await good.start("west.1", "east.1")
        await good.stop()
    finally:
        server.stop()


async def test_one_warning_tells_of_an_outage_and_no_password(valkey: Valkey) -> None:
    nodes = Nodes("redis://:hush@127.0.0.1:1/0")
    with capture_logs() as lines:
        west = nodes.make("west.1")
        await west.bus.start()
        west.bus.post_all(b"secret parcel")
        await becomes(lambda: bus(west).beats_failed > 3)
        await nodes.stop()
    assert [line["event"] for line in lines] == ["redis_unreachable"]
    assert lines[0]["redis"] == "127.0.0.1:1"
    assert "hush" not in str(lines)
    assert "secret" not in str(lines)


async def test_deployments_with_other_prefixes_do_not_meet(valkey: Valkey) -> None:
    ours, theirs = Nodes(valkey.url), Nodes(valkey.url)
    try:
        (west,) = await ours.start("west.1")
        (east,) = await theirs.start("east.1")
        east.presence.arrived(ANN)
        east.bus.post("west.1", b"stray")
        east.bus.post_all(b"stray")
        (south,) = await ours.start("south.1")
        south.bus.post("west.1", b"ours")
        assert await west.heard.came(1) == [b"ours"]
        assert await west.presence.where([ANN]) == [frozenset()]
    finally:
        await ours.stop()
        await theirs.stop()


async def test_nothing_is_left_in_redis_by_nodes_that_stopped(nodes: Nodes) -> None:
    west, east = await nodes.start("west.1", "east.1")
    for number in range(1_500):
        west.presence.arrived(UUID(int=number))
    await east.sees(UUID(int=1_499), "west.1")
    west.bus.drain()
    await nodes.stop()
    keys = await redis_says(nodes, "KEYS", f"{nodes.prefix}*")
    assert isinstance(keys, list)
    assert {key.removeprefix(nodes.prefix.encode()) for key in keys} <= {b"tt:beat", b"tt:run"}


async def test_a_listener_that_raises_does_not_end_the_bus(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    west, east = await nodes.start("west.1", "east.1")
    take = west.heard.parcel

    def stumble(sender: str, parcel: bytes) -> None:
        take(sender, parcel)
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(west.heard, "parcel", stumble)
    with capture_logs() as lines:
        east.bus.post("west.1", b"1")
        east.bus.post("west.1", b"2")
        assert await west.heard.came(2) == [b"1", b"2"]
    assert {line["event"] for line in lines} == {"bus_listener_failed"}
