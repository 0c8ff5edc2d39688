"""Talking through the real desk and ledger: time, money, interruptions, taking over."""

from uuid import UUID

import pytest

from signalling.codes import State
from signalling.limits import CallLimits
from tests.signalling.harness import START_MS, Node
from tests.signalling.pairs import Pair, make_pair

LIMITS = CallLimits()


@pytest.fixture
async def pair(node: Node) -> Pair:
    return await make_pair(node)


async def test_time_costs_money_from_the_second_report_on(pair: Pair) -> None:
    await pair.accept()
    await pair.node.passes(3_000)
    await pair.phone.ok("media_connected", call=pair.call)
    await pair.node.passes(2_000)
    assert pair.host.call.state is State.ACCEPTED
    await pair.tab.ok("media_connected", call=pair.call)
    connected = await pair.phone.event("call_connected")
    assert connected["data"]["connectedAt"] == START_MS + 5_000
    assert connected["data"]["meter"]["balance"] == 500
    for each in (pair.tab, pair.desk):
        meter = (await each.event("call_connected"))["data"]["meter"]
        assert "balance" not in meter


async def test_each_minute_is_charged_at_its_start_and_only_the_payer_sees_the_balance(
    pair: Pair,
) -> None:
    await pair.connect()
    await pair.talk(130_000)
    ticks = [event["data"] for event in pair.watch.told("call_tick")]
    assert [(tick["unit"], tick["charged"], tick["total"]) for tick in ticks] == [
        (1, 100, 100),
        (2, 100, 200),
        (3, 100, 300),
    ]
    assert [tick["balance"] for tick in ticks] == [400, 300, 200]
    assert [tick["billedSeconds"] for tick in ticks] == [60, 120, 180]
    for event in pair.desk.told("call_tick"):
        assert "balance" not in event["data"]


async def test_low_money_is_told_twice_and_the_call_ends_when_it_is_used_up(pair: Pair) -> None:
    await pair.connect()
    await pair.talk(290_000)
    await pair.node.passes(10_000)
    end_ms = START_MS + 300_000
    for each in pair.all:
        assert [event["data"] for event in each.told("balance_low")] == [
            {"secondsLeft": 120, "endsAt": end_ms, "withdrawn": False},
            {"secondsLeft": 60, "endsAt": end_ms, "withdrawn": False},
        ]
    assert [event["data"]["status"] for event in pair.phone.told("call_tick")] == [
        "ok",
        "ok",
        "ok",
        "low_balance",
        "last",
    ]
    ended = await pair.phone.event("call_ended")
    assert (ended["data"]["reason"], ended["data"]["by"]) == ("balance_exhausted", "server")
    assert ended["data"]["final"]["total"] == 500
    assert ended["data"]["final"]["talkSeconds"] == 300


async def test_a_lost_socket_is_waited_for_and_costs_nothing_meanwhile(pair: Pair) -> None:
    await pair.connect()
    await pair.talk(30_000)
    pair.tab.drop()
    event = await pair.phone.event("call_reconnecting")
    assert event["data"] == {
        "leg": "callee",
        "why": "socket",
        "expiresAt": START_MS + 30_000 + LIMITS.grace_ms,
    }
    await pair.node.passes(20_000)
    welcome = await pair.tab.connect()
    assert (welcome["call"]["state"], welcome["call"]["you"]) == ("reconnecting", "active")
    assert welcome["call"]["meter"]["running"] is False
    await pair.tab.ok("media_connected", call=pair.call)
    resumed = await pair.phone.event("call_connected")  # the first one
    resumed = await pair.phone.event("call_connected")
    assert resumed["data"]["resumed"] is True
    answer = await pair.phone.ok("call_end", call=pair.call)
    assert (answer["final"]["total"], answer["final"]["units"]) == (100, 1)


async def test_another_device_takes_the_leg_over_while_it_is_missing(pair: Pair) -> None:
    await pair.connect()
    error = await pair.desk.refused("call_take", call=pair.call)
    assert (error["code"], error["call"]["you"]) == ("wrong_state", "elsewhere")
    pair.tab.drop()
    answer = await pair.desk.ok("call_take", id="t1", call=pair.call)
    assert (answer["call"]["you"], len(answer["iceServers"])) == ("active", 2)
    taken = await pair.desk.event("call_taken")
    assert (taken["data"], taken["re"]) == ({"leg": "callee", "device": "desk"}, "t1")
    assert (await pair.phone.event("call_taken"))["rev"] == taken["rev"]
    assert pair.desk.device.in_call
    old = pair.node.hub.get(pair.kai.id, "tab")
    assert old is not None
    assert not old.in_call
    await pair.desk.ok("media_connected", call=pair.call)
    assert pair.host.call.state is State.CONNECTED
    await pair.phone.ok("signal", call=pair.call, kind="offer", gen=1, sdp="v=0")
    assert (await pair.desk.event("signal"))["data"]["from"] == "caller"


async def test_a_leg_that_stays_away_ends_the_call(pair: Pair) -> None:
    await pair.connect()
    pair.phone.drop()
    await pair.node.passes(LIMITS.grace_ms)
    ended = await pair.tab.event("call_ended")
    assert (ended["data"]["reason"], ended["data"]["by"]) == ("connection_lost", "server")


async def test_a_leg_that_says_bye_hangs_up(pair: Pair) -> None:
    await pair.connect()
    pair.phone.drop(bye=True)
    ended = await pair.tab.event("call_ended")
    assert (ended["data"]["reason"], ended["data"]["by"]) == ("hangup", "caller")


async def test_a_caller_who_goes_away_while_it_rings_is_not_waited_for_long(pair: Pair) -> None:
    await pair.ring()
    pair.phone.drop()
    await pair.node.passes(LIMITS.caller_gone_ms)
    ended = await pair.tab.event("call_ended")
    assert (ended["data"]["reason"], ended["data"]["by"]) == ("cancelled", "caller")


async def test_a_caller_who_comes_back_in_time_goes_on_ringing(pair: Pair) -> None:
    await pair.ring()
    pair.phone.drop()
    await pair.node.passes(LIMITS.caller_gone_ms - 1)
    welcome = await pair.phone.connect()
    assert (welcome["call"]["state"], welcome["call"]["you"]) == ("ringing", "active")
    await pair.node.passes(5_000)
    assert pair.host.call.state is State.RINGING


async def test_media_that_stops_without_a_word_is_noticed_and_comes_back_by_itself(
    pair: Pair,
) -> None:
    await pair.connect()
    await pair.talk(20_000)
    await pair.node.passes(LIMITS.evidence_ms)
    lost = await pair.phone.event("call_reconnecting")
    assert lost["data"]["why"] == "silent"
    assert lost["ts"] == START_MS + 20_000 + LIMITS.evidence_ms
    pair.report()
    pair.report()
    assert pair.host.call.state is State.CONNECTED


async def test_lost_media_is_told_to_both_and_the_report_is_answered(pair: Pair) -> None:
    await pair.connect()
    await pair.tab.ok("media_lost", call=pair.call, why="app")
    for each in pair.all:
        event = await each.event("call_reconnecting")
        assert (event["data"]["leg"], event["data"]["why"]) == ("callee", "app")


async def test_statistics_are_never_answered_and_poor_quality_is_told_once(pair: Pair) -> None:
    await pair.connect()
    frames = len(pair.phone.link.frames)
    for _ in range(2):
        pair.phone.say("media_stats", call=pair.call, id="m1", inBytes=9, rttMs=400.5)
        pair.phone.say("media_stats", call=pair.call, inBytes=10, loss=0.05)
    assert len(pair.phone.link.frames) == frames
    event = await pair.tab.event("peer_quality")
    assert event["data"] == {"leg": "caller", "quality": "poor"}
    pair.phone.say("media_stats", call=pair.call, inBytes=11)
    assert (await pair.tab.event("peer_quality"))["data"]["quality"] == "good"
    assert len(pair.tab.told("peer_quality")) == 2


async def test_statistics_of_an_unknown_call_are_refused_without_a_name(pair: Pair) -> None:
    pair.phone.say("media_stats", inBytes=9)
    error = pair.phone.link.frames[-1]
    assert (error["re"], error["data"]["code"]) == (None, "bad_frame")


async def test_a_call_is_no_longer_than_its_longest(node: Node) -> None:
    pair = await make_pair(node, price=0)
    await pair.connect()
    host = pair.host
    assert host.call.expires_ms == START_MS + LIMITS.duration_max_ms
    node.time.now_ms = START_MS + LIMITS.duration_max_ms
    error = await pair.phone.refused("media_state", call=pair.call)
    assert (error["code"], error["reason"]) == ("call_over", "max_duration")


async def test_a_revision_has_no_gap_on_any_device(pair: Pair) -> None:
    await pair.connect()
    await pair.talk(70_000)
    await pair.tab.ok("media_lost", call=pair.call)
    await pair.tab.ok("media_connected", call=pair.call)
    await pair.phone.ok("call_end", call=pair.call)
    await pair.node.quiet()
    assert pair.node.registry.find(UUID(pair.call)) is None
    for each in pair.all:
        revs = [event["rev"] for event in each.told() if "rev" in event]
        first = 1 if each in (pair.tab, pair.desk) else 2  # the caller's first is in the answer
        assert revs == list(range(first, first + len(revs)))
        assert each.types()[-1] in ("call_ended", "wallet_updated")
