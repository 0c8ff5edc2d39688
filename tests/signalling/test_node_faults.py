"""Nodes that die in the middle of calls, are cut off, or wake up after others took their calls."""

import asyncio

import pytest

from tests.signalling.cluster import Apart, Cluster, make_apart, move
from tests.signalling.conftest import StartCluster
from tests.signalling.handsets import Handset


def reasons(handset: Handset) -> list[str]:
    return [frame["data"]["reason"] for frame in handset.told("call_ended", "call_rejected")]


async def test_the_callees_node_dies_and_the_call_waits_for_them(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(20_000)
    await cluster.kill(apart.east)
    assert apart.state.state == "connected", "it may be only the way there that is cut"
    await cluster.sweep(cluster.nodes[1])
    await cluster.until(lambda: bool(apart.phone.told("call_reconnecting")))
    [event] = apart.phone.told("call_reconnecting")
    assert (event["data"]["leg"], event["data"]["why"]) == ("callee", "socket")
    welcome = await move(apart.tab, cluster.nodes[1])
    assert (welcome["call"]["state"], welcome["call"]["you"]) == ("reconnecting", "active")
    await apart.tab.ok("media_connected", call=apart.call)
    await cluster.quiet()
    assert apart.phone.told("call_connected")[-1]["data"]["resumed"]
    assert (await apart.hang_up(apart.phone))["total"] == 100
    assert cluster.leftovers() == {}
    await cluster.check_books()


@pytest.mark.parametrize("who", ["phone", "tab"])
async def test_the_owner_dies_and_the_node_that_a_party_reaches_goes_on(
    cluster: Cluster, apart: Apart, who: str
) -> None:
    await apart.connect()
    await apart.talk(50_000)
    await cluster.kill(apart.west)
    east, north = cluster.nodes
    first, second = (apart.phone, apart.tab) if who == "phone" else (apart.tab, apart.phone)
    first.link.close(1006)
    welcome = await move(first, north)
    await cluster.quiet()
    # The node that had the tab's socket looks for the call as well.
    assert cluster.owners(apart.call) in ((["north"],) if who == "phone" else (["north"], ["east"]))
    assert [await cluster.owned_by(apart.call)] == cluster.owners(apart.call)
    assert (welcome["call"]["state"], welcome["call"]["you"]) == ("reconnecting", "active")
    assert welcome["call"]["rev"] > 1_000_000
    assert welcome["call"]["meter"]["charged"] == 100
    if who == "phone":
        assert apart.tab.link.closed == 1012, "what it had reported is not known any more"
    await move(second, east)
    await apart.media()
    assert apart.state.state == "connected"
    await apart.talk(10_000)
    assert await cluster.charged(apart.call) == 100, "60 s are paid for with the first unit"
    await apart.talk(10_000)
    assert await cluster.charged(apart.call) == 200
    final = await apart.hang_up(first)
    assert (final["total"], final["units"], final["talkSeconds"]) == (200, 2, 70)
    assert reasons(apart.phone) == reasons(apart.tab) == ["hangup"]
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_the_sweep_takes_what_a_dead_node_has_left(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    await cluster.kill(apart.west)
    north = cluster.nodes[1]
    await cluster.sweep(north)
    assert cluster.owners(apart.call) == ["north"]
    assert apart.tab.link.closed == 1012
    welcome = await move(apart.tab, apart.east)
    assert welcome["call"]["you"] == "active"
    await move(apart.phone, north)
    await apart.media()
    assert apart.phone.told("call_connected")[-1]["data"]["resumed"]
    assert (await apart.hang_up(apart.tab))["total"] == 100
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_what_was_talked_after_the_last_beat_of_a_dead_node_is_not_paid(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(50_000)
    cluster.time.now_ms += 900
    await cluster.kill(apart.west)
    cluster.time.now_ms += 5_000
    await cluster.sweep(cluster.nodes[0])
    assert apart.state.meter.billable_ms == 50_000
    await move(apart.phone, cluster.nodes[0])
    await move(apart.tab, cluster.nodes[1])
    await apart.media()
    await apart.talk(10_000)
    assert await cluster.charged(apart.call) == 100
    await cluster.passes(1)
    assert await cluster.charged(apart.call) == 200, "the second unit begins after 60 s of talk"
    await apart.hang_up(apart.phone)
    await cluster.check_books()


async def test_nobody_comes_back_and_the_call_is_settled_once_at_the_last_beat(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(70_000)
    await cluster.kill(apart.west)
    await cluster.sweep(cluster.nodes[0])
    await cluster.passes(30_001)
    row = await cluster.row(apart.call)
    assert (row["state"], row["reason"], row["billable_ms"], row["units"]) == (
        "ended",
        "connection_lost",
        70_000,
        2,
    )
    assert await cluster.charged(apart.call) == 200
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_a_call_that_rang_on_a_dead_node_rings_on(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    await cluster.kill(apart.west)
    await cluster.sweep(cluster.nodes[0])
    assert cluster.owners(apart.call) == ["east"]
    assert [len(one.told("call_incoming")) for one in (apart.tab, apart.desk)] == [2, 2]
    revs = [frame["rev"] for frame in apart.tab.told("call_incoming")]
    assert revs[0] < revs[1]
    await move(apart.phone, cluster.nodes[1])
    await apart.tab.ok("call_accept", call=apart.call)
    await apart.media()
    assert apart.state.state == "connected"
    assert (await apart.hang_up(apart.phone))["total"] == 100
    await cluster.check_books()


async def test_a_caller_who_does_not_come_back_has_cancelled(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.ring()
    await cluster.kill(apart.west)
    await cluster.sweep(cluster.nodes[0])
    await cluster.passes(15_001)
    assert reasons(apart.tab) == reasons(apart.desk) == ["cancelled"]
    assert cluster.leftovers() == {}


async def test_an_answered_call_of_a_dead_node_still_connects(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.accept()
    await apart.phone.ok("media_connected", call=apart.call)
    await apart.until_noted()
    await cluster.kill(apart.west)
    await cluster.sweep(cluster.nodes[0])
    assert apart.state.state == "accepted"
    await move(apart.phone, cluster.nodes[1])
    await move(apart.tab, cluster.nodes[1])
    await apart.tab.ok("media_connected", call=apart.call)
    await cluster.quiet()
    assert apart.state.state == "accepted", "both legs have to report anew"
    await apart.phone.ok("media_connected", call=apart.call)
    await cluster.quiet()
    assert apart.state.state == "connected"
    await apart.hang_up(apart.tab)
    assert cluster.leftovers() == {}


async def test_who_took_a_leg_is_the_leg_when_the_owner_dies(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    for leg, other in ((apart.phone, apart.watch), (apart.tab, apart.desk)):
        leg.drop()
        await cluster.quiet()
        await other.ok("call_take", call=apart.call)
        await cluster.quiet()
    await cluster.kill(apart.west)
    await cluster.sweep(cluster.nodes[0])
    legs = apart.state.caller, apart.state.callee
    assert [leg.device for leg in legs] == ["watch", "desk"]
    assert (await move(apart.phone, cluster.nodes[0]))["call"]["you"] == "canTake"
    assert (await move(apart.watch, cluster.nodes[1]))["call"]["you"] == "active"


async def test_a_call_that_nobody_waited_for_is_settled_at_once_and_forgotten_everywhere(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await cluster.kill(apart.west, silent_ms=40_000)
    await cluster.sweep(cluster.nodes[1])
    row = await cluster.row(apart.call)
    assert (row["state"], row["reason"]) == ("ended", "server_error")
    assert cluster.leftovers() == {}
    assert apart.tab.link.closed == 1012, "who still thinks to be in it is told by a welcome"
    welcome = await apart.tab.connect(resume=True)
    assert not welcome["resumed"], "and has to start from its snapshot"
    assert "call" not in welcome
    assert [one["id"] for one in welcome["recent"]] == [apart.call]
    assert apart.east.board.of(apart.kai.id) == "online"
    await cluster.check_books()


async def test_a_living_node_is_never_fenced_however_silent_the_bus_is(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    cluster.space.leave(apart.west.bus.address)
    await cluster.quiet()
    await cluster.sweep(cluster.nodes[1])
    await cluster.sweep(cluster.nodes[2])
    assert await cluster.owned_by(apart.call) == "west"
    assert cluster.owners(apart.call) == ["west"]


async def test_an_owner_that_wakes_up_after_others_took_its_call_says_and_does_nothing(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(10_000)
    zombie = apart.west
    cluster.space.leave(zombie.bus.address)
    await cluster.pool.execute("update node set fenced = true where epoch = $1", zombie.claim.epoch)
    await cluster.until(lambda: not zombie.combiner.healthy)
    assert zombie.registry.hosts() == []
    cluster.nodes.remove(zombie)
    cluster._dead.append(zombie)
    told = [len(one.told()) for one in (apart.phone, apart.watch)]
    before = len(cluster.space.sent)
    await cluster.sweep(cluster.nodes[0])
    await cluster.passes(60_000)
    assert [len(one.told()) for one in (apart.phone, apart.watch)] == told
    assert [one for one in cluster.space.sent[before:] if one[0] == zombie.bus.address] == []
    assert (await cluster.row(apart.call))["reason"] == "connection_lost"
    assert await cluster.charged(apart.call) == 100
    await cluster.check_books()


async def test_events_of_an_old_owner_are_not_passed_on(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    zombie = apart.west
    await cluster.pool.execute("update node set fenced = true where epoch = $1", zombie.claim.epoch)
    cluster.space.cut.add(zombie.bus.address)
    await cluster.nodes[2].live.adopter.take_orphans()
    await cluster.until(lambda: cluster.space.flying == 0)
    cluster.space.cut.clear()
    await move(apart.tab, apart.east)
    told = len(apart.tab.told())
    if zombie.registry.hosts():
        # It has not noticed yet.
        apart.phone.say("media_state", call=apart.call, audio=False, video=False)
        await asyncio.sleep(0)
    await cluster.until(lambda: cluster.space.flying == 0)
    assert len(apart.tab.told()) == told


async def test_after_a_gap_the_devices_of_calls_elsewhere_connect_anew(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.accept()
    cluster.space.lose = lambda given: type(given).__name__ == "Telling"
    await apart.phone.ok("media_connected", call=apart.call)
    await apart.tab.ok("media_connected", call=apart.call)
    await cluster.quiet()
    cluster.space.lose = lambda _: False
    assert apart.tab.told("call_connected") == []
    apart.east.bus.listener.gap()
    assert apart.tab.link.closed == 1012
    assert apart.phone.link.closed is None
    welcome = await apart.tab.connect(resume=True)
    assert not welcome["resumed"], "what was lost cannot be sent again"
    assert welcome["call"]["you"] == "active"
    await apart.media()
    assert apart.state.state == "connected"


async def test_after_a_gap_of_the_owner_the_devices_elsewhere_connect_anew(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    apart.west.bus.listener.gap()
    await cluster.quiet()
    assert (apart.tab.link.closed, apart.desk.link.closed) == (1012, 1012)
    assert apart.phone.link.closed is None
    assert apart.state.state == "connected", "who is sent away is expected back"
    assert not (await apart.tab.connect(resume=True))["resumed"]
    await apart.media()
    await apart.hang_up(apart.phone)
    assert cluster.leftovers() == {}


async def test_an_end_that_was_lost_in_a_gap_leaves_nobody_busy(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    cluster.space.lose = lambda _: True
    await apart.phone.ok("call_end", call=apart.call)
    await cluster.quiet()
    cluster.space.lose = lambda _: False
    for node in cluster.nodes:
        node.bus.listener.gap()
    await cluster.quiet()
    for handset in (apart.tab, apart.desk):
        assert handset.link.closed == 1012
        assert "call" not in await move(handset, handset.node)
    await cluster.quiet()
    assert cluster.leftovers() == {}
    assert [node.board.of(apart.kai.id) for node in cluster.nodes] == ["online"] * 3


async def test_a_call_survives_two_owners(start_cluster: StartCluster) -> None:
    cluster = await start_cluster("west", "east", "north", "south")
    apart = await make_apart(cluster)
    await apart.connect()
    await apart.talk(10_000)
    west, east, north, south = cluster.nodes
    await cluster.kill(west)
    await cluster.sweep(east)
    await move(apart.phone, north)
    await move(apart.tab, south)
    await apart.media()
    await apart.talk(40_000)
    await cluster.kill(east)
    await cluster.sweep(south)
    await move(apart.phone, south)
    await move(apart.tab, north)
    await apart.media()
    await apart.talk(10_000)
    assert apart.state.rev > 2_000_000
    assert await cluster.charged(apart.call) == 100
    await cluster.passes(1)
    assert await cluster.charged(apart.call) == 200
    await apart.hang_up(apart.tab)
    assert cluster.leftovers() == {}
    await cluster.check_books()
