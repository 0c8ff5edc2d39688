"""Commands about calls through the real desk: what each does, answers and refuses."""

from uuid import UUID

import pytest

from signalling.limits import CallLimits
from storage.ids import new_id
from tests.signalling.handsets import Json
from tests.signalling.harness import START_MS, Node
from tests.signalling.pairs import OFFER, Pair, make_pair

LIMITS = CallLimits()
OF_CALLS = [
    ("call_ringing", {}),
    ("call_accept", {}),
    ("call_reject", {}),
    ("call_take", {}),
    ("signal", {"kind": "end", "gen": 1}),
    ("media_connected", {}),
    ("media_lost", {}),
    ("media_state", {}),
    ("ice_servers", {}),
]


@pytest.fixture
async def pair(node: Node) -> Pair:
    return await make_pair(node)


def in_call(pair: Pair) -> list[str]:
    return [each.name for each in pair.all if each.device.in_call]


async def terminal(pair: Pair, kind: str = "call_ended") -> dict[str, Json]:
    """The one terminal event of every device, by device."""
    await pair.node.quiet()
    told = {each.name: each.told("call_ended", "call_rejected") for each in pair.all}
    assert all(len(events) == 1 and events[0]["type"] == kind for events in told.values()), told
    assert pair.node.registry.find(UUID(pair.call)) is None
    return {name: events[0]["data"] for name, events in told.items()}


# -- whose call it is


@pytest.mark.parametrize(("kind", "data"), OF_CALLS)
async def test_a_stranger_can_do_nothing(pair: Pair, kind: str, data: Json) -> None:
    await pair.accept()
    bob = await pair.node.handset(await pair.node.person("Bob"))
    before = pair.host.call
    assert (await bob.refused(kind, call=pair.call, **data))["code"] == "not_your_call"
    assert pair.host.call is before


@pytest.mark.parametrize(("kind", "data"), [*OF_CALLS, ("call_end", {})])
async def test_a_call_must_be_named_and_known(pair: Pair, kind: str, data: Json) -> None:
    error = await pair.phone.refused(kind, **data)
    assert (error["code"], error["field"]) == ("bad_frame", "call")
    error = await pair.phone.refused(kind, call=str(new_id()), **data)
    assert (error["code"], error["field"]) == ("not_found", "call")


@pytest.mark.parametrize(("kind", "data"), OF_CALLS)
async def test_after_the_end_every_command_is_told_the_end(
    pair: Pair, kind: str, data: Json
) -> None:
    await pair.connect()
    await pair.phone.ok("call_end", call=pair.call)
    await terminal(pair)
    error = await pair.tab.refused(kind, call=pair.call, **data)
    assert (error["code"], error["reason"], error["by"]) == ("call_over", "hangup", "caller")
    assert error["final"]["total"] == 100
    stranger = await pair.node.handset(await pair.node.person("Bob"))
    refused = await stranger.refused(kind, call=pair.call, **data)
    assert (refused["code"], "final" in refused) == ("not_your_call", False)


@pytest.mark.parametrize(("kind", "data"), OF_CALLS[:6])
async def test_what_comes_after_the_deadline_is_too_late_even_before_the_timer_fires(
    pair: Pair, kind: str, data: Json
) -> None:
    await pair.ring()
    pair.node.time.now_ms += LIMITS.ring_ms
    sender = pair.tab if kind != "signal" else pair.phone
    data = data if kind != "signal" else {"kind": "offer", "gen": 1, "sdp": OFFER}
    error = await sender.refused(kind, call=pair.call, **data)
    assert (error["code"], error["reason"]) == ("call_over", "no_answer")
    await terminal(pair)
    assert in_call(pair) == []


@pytest.mark.parametrize("kind", ["call_ringing", "call_accept", "call_reject"])
async def test_the_caller_cannot_answer_their_own_call(pair: Pair, kind: str) -> None:
    await pair.request()
    assert (await pair.phone.refused(kind, call=pair.call))["code"] == "forbidden"


# -- ringing and answering


async def test_every_device_rings_and_the_first_report_starts_the_ringing(pair: Pair) -> None:
    await pair.request()
    for each in (pair.tab, pair.desk):
        assert (await each.event("call_incoming"))["call"] == pair.call
    pair.node.time.now_ms += 5_000
    await pair.tab.ok("call_ringing", id="r1", call=pair.call, muted=True)
    pair.node.time.now_ms += 5_000
    await pair.desk.ok("call_ringing", call=pair.call)
    for each in pair.all:
        [event] = each.told("call_ringing")
        assert event["data"] == {"device": "tab", "expiresAt": START_MS + 5_000 + LIMITS.ring_ms}
        assert event.get("re") == ("r1" if each is pair.tab else None)


async def test_the_first_to_accept_wins_and_the_others_hear_elsewhere(pair: Pair) -> None:
    await pair.ring()
    answer = await pair.tab.ok(
        "call_accept", id="a1", call=pair.call, media={"audio": True, "video": True}
    )
    assert (answer["call"]["state"], answer["call"]["you"]) == ("accepted", "active")
    assert str(pair.kai.id) in answer["iceServers"][1]["username"]
    told = {each.name: (await each.event("call_accepted"))["data"] for each in pair.all}
    assert {name: (data["elsewhere"], data["polite"]) for name, data in told.items()} == {
        "phone": (False, False),
        "watch": (True, False),
        "tab": (False, True),
        "desk": (True, True),
    }
    assert told["phone"]["expiresAt"] == START_MS + LIMITS.connect_ms
    for kind in ("call_accept", "call_ringing"):
        assert (await pair.desk.refused(kind, call=pair.call))["code"] == "answered_elsewhere"
    again = await pair.tab.ok("call_accept", call=pair.call)
    assert again["call"]["rev"] == answer["call"]["rev"]
    assert in_call(pair) == ["phone", "tab"]
    assert answer["call"]["legs"]["callee"]["media"]["video"] is True


async def test_a_rejection_ends_the_call_for_all_devices(pair: Pair) -> None:
    await pair.ring()
    await pair.desk.ok("call_reject", id="x1", call=pair.call, reason="busy", note="In a meeting")
    told = await terminal(pair, "call_rejected")
    for data in told.values():
        assert (data["reason"], data["by"], data["note"]) == ("busy", "callee", "In a meeting")
        assert data["final"] == {
            "ringSeconds": 0,
            "talkSeconds": 0,
            "billedSeconds": 0,
            "units": 0,
            "total": 0,
            "settled": True,
        }
    assert told["watch"]["elsewhere"], "the call was the phone's"
    assert not told["tab"]["elsewhere"]


@pytest.mark.parametrize(
    ("reason", "expected"), [("declined", "declined"), ("busy", "busy"), ("away", "unavailable")]
)
async def test_the_reasons_of_a_rejection(pair: Pair, reason: str, expected: str) -> None:
    await pair.request()
    await pair.tab.ok("call_reject", call=pair.call, reason=reason)
    assert (await terminal(pair, "call_rejected"))["phone"]["reason"] == expected


async def test_an_answered_call_cannot_be_rejected(pair: Pair) -> None:
    await pair.accept()
    error = await pair.tab.refused("call_reject", call=pair.call)
    assert error["code"] == "wrong_state"
    assert (error["call"]["state"], error["call"]["you"]) == ("accepted", "active")


async def test_nobody_rings_nobody_answers_nobody_connects(node: Node) -> None:
    for number, (stage, wait_ms, reason) in enumerate(
        [
            ("request", LIMITS.reach_ms, "unreachable"),
            ("ring", LIMITS.ring_ms, "no_answer"),
            ("accept", LIMITS.connect_ms, "connect_failed"),
        ]
    ):
        pair = await make_pair(node)
        await getattr(pair, stage)()
        await node.passes(wait_ms - 1)
        assert pair.host.call.reason is None, number
        await node.passes(1)
        told = await terminal(pair)
        assert told["phone"]["reason"] == reason
        assert told["phone"]["final"]["total"] == 0


# -- hanging up


async def test_before_the_answer_the_caller_cancels_and_the_callee_declines(node: Node) -> None:
    for side, kind, reason in (
        ("watch", "call_ended", "cancelled"),
        ("desk", "call_rejected", "declined"),
    ):
        pair = await make_pair(node)
        await pair.ring()
        await getattr(pair, side).ok("call_end", call=pair.call)
        assert (await terminal(pair, kind))["tab"]["reason"] == reason


async def test_any_device_of_either_user_may_hang_up_and_again(pair: Pair) -> None:
    await pair.connect()
    await pair.talk(70_000)
    answer = await pair.desk.ok("call_end", id="e1", call=pair.call)
    assert answer["final"] == {
        "ringSeconds": 0,
        "talkSeconds": 70,
        "billedSeconds": 120,
        "units": 2,
        "total": 200,
        "settled": True,
    }
    told = await terminal(pair)
    assert {name: data["elsewhere"] for name, data in told.items()} == {
        "phone": False,
        "watch": True,
        "tab": False,
        "desk": True,
    }
    assert (await pair.phone.ok("call_end", call=pair.call))["final"] == answer["final"]
    stranger = await pair.node.handset(await pair.node.person("Bob"))
    assert "final" not in await stranger.refused("call_end", call=pair.call)
    assert in_call(pair) == []


async def test_an_end_that_nobody_remembers_is_read_from_the_books(pair: Pair) -> None:
    await pair.connect()
    first = await pair.phone.ok("call_end", call=pair.call)
    await pair.node.quiet()
    pair.node.registry._ended.clear()  # as after a restart
    assert await pair.tab.ok("call_end", call=pair.call) == first
    bob = await pair.node.handset(await pair.node.person("Bob"))
    assert (await bob.refused("call_end", call=pair.call))["code"] == "not_found"


async def test_both_wallets_are_told_when_money_has_moved(pair: Pair) -> None:
    await pair.connect()
    await pair.phone.ok("call_end", call=pair.call)
    payer, payee = await pair.watch.event("wallet_updated"), await pair.desk.event("wallet_updated")
    assert payer["data"] == {
        "currency": "PTS",
        "reason": "call",
        "balance": 400,
        "call": pair.call,
    }
    assert payee["data"] == {
        "currency": "PTS",
        "reason": "earnings",
        "earnings": 70,
        "call": pair.call,
    }
    assert [kind for kind in pair.phone.types() if kind in ("wallet_updated", "call_ended")] == [
        "wallet_updated",
        "call_ended",
    ]
