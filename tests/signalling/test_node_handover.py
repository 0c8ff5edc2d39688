"""A node that goes away leaves its calls to others: no event is missing, no unit paid twice."""

import asyncio
from uuid import UUID

import pytest

from server.people import grant
from tests.signalling.cluster import Apart, Cluster, make_apart, move
from tests.signalling.conftest import StartCluster
from tests.signalling.handsets import Handset
from tests.signalling.pairs import OFFER


async def come_back(apart: Apart, *, everybody: bool = True) -> None:
    """The devices of the first node connect to the second one."""
    east = apart.cluster.nodes[1]
    for handset in (apart.phone, apart.watch) if everybody else (apart.phone,):
        assert handset.link.closed == 1012
        await move(handset, east)
    await apart.cluster.quiet()


def revs(handset: Handset) -> list[int]:
    return [frame["rev"] for frame in handset.told() if "rev" in frame]


async def test_a_requested_call_with_early_signals_goes_on_elsewhere(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()
    await apart.phone.ok("signal", call=apart.call, kind="offer", gen=1, sdp=OFFER)
    rev = apart.state.rev
    assert await cluster.drain(apart.west) == 1
    [owner] = cluster.owners(apart.call)
    assert owner in ("east", "north")
    assert apart.state.rev == rev, "the very same state"
    assert [one.link.closed for one in (apart.tab, apart.desk)] == [None, None]
    await come_back(apart)
    assert apart.state.caller.here
    await apart.tab.ok("call_ringing", call=apart.call)
    await apart.tab.ok("call_accept", call=apart.call)
    await cluster.quiet()
    assert [frame["data"]["kind"] for frame in apart.tab.told("signal")] == ["offer"]
    await apart.phone.event("call_accepted")
    await apart.media()
    assert (await apart.hang_up(apart.phone))["total"] == 100
    assert len(apart.tab.told("call_incoming")) == 1
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_a_ringing_call_keeps_its_deadline(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    await cluster.passes(10_000)
    await cluster.drain(apart.west)
    await come_back(apart)
    await cluster.passes(19_999)
    assert apart.state.state == "ringing"
    await cluster.passes(1)
    for handset in apart.all:
        [end] = handset.told("call_rejected", "call_ended")
        assert end["data"]["reason"] == "no_answer"
    assert cluster.leftovers() == {}


async def test_a_caller_who_does_not_come_back_after_the_hand_over_has_cancelled(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.ring()
    await cluster.drain(apart.west)
    await cluster.passes(15_000)
    [end] = apart.tab.told("call_ended")
    assert end["data"]["reason"] == "cancelled"
    assert cluster.leftovers() == {}


async def test_an_accepted_call_connects_after_the_hand_over(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.accept()
    await apart.phone.ok("media_connected", call=apart.call)
    await cluster.drain(apart.west)
    await come_back(apart)
    assert apart.state.state == "accepted"
    await apart.tab.ok("media_connected", call=apart.call)
    await cluster.quiet()
    assert apart.state.state == "connected", "what the caller had reported still counts"
    assert len(apart.phone.told("call_connected")) == 1
    await apart.hang_up(apart.tab)
    assert cluster.leftovers() == {}


async def test_a_connected_call_is_billed_on_without_a_pause(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(50_000)
    await cluster.drain(apart.west)
    assert apart.state.state == "connected"
    await come_back(apart)
    assert apart.state.state == "connected", "who moves is not lost"
    assert [len(one.told("call_reconnecting")) for one in (apart.phone, apart.tab)] == [0, 0]
    await apart.talk(10_000)
    assert await cluster.charged(apart.call) == 100
    await cluster.passes(1)
    assert await cluster.charged(apart.call) == 200
    apart.report()
    await apart.talk(50_000)
    final = await apart.hang_up(apart.phone)
    assert (final["units"], final["total"], final["talkSeconds"]) == (2, 200, 111)
    ticks = [frame["data"]["unit"] for frame in apart.tab.told("call_tick")]
    assert ticks == [1, 2]
    assert revs(apart.tab) == sorted(set(revs(apart.tab)), key=revs(apart.tab).index)
    assert [len(one.told("call_ended")) for one in apart.all] == [1, 1, 1, 1]
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_a_leg_that_moves_and_does_not_come_back_is_silent_in_the_end(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await cluster.drain(apart.west)
    await cluster.passes(25_000)
    assert apart.state.state == "reconnecting"
    await cluster.passes(30_000)
    [end] = apart.tab.told("call_ended")
    assert end["data"]["reason"] == "connection_lost"
    assert cluster.leftovers() == {}


async def test_where_the_answer_connects_a_moved_leg_is_missed_at_once(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.accept(connectOn="answer")
    assert apart.state.state == "connected"
    await cluster.drain(apart.west)
    assert (apart.state.state, apart.state.why) == ("reconnecting", "socket")
    await come_back(apart)
    assert apart.state.state == "connected"
    await apart.hang_up(apart.phone)
    assert cluster.leftovers() == {}


async def test_a_reconnecting_call_is_waited_for_as_long_as_before(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(10_000)
    apart.tab.drop()
    await cluster.passes(20_000)
    await cluster.drain(apart.west)
    assert apart.state.state == "reconnecting"
    await come_back(apart)
    await cluster.passes(9_999)
    assert apart.state.state == "reconnecting"
    await move(apart.tab, cluster.nodes[2])
    await apart.media()
    assert apart.state.state == "connected"
    await apart.hang_up(apart.tab)
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_a_charge_that_is_being_written_comes_first(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    await apart.talk(60_000)
    assert apart.west.time.fire_next(apart.west.time() + 1), "the second unit is asked for"
    assert apart.west.combiner.is_busy(UUID(apart.call))
    await cluster.drain(apart.west)
    assert await cluster.charged(apart.call) == 200
    assert apart.state.meter.charged_minor == 200
    assert [frame["data"]["unit"] for frame in apart.tab.told("call_tick")] == [1, 2]
    await come_back(apart)
    await apart.talk(10_000)
    assert (await apart.hang_up(apart.tab))["total"] == 200
    assert [frame["data"]["unit"] for frame in apart.tab.told("call_tick")] == [1, 2]
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_a_call_that_ends_in_that_moment_ends_where_it_was(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    apart.tab.say("call_end", call=apart.call, id="e1")
    apart.phone.say("call_end", call=apart.call, id="e2")
    assert await cluster.drain(apart.west) == 0
    assert [len(one.told("call_ended")) for one in apart.all] == [1, 1, 1, 1]
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_a_call_that_is_being_opened_is_left_to_others_as_well(
    cluster: Cluster, apart: Apart
) -> None:
    apart.phone.say("call_request", toUserId=str(apart.kai.id), id="r1")
    opening = list(apart.west.live.desk._tasks)
    await asyncio.wait(opening)
    assert await cluster.drain(apart.west) == 1
    answer = next(frame for frame in apart.phone.link.frames if frame.get("re") == "r1")
    apart.call = answer["data"]["call"]["id"]
    assert len(cluster.owners(apart.call)) == 1
    await come_back(apart)
    assert (await apart.phone.ok("call_request", toUserId=str(apart.kai.id), id="r1"))["call"][
        "id"
    ] == apart.call


async def test_commands_on_their_way_reach_the_new_owner(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    west = apart.west
    west.bus.drain()
    leaving = asyncio.ensure_future(west.live.hand_over())
    while west.registry.hosts():  # noqa: ASYNC110 - in its first steps it lets go of all
        await asyncio.sleep(0)
    here = asyncio.ensure_future(
        apart.phone.ask("media_state", call=apart.call, audio=False, video=False, hold=False)
    )
    there = asyncio.ensure_future(apart.tab.ask("call_accept", call=apart.call, id="k1"))
    await leaving
    refused = await here
    assert refused["data"]["code"] == "wrong_state", "the new owner has answered"
    answer = await there
    if answer["type"] == "error":
        assert answer["data"]["code"] == "unavailable"
        await apart.tab.ok("call_accept", call=apart.call, id="k1")
    await cluster.quiet()
    assert apart.state.state == "accepted"
    assert len(apart.tab.told("call_accepted")) == 1


async def test_without_a_successor_the_nodes_next_life_goes_on(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster("west", "east")
    apart = await make_apart(cluster)
    await apart.connect()
    await apart.talk(10_000)
    west, east = cluster.nodes
    east.bus.drain()
    assert await cluster.drain(west) == 1
    assert cluster.owners(apart.call) == []
    await cluster.leave(west)
    await cluster.drain(east)
    await cluster.leave(east)
    again = await cluster.join("west")
    await again.live.adopter.take_orphans()
    await cluster.quiet()
    assert cluster.owners(apart.call) == ["west"]
    assert apart.state.state == "connected", "with all that the old one knew"
    await move(apart.phone, again)
    await move(apart.tab, again)
    await apart.talk(10_000)
    assert (await apart.hang_up(apart.phone))["total"] == 100
    await cluster.check_books()


async def test_what_an_owner_said_that_could_not_be_heard_at_its_end_is_asked_for(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    west, east, _ = cluster.nodes
    cluster.space.cut.add(west.bus.address)
    apart.phone.drop()
    await cluster.quiet()
    assert (apart.state.state, apart.tab.told("call_reconnecting")) == ("reconnecting", [])
    for node in cluster.nodes:
        node.bus.drain()  # None is told that it has a call to take.
    rev = apart.state.rev
    assert await cluster.drain(west) == 1
    await cluster.leave(west)
    await east.live.adopter.take([UUID(apart.call)])
    await cluster.quiet()
    for handset in (apart.tab, apart.desk):
        assert handset.link.closed == 1012
        welcome = await handset.connect(resume=True)
        assert (welcome["resumed"], welcome["call"]["state"]) == (False, "reconnecting")
        assert welcome["call"]["rev"] >= rev
    await move(apart.phone, east)
    await apart.media()
    assert apart.state.state == "connected"
    await apart.hang_up(apart.phone)
    assert cluster.leftovers() == {}
    await cluster.check_books()


async def test_money_that_arrives_on_the_way_is_not_forgotten(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster("west", "east")
    apart = await make_apart(cluster, funds=100)
    await apart.connect()
    await apart.talk(10_000)
    held = apart.state.meter.cover_minor
    async with cluster.pool.acquire() as conn, conn.transaction():
        await grant(conn, apart.ann.id, 300, "PTS", "grant:more")
    await cluster.drain(apart.west)
    assert apart.state.meter.cover_minor > held
    await come_back(apart)
    await apart.talk(60_000)
    assert (await apart.hang_up(apart.phone))["total"] == 200
    await cluster.check_books()


async def test_nobody_is_seen_as_free_while_their_call_moves(
    cluster: Cluster, apart: Apart
) -> None:
    apart.tab.drop()
    apart.desk.drop()
    await move(apart.tab, apart.west)
    watcher = await cluster.nodes[2].handset(await apart.west.person("Bob"), "bob")
    await watcher.ok("presence_watch", users=[str(apart.kai.id)])
    await apart.connect()
    west = apart.west
    west.bus.drain()
    await west.live.hand_over()
    await cluster.quiet()
    await move(apart.tab, cluster.nodes[1])
    await cluster.quiet()
    for device in tuple(west.hub.all_devices()):
        device.close(1012)
    await cluster.quiet()
    seen = [frame["data"]["presence"] for frame in watcher.told("presence_updated")]
    assert seen == ["online", "busy"]


async def test_a_call_without_sockets_on_the_leaving_node_is_taken_without_waiting(
    cluster: Cluster, apart: Apart, caplog: pytest.LogCaptureFixture
) -> None:
    await apart.connect()
    apart.watch.drop()
    apart.phone.drop()
    await move(apart.phone, apart.east)
    await apart.media()
    assert await cluster.drain(apart.west) == 1
    assert "not all calls were taken over in time" not in caplog.text
    await apart.hang_up(apart.phone)
    assert cluster.leftovers() == {}
