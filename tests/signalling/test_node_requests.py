"""What comes by request to a node that does not run the call, and calls that cross each other."""

import asyncio
from uuid import UUID

import pytest

from signalling.codes import Code, Refused
from signalling.commands import CallRequest, MediaWish
from signalling.core.model import REST
from tests.signalling.cluster import Apart, Cluster, move
from tests.signalling.conftest import StartCluster
from tests.signalling.handsets import Handset
from tests.signalling.pairs import Pair


async def test_requests_reach_the_call_from_the_other_node(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    call_id, routed = UUID(apart.call), apart.east.routed
    assert (await routed.snapshot(apart.kai.id, call_id)).state == "ringing"  # type: ignore[union-attr]
    assert (await routed.live_call(apart.kai.id)).id == call_id  # type: ignore[union-attr]
    answered = await routed.accept(apart.kai.id, call_id, media=MediaWish())
    assert (answered.state, answered.you) == ("accepted", "active")
    assert len(await routed.ice_servers(apart.kai.id, call_id)) == 2
    await apart.tab.ok("call_take", call=apart.call)
    await apart.media()
    assert apart.state.state == "connected"
    final = await routed.end(apart.kai.id, call_id)
    assert (final.total, final.settled) == (100, True)
    assert (await routed.end(apart.kai.id, call_id)) == final
    await cluster.quiet()
    assert await routed.snapshot(apart.kai.id, call_id) is None
    assert await routed.live_call(apart.kai.id) is None
    assert cluster.leftovers() == {}


async def test_a_rejection_by_request_from_the_other_node(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    call_id = UUID(apart.call)
    view = await apart.east.routed.reject(apart.kai.id, call_id, reason="busy", note="later")
    assert (view.state, view.reason) == ("ended", "busy")
    await cluster.quiet()
    [event] = apart.phone.told("call_rejected")
    assert (event["data"]["reason"], event["data"]["note"]) == ("busy", "later")
    with pytest.raises(Refused) as caught:
        await apart.east.routed.reject(apart.kai.id, call_id, reason="busy")
    assert caught.value.code is Code.NOT_FOUND, "whoever asks looks at the books then"


async def test_strangers_by_request_are_told_that_it_is_not_their_call(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    eve, call_id = (await apart.east.person("Eve")).id, UUID(apart.call)
    routed = apart.east.routed
    for asking in (
        routed.accept(eve, call_id, media=MediaWish()),
        routed.end(eve, call_id),
        routed.snapshot(eve, call_id),
        routed.ice_servers(eve, call_id),
    ):
        with pytest.raises(Refused) as caught:
            await asking
        assert caught.value.code is Code.NOT_YOUR_CALL
    await apart.hang_up(apart.phone)
    assert cluster.leftovers() == {}


async def test_a_call_that_was_asked_after_where_nobody_is_in_it_leaves_nothing(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster("west", "east", "north")
    west, _, north = cluster.nodes
    ann, kai = await west.person("Ann", funds=500), await west.provider("Kai")
    pair = Pair(
        west,
        ann,
        kai,
        await west.handset(ann, "phone"),
        await west.handset(ann, "watch"),
        await west.handset(kai, "tab"),
        await west.handset(kai, "desk"),
    )
    await pair.connect()
    call_id = UUID(pair.call)
    assert (await north.routed.live_call(ann.id)).state == "connected"  # type: ignore[union-attr]
    assert (await north.routed.media_hook(call_id, "rtp")) == "connected"
    spy = await north.handset(await north.person("Eve"), "spy")
    assert (await spy.refused("call_end", call=pair.call))["code"] == "not_your_call"
    await pair.phone.ok("call_end", call=pair.call)
    await cluster.quiet()
    assert cluster.leftovers() == {}
    assert await north.routed.snapshot(ann.id, call_id) is None
    with pytest.raises(Refused) as caught:
        await north.routed.accept(kai.id, call_id, media=MediaWish())
    assert caught.value.code is Code.NOT_FOUND


async def test_an_operator_ends_a_call_of_any_node(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    ended = await apart.east.routed.stop(UUID(apart.call))
    await cluster.quiet()
    assert (ended.final.total, ended.ended_ms) == (100, cluster.time())
    assert [one.told("call_ended")[0]["data"]["by"] for one in apart.all] == ["admin"] * 4
    with pytest.raises(Refused) as caught:
        await apart.east.routed.stop(UUID(apart.call))
    assert caught.value.code is Code.NOT_FOUND


async def test_money_that_arrives_on_another_node_makes_the_call_go_on(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(10_000)
    asked = apart.state.meter.posted_ms
    await apart.east.routed.funded(apart.ann.id)
    await cluster.quiet()
    assert apart.state.meter.posted_ms > asked, "the ledger was asked anew"
    await apart.east.routed.funded(apart.kai.id)
    await apart.hang_up(apart.phone)
    await apart.east.routed.funded(apart.ann.id)


async def test_who_leaves_hangs_up_wherever_the_call_is(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    await apart.east.routed.leave(apart.kai.id)
    await cluster.quiet()
    assert [one.told("call_ended")[0]["data"]["by"] for one in apart.all] == ["callee"] * 4
    await apart.east.routed.leave(apart.kai.id)
    assert cluster.leftovers() == {}


async def test_a_request_for_a_call_that_another_node_runs_is_the_same_call(
    cluster: Cluster, apart: Apart
) -> None:
    wish = CallRequest(to_user_id=apart.kai.id)
    asked = {"caller": apart.ann.id, "device": REST, "wish": wish, "request_id": "once"}
    first = await apart.west.routed.request(**asked, connect_on="media")  # type: ignore[arg-type]
    again = await apart.east.routed.request(**asked, connect_on="media")  # type: ignore[arg-type]
    assert (again.call_id, again.snapshot.state) == (first.call_id, "requested")
    apart.call = str(first.call_id)
    await apart.hang_up(apart.tab)
    later = await apart.east.routed.request(**asked, connect_on="media")  # type: ignore[arg-type]
    assert (later.call_id, later.snapshot.reason) == (first.call_id, "declined")


async def both(cluster: Cluster, apart: Apart) -> tuple[Handset, Handset]:
    """Two providers, so that each may call the other: phones on west and on east."""
    west, east = cluster.nodes[:2]
    mia, bob = await west.provider("Mia", price=0), await west.provider("Bob", price=0)
    return await west.handset(mia, "mia"), await east.handset(bob, "bob")


@pytest.mark.parametrize("first", [0, 1])
async def test_who_calls_their_caller_answers_the_call(
    cluster: Cluster, apart: Apart, first: int
) -> None:
    phones = await both(cluster, apart)
    one, other = phones[first], phones[1 - first]
    asked = await one.ok("call_request", toUserId=str(other.person.id))
    await cluster.quiet()
    joined = await other.ok("call_request", toUserId=str(one.person.id), id="g1")
    await cluster.quiet()
    assert joined["merged"]
    assert joined["call"]["id"] == asked["call"]["id"]
    assert (joined["call"]["state"], joined["call"]["you"]) == ("accepted", "active")
    assert other.told("call_accepted")[0]["re"] == "g1"
    assert one.told("call_accepted")[0]["data"]["device"] == other.name
    assert other.device.in_call, "its silence and its loss count as those of a leg"
    for phone in phones:
        await phone.ok("media_connected", call=asked["call"]["id"])
    await cluster.quiet()
    other.drop()
    await cluster.quiet()
    assert one.told("call_reconnecting")[0]["data"]["why"] == "socket"


async def test_calls_that_cross_at_the_same_moment_are_one_call(
    cluster: Cluster, apart: Apart
) -> None:
    one, other = await both(cluster, apart)
    answers = await asyncio.gather(
        one.ok("call_request", toUserId=str(other.person.id)),
        other.ok("call_request", toUserId=str(one.person.id)),
    )
    await cluster.quiet()
    assert answers[0]["call"]["id"] == answers[1]["call"]["id"]
    assert sorted(answer.get("merged", False) for answer in answers) == [False, True]
    assert len(cluster.owners(answers[0]["call"]["id"])) == 1
    await one.ok("call_end", call=answers[0]["call"]["id"])
    await cluster.quiet()
    assert len(one.told("call_ended")) == len(other.told("call_ended")) == 1
    assert cluster.leftovers() == {}


async def test_providers_are_seen_from_every_node(cluster: Cluster, apart: Apart) -> None:
    west, east, north = cluster.nodes
    directory = await north.handset(await north.person("Eve"), "eve")
    await directory.ok("presence_watch", directory=True)
    watcher = await west.handset(await west.person("Bob"), "bob")
    await watcher.ok("presence_watch", users=[str(apart.kai.id)])

    async def seen() -> list[str]:
        await cluster.quiet()
        return [
            one.told("presence_updated")[-1]["data"]["presence"] for one in (directory, watcher)
        ]

    assert await seen() == ["online", "online"]
    await apart.tab.ok("presence_set", presence="break", statusMessage="tea")
    assert await seen() == ["break", "break"]
    assert watcher.told("presence_updated")[-1]["data"]["statusMessage"] == "tea"
    await apart.tab.ok("presence_set", presence="online")
    await apart.connect()
    assert await seen() == ["busy", "busy"]
    await apart.hang_up(apart.phone)
    assert await seen() == ["online", "online"]
    apart.tab.drop()
    assert await seen() == ["online", "online"], "there is another device, on another node"
    apart.desk.drop()
    assert await seen() == ["offline", "offline"]
    assert all(node.board.of(apart.kai.id) == "offline" for node in cluster.nodes)
    await move(apart.tab, east)
    assert await seen() == ["online", "online"]
    await cluster.kill(east)
    assert await seen() == ["offline", "offline"]


async def test_a_session_that_was_revoked_is_closed_on_the_other_node(
    cluster: Cluster, apart: Apart
) -> None:
    apart.west.live.end_session(apart.kai.session_id)
    await cluster.quiet()
    assert (apart.tab.link.closed, apart.desk.link.closed) == (4504, 4504)
    assert apart.phone.link.closed is None


async def test_a_node_that_goes_away_begins_no_calls(cluster: Cluster, apart: Apart) -> None:
    await cluster.drain(apart.west)
    welcome = await apart.phone.connect()
    assert "call" not in welcome
    refusal = await apart.phone.refused("call_request", toUserId=str(apart.kai.id), id="r1")
    assert refusal["code"] == "unavailable"
    assert refusal["retryAfterMs"] > 0
    await move(apart.phone, apart.east)
    await apart.phone.ok("call_request", toUserId=str(apart.kai.id), id="r1")
