"""Signalling, credentials and reports of the legs, through the real desk."""

from typing import Any

import pytest

from signalling.limits import CallLimits
from tests.signalling.conftest import StartNode
from tests.signalling.handsets import Handset, Json
from tests.signalling.harness import START_MS, Node
from tests.signalling.pairs import OFFER, Pair, make_pair

LIMITS = CallLimits()


@pytest.fixture
async def pair(node: Node) -> Pair:
    return await make_pair(node)


async def offer(leg: Handset, call: str, gen: int = 1, **more: Any) -> None:
    answer = await leg.ok("signal", call=call, kind="offer", gen=gen, sdp=OFFER, **more)
    assert answer == {}


async def test_early_signals_wait_for_the_winner_and_come_in_order_after_the_answer(
    pair: Pair,
) -> None:
    await pair.request()
    await offer(pair.phone, pair.call)
    for number in range(3):
        candidate = {"candidate": f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host"}
        await pair.phone.ok(
            "signal", call=pair.call, kind="candidates", gen=1, candidates=[candidate]
        )
    await pair.phone.ok("signal", call=pair.call, kind="end", gen=1)
    assert all(not each.told("signal") for each in pair.all)
    await pair.tab.ok("call_accept", call=pair.call)
    came = [event["data"] for event in pair.tab.told("signal")]
    assert [data["kind"] for data in came] == ["offer", *["candidates"] * 3, "end"]
    assert [data["candidates"][0]["candidate"][:11] for data in came[1:4]] == [
        "candidate:0",
        "candidate:1",
        "candidate:2",
    ]
    assert {data["from"] for data in came} == {"caller"}
    assert pair.tab.types()[-6:] == ["call_accepted", *["signal"] * 5]
    assert not pair.desk.told("signal")


async def test_a_newer_offer_clears_what_waits(pair: Pair) -> None:
    await pair.request()
    await offer(pair.phone, pair.call)
    await pair.phone.ok("signal", call=pair.call, kind="end", gen=1)
    await offer(pair.phone, pair.call, gen=2)
    await pair.tab.ok("call_accept", call=pair.call)
    assert [event["data"]["gen"] for event in pair.tab.told("signal")] == [2]


async def test_only_so_much_may_wait_for_the_answer(pair: Pair) -> None:
    await pair.request()
    await offer(pair.phone, pair.call)
    for _ in range(LIMITS.buffered_signals_max - 1):
        await pair.phone.ok("signal", call=pair.call, kind="end", gen=1)
    error = await pair.phone.refused("signal", call=pair.call, kind="end", gen=1)
    assert (error["code"], error["field"]) == ("too_large", "data")


async def test_signals_are_relayed_byte_for_byte_to_the_other_leg_only(pair: Pair) -> None:
    await pair.accept()
    text = (
        b'{"type":"signal","id":"s1","call":"%b","data":'
        b'{ "kind":"offer", "gen":1, "sdp":"v=0\\r\\n\\u00e9 \\/" }}' % pair.call.encode()
    )
    pair.phone.say_raw(text)
    assert pair.tab.link.raw[-1].endswith(
        b'"data":{ "kind":"offer", "gen":1, "sdp":"v=0\\r\\n\\u00e9 \\/" ,"from":"caller"}}'
    )
    await pair.tab.ok("signal", call=pair.call, kind="answer", gen=1, sdp=OFFER)
    assert (await pair.phone.event("signal"))["data"]["from"] == "callee"
    assert not pair.watch.told("signal")
    assert not pair.desk.told("signal")


@pytest.mark.parametrize("leg", ["watch", "desk"])
async def test_a_device_that_is_no_leg_cannot_signal_or_report(pair: Pair, leg: str) -> None:
    await pair.connect()
    device: Handset = getattr(pair, leg)
    frames: list[tuple[str, Json]] = [
        ("signal", {"kind": "offer", "gen": 1, "sdp": OFFER}),
        ("media_connected", {}),
        ("media_lost", {}),
        ("media_state", {}),
        ("media_stats", {"inBytes": 1}),
        ("ice_servers", {}),
    ]
    for kind, data in frames:
        if kind == "media_stats":
            device.say(kind, call=pair.call, **data)
            assert device.link.frames[-1]["data"]["code"] == "not_your_leg"
        else:
            error = await device.refused(kind, call=pair.call, **data)
            assert error["code"] == "not_your_leg"


async def test_the_callee_cannot_signal_before_the_answer(pair: Pair) -> None:
    await pair.ring()
    error = await pair.tab.refused("signal", call=pair.call, kind="offer", gen=1, sdp=OFFER)
    assert error["code"] in ("wrong_state", "not_your_leg")
    assert not pair.phone.told("signal")


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        ({"kind": "offer", "gen": 1}, "bad_frame", "data.sdp"),
        ({"kind": "offer", "gen": 1, "sdp": OFFER, "candidates": []}, "bad_frame", "data.sdp"),
        ({"kind": "offer", "gen": 1, "sdp": "o=-"}, "bad_frame", "data.sdp"),
        ({"kind": "offer", "gen": 1, "sdp": {"v": 0}}, "bad_frame", "data.sdp"),
        ({"kind": "offer", "gen": 1, "sdp": "v=0" + "x" * 32_768}, "too_large", "data.sdp"),
        ({"kind": "offer", "gen": 3, "sdp": OFFER}, "bad_frame", "data.gen"),
        ({"kind": "answer", "gen": 1}, "bad_frame", "data.sdp"),
        ({"kind": "answer", "gen": 1, "sdp": OFFER}, "bad_frame", "data.gen"),
        ({"kind": "candidates", "gen": 1}, "bad_frame", "data.candidates"),
        ({"kind": "candidates", "gen": 1, "candidates": []}, "bad_frame", "data.candidates"),
        (
            {"kind": "candidates", "gen": 1, "candidates": [{}], "sdp": OFFER},
            "bad_frame",
            "data.candidates",
        ),
        (
            {"kind": "candidates", "gen": 1, "candidates": [{}, "x"]},
            "bad_frame",
            "data.candidates[1]",
        ),
        (
            {"kind": "candidates", "gen": 1, "candidates": [{"candidate": "x" * 1_024}]},
            "too_large",
            "data.candidates[0]",
        ),
        ({"kind": "end", "gen": 1, "sdp": OFFER}, "bad_frame", "data.kind"),
        ({"kind": "end", "gen": 1, "candidates": [{}]}, "bad_frame", "data.kind"),
        ({"kind": "end", "gen": 5}, "bad_frame", "data.gen"),
    ],
)
async def test_a_signal_that_cannot_be_is_refused_with_its_field(
    pair: Pair, data: Json, code: str, field: str
) -> None:
    await pair.request()
    error = await pair.phone.refused("signal", call=pair.call, **data)
    assert (error["code"], error["field"]) == (code, field)


async def test_the_other_leg_answers_an_offer_and_a_stale_one_is_dropped(pair: Pair) -> None:
    await pair.accept()
    await offer(pair.phone, pair.call)
    error = await pair.phone.refused("signal", call=pair.call, kind="answer", gen=1, sdp=OFFER)
    assert (error["code"], error["field"]) == ("wrong_state", "data.kind")
    crossing = await pair.tab.ok("signal", call=pair.call, kind="offer", gen=1, sdp=OFFER)
    assert crossing == {"superseded": True}, "the caller's stands"
    assert not pair.phone.told("signal")
    for _ in range(2):
        answer = await pair.tab.ok("signal", call=pair.call, kind="answer", gen=1, sdp=OFFER)
        assert answer == {}
    assert len(pair.phone.told("signal")) == 1
    await offer(pair.tab, pair.call, gen=2)
    late = await pair.phone.ok("signal", call=pair.call, kind="end", gen=1)
    assert late == {"stale": True}
    assert len(pair.tab.told("signal")) == 1, "the first offer"


async def test_relay_only_hides_where_the_sender_is(start_node: StartNode) -> None:
    node = await start_node(call_limits=CallLimits(relay_only=True))
    pair = await make_pair(node)
    await pair.accept()
    sdp = "\r\n".join(
        [
            "v=0",
            "o=- 1 1 IN IP4 203.0.113.9",
            "c=IN IP4 203.0.113.9",
            "a=candidate:1 1 udp 9 203.0.113.9 5 typ host",
            "a=candidate:2 1 udp 9 198.51.100.1 5 typ relay raddr 203.0.113.9 rport 5000",
            "a=rtcp:9 IN IP4 203.0.113.9",
            "",
        ]
    )
    await pair.phone.ok("signal", call=pair.call, kind="offer", gen=1, sdp=sdp)
    lines = [
        "candidate:1 1 udp 9 203.0.113.9 5 typ host",
        "candidate:3 1 udp 9 203.0.113.9 5 typ srflx raddr 10.0.0.1 rport 5",
        "candidate:2 1 udp 9 198.51.100.1 5 typ relay raddr 203.0.113.9 rport 5000 generation 0",
        "",
    ]
    await pair.phone.ok(
        "signal",
        call=pair.call,
        kind="candidates",
        gen=1,
        candidates=[
            {"candidate": line, "sdpMid": "0", "relatedAddress": "203.0.113.9"} for line in lines
        ],
    )
    described, candidates = [event["data"] for event in pair.tab.told("signal")]
    assert "203.0.113.9" not in str(described)
    assert "198.51.100.1" in described["sdp"]
    assert candidates["candidates"] == [
        {
            "candidate": "candidate:2 1 udp 9 198.51.100.1 5 typ relay raddr 0.0.0.0 rport 0 "
            "generation 0",
            "sdpMid": "0",
        },
        {"candidate": "", "sdpMid": "0"},
    ]
    error = await pair.phone.refused(
        "signal", call=pair.call, kind="candidates", gen=1, candidates=[{"candidate": 5}]
    )
    assert (error["code"], error["field"]) == ("bad_frame", "data")


async def test_fresh_credentials_for_the_leg(pair: Pair) -> None:
    await pair.accept()
    pair.node.time.now_ms += 1_000
    answer = await pair.phone.ok("ice_servers", call=pair.call)
    stun, turn = answer["iceServers"]
    assert set(stun) == {"urls"}
    assert turn["username"] == f"{(START_MS + 601_000) // 1_000}:{pair.ann.id}:{pair.call}"


async def test_credentials_are_pushed_before_they_grow_old(node: Node) -> None:
    pair = await make_pair(node, funds=2_000)
    await pair.connect()
    await pair.talk(480_000)
    [event] = pair.phone.told("ice_servers")
    assert event["ts"] == START_MS + 480_000
    assert len(pair.tab.told("ice_servers")) == 1
    assert not pair.watch.told("ice_servers")


async def test_a_report_about_media_comes_only_after_the_answer(pair: Pair) -> None:
    await pair.ring()
    for kind in ("media_connected", "media_lost", "media_state"):
        error = await pair.phone.refused(kind, call=pair.call)
        assert error["code"] == "wrong_state"
        assert (error["call"]["state"], error["call"]["role"]) == ("ringing", "caller")


async def test_the_state_of_the_media_goes_to_the_other_leg_and_stays(pair: Pair) -> None:
    await pair.connect()
    await pair.phone.ok("media_state", call=pair.call, audio=False, hold=True)
    event = await pair.tab.event("media_state")
    assert event["data"] == {"leg": "caller", "audio": False, "video": False, "hold": True}
    assert "rev" not in event
    assert not pair.desk.told("media_state")
    welcome = await pair.node.device(pair.ann, "new").connect()
    media = welcome["call"]["legs"]["caller"]["media"]
    assert media == {"audio": False, "video": False, "hold": True}
    assert welcome["call"]["you"] == "elsewhere"
