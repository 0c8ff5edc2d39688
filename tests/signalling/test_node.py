"""A call whose parties are on different nodes is like any other call."""

import asyncio

import pytest

from signalling.codes import Close
from signalling.handlers.table import Prepared
from signalling.nodes import parcels
from signalling.nodes.parcels import Commanded
from signalling.sockets.identity import Identity
from tests.signalling.cluster import Apart, Cluster, move
from tests.signalling.handsets import Handset
from tests.signalling.pairs import OFFER

TERMINAL = ("call_ended", "call_rejected")


def datas(handset: Handset, kind: str) -> list[object]:
    return [frame["data"] for frame in handset.told(kind)]


async def test_a_call_between_two_nodes_rings_connects_ticks_and_ends(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(70_000)
    final = await apart.hang_up(apart.phone)
    assert (final["units"], final["total"], final["settled"]) == (2, 200, True)
    assert apart.tab.types() == [
        "call_incoming",
        "call_ringing",
        "call_accepted",
        "call_connected",
        "call_tick",
        "call_tick",
        "wallet_updated",
        "call_ended",
    ]
    assert apart.phone.types() == [
        "call_ringing",
        "call_accepted",
        "call_connected",
        "call_tick",
        "call_tick",
        "wallet_updated",
        "call_ended",
    ]
    assert await cluster.owned_by(apart.call) == "west"
    assert await cluster.charged(apart.call) == 200
    assert cluster.leftovers() == {}
    await cluster.check_books()


@pytest.mark.parametrize("who", ["phone", "watch", "tab", "desk"])
async def test_whoever_hangs_up_each_device_hears_of_the_end_once(
    cluster: Cluster, apart: Apart, who: str
) -> None:
    await apart.connect()
    final = await apart.hang_up(getattr(apart, who))
    by = "caller" if who in ("phone", "watch") else "callee"
    for handset in apart.all:
        [end] = datas(handset, "call_ended")
        here = handset in (apart.phone, apart.tab)
        assert end == {
            "reason": "hangup",
            "by": by,
            "elsewhere": not here,
            "final": final,
        }
    assert cluster.leftovers() == {}
    assert not any(handset.device.in_call for handset in apart.all)


async def test_the_callees_other_device_on_a_third_node_stops_ringing(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.accept()
    [here] = datas(apart.tab, "call_accepted")
    [there] = datas(apart.desk, "call_accepted")
    assert isinstance(here, dict)
    assert isinstance(there, dict)
    assert (here["elsewhere"], there["elsewhere"]) == (False, True)
    refusal = await apart.desk.refused("call_accept", call=apart.call)
    assert refusal["code"] == "answered_elsewhere"
    assert apart.tab.device.in_call
    assert not apart.desk.device.in_call


async def test_events_carry_the_id_of_the_command_only_to_the_device_that_sent_it(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()
    await apart.tab.ok("call_ringing", call=apart.call, id="k1")
    await cluster.quiet()
    res = [handset.told("call_ringing")[0].get("re") for handset in apart.all]
    assert res == [None, None, "k1", None]
    ringing, ok = apart.tab.link.frames[-2:]
    assert (ringing["type"], ok["type"]) == ("call_ringing", "ok"), "the event comes first"


async def test_signals_go_both_ways_in_order_and_early_ones_wait(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.ring()
    await apart.phone.ok("signal", call=apart.call, kind="offer", gen=1, sdp=OFFER)
    for number in range(5):
        candidate = {"candidate": f"candidate:{number}"}
        await apart.phone.ok(
            "signal", call=apart.call, kind="candidates", gen=1, candidates=[candidate]
        )
    await apart.tab.ok("call_accept", call=apart.call)
    for number in range(5, 20):
        for leg in (apart.phone, apart.tab):
            candidate = {"candidate": f"candidate:{number}"}
            leg.say("signal", call=apart.call, kind="candidates", gen=1, candidates=[candidate])
    apart.tab.say("signal", call=apart.call, kind="answer", gen=1, sdp=OFFER)
    await cluster.quiet()

    def heard(leg: Handset) -> list[str]:
        return [
            frame["data"].get("candidates", [{"candidate": frame["data"]["kind"]}])[0]["candidate"]
            for frame in leg.told("signal")
        ]

    assert heard(apart.tab) == ["offer", *(f"candidate:{number}" for number in range(20))]
    assert heard(apart.phone) == [*(f"candidate:{number}" for number in range(5, 20)), "answer"]


async def test_a_command_sent_again_gets_the_same_answer_wherever_it_is_sent(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.ring()
    first = await apart.tab.ask("call_accept", call=apart.call, id="k2")
    again = await apart.tab.ask("call_accept", call=apart.call, id="k2")
    assert again == first
    await move(apart.tab, cluster.nodes[2])
    later = await apart.tab.ask("call_accept", call=apart.call, id="k2")
    assert later == first
    await cluster.quiet()
    assert len(apart.phone.told("call_accepted")) == 1


async def test_a_wrong_state_carries_the_right_one(cluster: Cluster, apart: Apart) -> None:
    await apart.request()
    refusal = await apart.tab.refused("signal", call=apart.call, kind="offer", gen=1, sdp=OFFER)
    assert refusal["code"] == "wrong_state"
    assert (refusal["call"]["state"], refusal["call"]["role"]) == ("requested", "callee")


async def test_strangers_on_other_nodes_are_told_that_it_is_not_their_call(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    stranger = await apart.east.handset(await apart.east.person("Eve"), "spy")
    for command in ("call_ringing", "call_accept", "call_end", "media_connected", "call_take"):
        refusal = await stranger.refused(command, call=apart.call)
        assert refusal["code"] == "not_your_call", command
    refusal = await stranger.refused("chat_send", conversation=apart.call, text="hi")
    assert refusal["code"] == "not_your_call"
    assert stranger.told() == []
    await apart.hang_up(apart.tab)
    assert cluster.leftovers() == {}


async def test_what_is_no_call_is_not_found_from_any_node(cluster: Cluster, apart: Apart) -> None:
    nothing = "00000000-0000-7000-8000-000000000000"
    assert (await apart.tab.refused("call_accept", call=nothing))["code"] == "not_found"
    assert (await apart.tab.refused("call_end", call=nothing))["code"] == "not_found"
    assert cluster.leftovers() == {}


async def test_chat_goes_between_nodes(cluster: Cluster, apart: Apart) -> None:
    await apart.accept()
    sent = await apart.tab.ok("chat_send", conversation=apart.call, text="Hello", id="m1")
    again = await apart.tab.ok("chat_send", conversation=apart.call, text="Hello", id="m1")
    assert again == sent
    await apart.phone.ok("chat_read", conversation=apart.call, message=sent["message"]["id"])
    await apart.phone.ok("chat_typing", conversation=apart.call, typing=True)
    await cluster.quiet()
    for handset in (apart.phone, apart.watch, apart.desk):
        assert datas(handset, "chat_message") == [{"message": sent["message"]}]
    assert datas(apart.tab, "chat_message") == []
    assert len(datas(apart.tab, "chat_read")) == len(datas(apart.desk, "chat_typing")) == 1
    await apart.hang_up(apart.tab)
    over = await apart.tab.refused("chat_send", conversation=apart.call, text="Bye")
    assert (over["code"], over["field"]) == ("call_over", "data.conversation")


async def test_who_is_in_a_call_of_another_node_is_busy(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    bob = await apart.east.handset(await apart.east.person("Bob", funds=500), "bob")
    answer = await bob.ok("call_request", toUserId=str(apart.kai.id))
    assert (answer["call"]["state"], answer["call"]["reason"]) == ("ended", "busy")
    refusal = await apart.tab.refused("call_request", toUserId=str(bob.person.id))
    assert refusal["code"] == "self_busy"
    await cluster.quiet()
    assert [frame["data"]["reason"] for frame in bob.told("call_rejected")] == ["busy"]
    assert apart.desk.told("call_incoming")[1:] == []


async def test_a_device_that_connects_in_mid_call_gets_the_call_as_it_is(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    north = cluster.nodes[2]
    welcome = await north.device(apart.ann, "tablet").connect()
    assert (welcome["call"]["state"], welcome["call"]["you"]) == ("connected", "elsewhere")
    assert welcome["call"]["rev"] == apart.state.rev
    welcome = await move(apart.tab, north)
    assert welcome["call"]["you"] == "active"
    assert apart.tab.device.in_call
    assert "balance" not in welcome["call"]["meter"], "the callee's view of it"
    await apart.hang_up(apart.phone)
    assert [len(datas(one, "call_ended")) for one in apart.all] == [1, 1, 1, 1]
    assert not apart.tab.device.in_call


async def test_lost_and_back_and_goodbye_are_news_between_nodes(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    apart.tab.drop()
    await cluster.quiet()
    [event] = datas(apart.phone, "call_reconnecting")
    assert isinstance(event, dict)
    assert (event["leg"], event["why"]) == ("callee", "socket")
    await move(apart.tab, cluster.nodes[2])
    await apart.tab.ok("media_connected", call=apart.call)
    await cluster.quiet()
    assert apart.state.state == "connected"
    assert apart.state.callee.here
    apart.tab.drop(bye=True)
    await cluster.quiet()
    [end] = datas(apart.phone, "call_ended")
    assert isinstance(end, dict)
    assert (end["reason"], end["by"]) == ("hangup", "callee")
    assert cluster.leftovers() == {}


async def test_a_call_that_ended_on_another_node_is_ended_again_with_the_same_answer(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await apart.talk(10_000)
    final = await apart.hang_up(apart.phone)
    answer = await apart.tab.ok("call_end", call=apart.call)
    assert answer == {"call": apart.call, "final": final}
    over = await apart.tab.refused("media_connected", call=apart.call)
    assert (over["code"], over["reason"], over["final"]) == ("call_over", "hangup", final)


async def test_a_command_without_an_id_is_told_of_its_refusal(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()
    apart.tab.say("media_stats", call=apart.call, inBytes=1)
    await cluster.quiet()
    errors = [frame for frame in apart.tab.link.frames if frame["type"] == "error"]
    assert [(error["re"], error["data"]["code"]) for error in errors] == [(None, "wrong_state")]


async def test_an_owner_that_never_answers_is_unavailable_and_the_id_works_later(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.ring()
    cluster.space.lose = lambda given: isinstance(given, Commanded)
    waiting = asyncio.ensure_future(apart.tab.ask("call_accept", call=apart.call, id="k9"))
    await cluster.quiet()
    await cluster.passes(3_001)
    answer = await waiting
    assert (answer["type"], answer["data"]["code"]) == ("error", "unavailable")
    assert answer["data"]["retryAfterMs"] > 0
    cluster.space.lose = lambda _: False
    await apart.tab.ok("call_accept", call=apart.call, id="k9")
    assert apart.state.state == "accepted"


async def test_an_answer_that_comes_too_late_is_given_when_the_command_is_sent_again(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.ring()
    late: list[tuple[str, str, bytes]] = []
    carry = cluster.space.carry

    def keep(sender: str, node: str, parcel: bytes) -> None:
        if isinstance(parcels.decode(parcel), parcels.Answered):
            late.append((sender, node, parcel))
        else:
            carry(sender, node, parcel)

    cluster.space.carry = keep  # type: ignore[method-assign]
    waiting = asyncio.ensure_future(apart.tab.ask("call_accept", call=apart.call, id="k9"))
    await cluster.passes(3_001)
    assert (await waiting)["data"]["code"] == "unavailable"
    cluster.space.carry = carry  # type: ignore[method-assign]
    carry(*late[0])
    await cluster.quiet()
    await apart.tab.ok("call_accept", call=apart.call, id="k9")
    await cluster.quiet()
    answers = [frame["type"] for frame in apart.tab.link.frames if frame.get("re") == "k9"]
    assert answers == ["call_accepted", "error", "ok"], "one answer to each time it was sent"


async def test_the_newest_socket_is_so_by_one_clock_for_all_nodes(
    cluster: Cluster, apart: Apart
) -> None:
    await move(apart.watch, apart.east)
    cluster.time.now_ms += 90_000  # The clock of the first node is ahead.
    await move(apart.phone, apart.west)
    cluster.time.now_ms -= 90_000
    said = [parcel for *_, parcel in cluster.space.sent if isinstance(parcel, parcels.Replaced)]
    await move(apart.phone, apart.east)
    await cluster.quiet()
    # What the first node has said comes late.
    apart.east.bus.listener.parcel(apart.west.bus.address, parcels.encode(said[-1]))
    assert apart.phone.link.closed is None


async def test_a_handshake_that_took_too_long_replaces_no_newer_socket(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = Handset(apart.east, apart.ann, "phone")
    prepare = apart.west.desk.prepare

    async def slow(identity: Identity, device: str) -> Prepared:
        prepared = await prepare(identity, device)
        cluster.time.now_ms += 1_000
        await newer.connect()
        await cluster.quiet()
        return prepared

    with monkeypatch.context() as frozen:
        frozen.setattr(apart.west.desk, "prepare", slow)
        await apart.phone.connect()
    await cluster.quiet()
    assert newer.link.closed is None
    await move(apart.phone, apart.west)
    await cluster.quiet()
    assert newer.link.closed == Close.REPLACED
