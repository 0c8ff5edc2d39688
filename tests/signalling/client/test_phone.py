"""Phones against a scripted server; where two phones talk, it relays their signals."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from signalling.client.audio import Tone
from signalling.client.envelope import Backoff, CommandRefused, WireStopped
from signalling.client.peer import Peer
from signalling.client.phone import Phone
from signalling.client.wire import Wire
from tests.signalling.client.talker import Json, Talker, error, ok, talking
from tests.signalling.client.waiting import until

SOON = Backoff(first_ms=5, max_ms=20)
CALL = "01900000-0000-7000-8000-00000000000a"
FINAL = {"ringSeconds": 1, "talkSeconds": 70, "billedSeconds": 120, "units": 2, "total": 240}
END: Json = {"reason": "hangup", "by": "caller", "elsewhere": False, "final": FINAL}
LATER = 4_000_000_000_000


def snapshot(**changed: Any) -> Json:
    return {
        "id": CALL,
        "state": "requested",
        "rev": 1,
        "kind": "audio",
        "role": "callee",
        "peer": {"userId": "u2", "name": "Kai", "avatarUrl": None},
        "you": "ringing",
        "tariff": {"name": "minute", "pricePerMinute": 120, "currency": "PTS"},
        "expiresAt": LATER,
        "connectedAt": None,
        "gen": 0,
        "meter": None,
        "reason": None,
        "by": None,
        **changed,
    }


@pytest.fixture
async def talker() -> AsyncIterator[Talker]:
    async with talking() as server:
        yield server


@pytest.fixture
async def phone(talker: Talker) -> AsyncIterator[Phone]:
    wire = Wire(talker.url, "t", device_id="d1", backoff=SOON)
    async with wire, Phone(wire, stats_s=0.05) as made:
        yield made


async def ring(talker: Talker, phone: Phone) -> None:
    call = snapshot()
    data = {"call": call, "caller": call["peer"], "expiresAt": LATER}
    await talker.event("call_incoming", data, call=CALL, rev=1)
    await phone.until(lambda: phone.call is not None, 5)


def answers(call: Json) -> Any:
    """Every command is ok; those about the call answer with this snapshot."""

    def answer(frame: Json) -> Json:
        if frame["type"] == "call_request":
            given = {**call, "id": frame["data"]["callId"]}
            return ok(frame, call=given, iceServers=[])
        if frame["type"] in ("call_accept", "call_take"):
            return ok(frame, call=call, iceServers=[])
        if frame["type"] == "call_end":
            return ok(frame, call=CALL, final=FINAL)
        return ok(frame, iceServers=[])

    return answer


async def test_an_incoming_call_rings_and_says_so(talker: Talker, phone: Phone) -> None:
    await ring(talker, phone)
    assert phone.call is not None
    assert (phone.call.state, phone.call.you, phone.call.peer_name) == (
        "requested",
        "ringing",
        "Kai",
    )
    assert (await talker.frame("call_ringing"))["call"] == CALL
    assert phone.wire.in_call


async def test_a_call_that_rings_no_longer_is_not_rung(talker: Talker, phone: Phone) -> None:
    soon = phone.wire.now_ms() + 1_000
    call = snapshot(expiresAt=soon)
    data = {"call": call, "caller": call["peer"], "expiresAt": soon}
    await talker.event("call_incoming", data, call=CALL, rev=1)
    await phone.until(lambda: phone.call is not None, 5)
    await phone.wire.command("presence_watch")
    assert (await asyncio.wait_for(talker.frames.get(), 5))["type"] == "presence_watch"


async def test_a_refused_request_leaves_no_call(talker: Talker, phone: Phone) -> None:
    talker.answer = lambda frame: error(frame, "insufficient_funds", required=120, available=100)
    with pytest.raises(CommandRefused) as refused:
        await phone.place("u2")
    assert refused.value.details == {"required": 120, "available": 100}
    assert phone.call is None


async def test_the_caller_offers_at_once_and_follows_the_call_to_its_end(
    talker: Talker, phone: Phone
) -> None:
    talker.answer = answers(snapshot(role="caller", you="active"))
    call = await phone.place("u2", max_price_per_minute=150)
    request = await talker.frame("call_request")
    assert request["data"]["toUserId"] == "u2"
    assert request["data"]["maxPricePerMinute"] == 150
    offer = await talker.frame("signal")
    assert (offer["data"]["kind"], offer["data"]["gen"], offer["call"]) == ("offer", 1, call.id)
    await talker.event("call_ringing", {"device": "p", "expiresAt": LATER}, call=call.id, rev=2)
    accepted = {"device": "p", "elsewhere": False, "polite": False, "expiresAt": LATER}
    await talker.event("call_accepted", accepted, call=call.id, rev=3)
    meter = {"units": 0, "charged": 0, "fundedUntil": LATER, "balance": 1_000}
    await talker.event("call_connected", {"connectedAt": 1, "meter": meter}, call=call.id, rev=4)
    tick = {"unit": 1, "charged": 120, "total": 120, "billedSeconds": 60, "balance": 880}
    await talker.event("call_tick", {**tick, "fundedUntil": 9, "status": "ok"}, call=call.id, rev=5)
    await phone.until(lambda: bool(call.ticks), 5)
    assert (call.state, call.total, phone.balance) == ("connected", 120, 880)
    await talker.event("balance_low", {"secondsLeft": 60, "endsAt": 9}, call=call.id, rev=6)
    assert (await phone.hang_up()).final["total"] == 240
    await talker.event("call_ended", END, call=call.id, rev=7)
    await phone.until(lambda: call.over, 5)
    assert (call.reason, call.by, call.total, call.units) == ("hangup", "caller", 240, 2)
    assert len(call.warnings) == 1
    await until(lambda: phone.peer is None)
    assert not phone.wire.in_call


async def test_a_call_that_is_busy_at_once_ends_with_its_reason(
    talker: Talker, phone: Phone
) -> None:
    ended = snapshot(role="caller", you="active", state="ended", reason="busy", by="callee")
    talker.answer = answers(ended)
    call = await phone.place("u2")
    assert (call.over, call.reason) == (True, "busy")
    assert phone.peer is None


async def test_an_accepted_call_has_sound_both_ways_and_reports_it(
    talker: Talker, phone: Phone
) -> None:
    other = Phone(phone.wire)  # Only its sink and clock are used: the far end is a bare peer.
    talker.answer = answers(snapshot(state="accepted", you="active", rev=3, gen=1))
    await ring(talker, phone)

    async def relay(signal: Json) -> Json:
        await talker.event("signal", {**signal, "from": "caller"}, call=CALL)
        return {}

    far = Peer(relay, lambda _: None, polite=False, source=Tone(700), sink=other.sink)
    far.offer()  # Early: it waits in the phone until the call is accepted.
    await until(lambda: far.gen == 1)
    await phone.accept()
    try:
        async with asyncio.timeout(10):
            seen: dict[str, Json] = {}
            while "media_stats" not in seen:
                frame = await talker.frames.get()
                seen[frame["type"]] = frame
                if frame["type"] == "signal":
                    far.receive(frame["data"])
        assert seen["media_connected"]["data"]["gen"] == 1
        assert seen["media_stats"]["data"]["inBytes"] > 0
        assert "id" not in seen["media_stats"]
        await until(lambda: abs(phone.sink.hz() - 700) < 35)
        await phone.mute(True)
        assert (await talker.frame("media_state"))["data"] == {
            "audio": False,
            "video": False,
            "hold": False,
        }
    finally:
        await far.close()


async def test_answered_elsewhere_is_no_call_of_this_device(talker: Talker, phone: Phone) -> None:
    await ring(talker, phone)
    accepted = {"device": "other", "elsewhere": True, "polite": True, "expiresAt": LATER}
    await talker.event("call_accepted", accepted, call=CALL, rev=3)
    await phone.until(lambda: phone.call is not None and phone.call.you == "elsewhere", 5)
    assert not phone.wire.in_call


async def test_after_a_reconnect_a_live_leg_reports_its_media(talker: Talker, phone: Phone) -> None:
    call = snapshot(state="connected", you="active", rev=4, gen=1)
    talker.answer = answers(call)
    await ring(talker, phone)
    await phone.accept()
    talker.welcome = {"call": call}
    await talker.drop()
    lost = await talker.frame("media_lost")
    assert lost["data"] == {"gen": 1, "why": "ice"}
    offer = await talker.frame("signal")
    assert (offer["data"]["kind"], offer["data"]["gen"]) == ("offer", 2)


async def test_a_call_that_ended_while_away_is_read_from_the_recent_ones(
    talker: Talker, phone: Phone
) -> None:
    await ring(talker, phone)
    talker.welcome = {"recent": [{"id": CALL, "endedAt": 1, **END, "reason": "cancelled"}]}
    await talker.drop()
    await phone.until(lambda: phone.call is not None and phone.call.over, 5)
    assert phone.call is not None
    assert phone.call.reason == "cancelled"


async def test_a_call_the_server_knows_no_more_is_over(talker: Talker, phone: Phone) -> None:
    await ring(talker, phone)
    await talker.drop()
    await phone.until(lambda: phone.call is not None and phone.call.over, 5)
    assert phone.call is not None
    assert phone.call.reason is None


async def test_a_phone_that_starts_anew_rings_from_the_snapshot(talker: Talker) -> None:
    talker.welcome = {"call": snapshot(state="ringing", rev=2)}
    async with Wire(talker.url, "t", device_id="d1", backoff=SOON) as wire, Phone(wire) as phone:
        assert (await talker.frame("call_ringing"))["call"] == CALL
        assert phone.call is not None
        assert phone.call.you == "ringing"


async def test_taking_a_call_over_offers_the_next_generation(talker: Talker) -> None:
    call = snapshot(state="reconnecting", you="canTake", rev=6, gen=3)
    talker.welcome = {"call": call}
    talker.answer = answers({**call, "you": "active"})
    async with Wire(talker.url, "t", device_id="d2", backoff=SOON) as wire, Phone(wire) as phone:
        await phone.until(lambda: phone.call is not None, 5)
        await phone.take()
        offer = await talker.frame("signal")
        assert (offer["data"]["kind"], offer["data"]["gen"]) == ("offer", 4)


async def test_a_notification_is_no_chat_line(talker: Talker, phone: Phone) -> None:
    seen: list[str] = []
    phone.on_change = lambda event: seen.append(event.type)
    await talker.event("notification", {"type": "MISSED_CALL", "message": "You missed a call."})
    await phone.until(lambda: "notification" in seen, 5)


async def test_the_wallet_and_chat_lines_are_kept(talker: Talker, phone: Phone) -> None:
    await ring(talker, phone)
    await talker.event("wallet_updated", {"balance": 5, "currency": "PTS", "earnings": 7})
    message = {"id": "m", "conversation": CALL, "sender": "u2", "text": "hello", "createdAt": 1}
    await talker.event("chat_message", {"message": message})
    await phone.until(lambda: phone.call is not None and bool(phone.call.chat), 5)
    assert phone.call is not None
    assert (phone.balance, phone.earnings) == (5, 7)
    talker.answer = lambda frame: ok(frame, message={**message, "text": frame["data"]["text"]})
    await phone.chat("hi")
    assert [line["text"] for line in phone.call.chat] == ["hello", "hi"]
    assert (await talker.frame("chat_send"))["data"] == {"conversation": CALL, "text": "hi"}


async def test_who_waits_is_told_when_the_connection_ends_for_good(
    talker: Talker, phone: Phone
) -> None:
    waiting = asyncio.create_task(phone.until(lambda: False))
    await until(lambda: phone.wire.connects == 1)
    assert talker.socket is not None
    await talker.socket.close(code=4503)
    with pytest.raises(WireStopped) as stopped:
        await waiting
    assert stopped.value.code == 4503
