"""What becomes of the media, and of the call's state, when the socket is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from signalling.client.audio import Tone
from signalling.client.peer import Peer
from signalling.client.phone import Phone
from signalling.client.wire import Wire
from tests.signalling.client.talker import Json, Talker, talking
from tests.signalling.client.test_phone import CALL, END, LATER, SOON, answers, ring, snapshot
from tests.signalling.client.waiting import until

ACCEPTED = {"device": "d1", "elsewhere": False, "polite": True, "expiresAt": LATER}
METER = {"units": 1, "charged": 120, "fundedUntil": LATER}


@pytest.fixture
async def talker() -> AsyncIterator[Talker]:
    async with talking() as server:
        yield server


@pytest.fixture
async def phone(talker: Talker) -> AsyncIterator[Phone]:
    wire = Wire(talker.url, "t", device_id="d1", backoff=SOON)
    async with wire, Phone(wire, stats_s=60) as made:
        yield made


async def reconnect(talker: Talker, phone: Phone, **welcome: object) -> None:
    connects = phone.wire.connects
    talker.welcome = welcome
    await talker.drop()
    await until(lambda: phone.wire.connects > connects)


@pytest.fixture
async def talk(talker: Talker, phone: Phone) -> AsyncIterator[Peer]:
    """A call that the phone has answered and in which it hears something; the other's peer."""
    talker.answer = answers(snapshot(state="accepted", you="active", rev=3, gen=1))
    await ring(talker, phone)

    async def relay(signal: Json) -> Json:
        await talker.event("signal", {**signal, "from": "caller"}, call=CALL)
        return {}

    far = Peer(relay, lambda _: None, polite=False, source=Tone(700), sink=Phone(phone.wire).sink)
    far.offer()
    await phone.accept()
    while phone.peer is None or not phone.peer.flowing:
        frame = await talker.frame("signal")
        far.receive(frame["data"])
        if frame["data"]["kind"] == "end":
            await until(lambda: phone.peer is not None and phone.peer.flowing)
    await talker.event("call_connected", {"connectedAt": 1, "meter": METER}, call=CALL, rev=4)
    await talker.frame("media_connected")
    await phone.until(lambda: phone.call is not None and phone.call.rev == 4, 5)
    yield far
    await far.close()


@pytest.mark.parametrize("resumed", [True, False])
async def test_after_any_welcome_flowing_media_is_reported_and_left_alone(
    talker: Talker, phone: Phone, talk: Peer, *, resumed: bool
) -> None:
    peer = phone.peer
    call = snapshot(state="reconnecting", you="active", rev=5, gen=1)
    await reconnect(talker, phone, resumed=resumed, call=call)
    assert (await talker.frame("media_connected"))["data"]["gen"] == 1
    assert phone.peer is peer


async def test_media_that_flows_is_reported_when_the_server_misses_it(
    talker: Talker, phone: Phone, talk: Peer
) -> None:
    missing = {"leg": "callee", "why": "silent", "expiresAt": LATER}
    await talker.event("call_reconnecting", missing, call=CALL, rev=5)
    assert (await talker.frame("media_connected"))["data"]["gen"] == 1
    await talker.event("call_reconnecting", {**missing, "leg": "caller"}, call=CALL, rev=6)
    await talker.event("call_connected", {"connectedAt": 1, "meter": METER}, call=CALL, rev=7)
    assert phone.call is not None
    call = phone.call
    await phone.until(lambda: call.rev == 7, 5)
    await phone.hang_up()
    seen: list[str] = []
    while not seen or seen[-1] != "call_end":
        seen.append((await talker.frames.get())["type"])
    assert "media_connected" not in seen, "the other leg is missing, not ours"


@pytest.mark.parametrize(("server_gen", "next_gen"), [(1, 2), (6, 7), (0, 2)])
async def test_lost_media_of_a_new_session_is_offered_beyond_both_generations(
    talker: Talker, phone: Phone, talk: Peer, server_gen: int, next_gen: int
) -> None:
    assert phone.peer is not None
    assert phone.peer._link is not None
    phone.peer._link.flowing = False
    call = snapshot(state="reconnecting", you="active", rev=5, gen=server_gen)
    await reconnect(talker, phone, call=call)
    assert (await talker.frame("media_lost"))["data"]["why"] == "ice"
    offer = await talker.frame("signal")
    assert (offer["data"]["kind"], offer["data"]["gen"]) == ("offer", next_gen)


async def test_before_the_answer_a_lost_offer_is_made_again_with_a_number_that_counts(
    talker: Talker, phone: Phone
) -> None:
    talker.answer = answers(snapshot(role="caller", you="active"))
    call = await phone.place("u2")
    assert (await talker.frame("signal"))["data"]["gen"] == 1
    assert (await talker.frame("signal"))["data"]["kind"] == "end"
    lost = snapshot(id=call.id, role="caller", you="active", state="ringing", rev=2)
    await reconnect(talker, phone, call=lost)
    offer = await talker.frame("signal")
    assert (offer["data"]["kind"], offer["data"]["gen"]) == ("offer", 1)


async def test_a_caller_whose_app_starts_again_while_it_rings_offers_anew(talker: Talker) -> None:
    call = snapshot(state="ringing", role="caller", you="active", rev=2, gen=1)
    talker.welcome = {"call": call}
    talker.answer = answers(call)
    async with Wire(talker.url, "t", device_id="d1", backoff=SOON) as wire, Phone(wire):
        offer = await talker.frame("signal")
        assert (offer["data"]["kind"], offer["data"]["gen"]) == ("offer", 2)


async def test_a_resumed_session_is_brought_up_to_date_by_its_events_alone(
    talker: Talker, phone: Phone, talk: Peer
) -> None:
    assert phone.call is not None
    call = phone.call
    states: list[str] = []
    phone.on_change = lambda _: states.append(call.state)
    missing = {"leg": "caller", "why": "socket", "expiresAt": LATER}
    await talker.event("call_reconnecting", missing, call=CALL, rev=5, missed=True)
    back = {"connectedAt": 1, "resumed": True, "meter": METER}
    await talker.event("call_connected", back, call=CALL, rev=6, missed=True)
    tick = {"unit": 2, "charged": 120, "total": 240, "billedSeconds": 120, "fundedUntil": LATER}
    await talker.event("call_tick", {**tick, "status": "ok"}, call=CALL, rev=7, missed=True)
    now = snapshot(state="connected", you="active", rev=7, gen=1)
    await reconnect(talker, phone, resumed=True, call=now)
    await phone.until(lambda: call.rev == 7, 5)
    assert states == ["connected", "reconnecting", "connected", "connected"]
    assert (call.total, len(call.ticks)) == (240, 1)
    await talker.event("call_ended", END, call=CALL, rev=8, missed=True)
    await reconnect(talker, phone, resumed=True)
    await phone.until(lambda: call.over, 5)
    assert call.reason == "hangup"
    await until(lambda: phone.peer is None)


@pytest.mark.parametrize("rings_still", [True, False])
async def test_a_replayed_event_never_rings_but_a_snapshot_may(
    talker: Talker, phone: Phone, *, rings_still: bool
) -> None:
    incoming = {"call": snapshot(), "caller": snapshot()["peer"], "expiresAt": LATER}
    await talker.event("call_incoming", incoming, call=CALL, rev=1, missed=True)
    ringing = {"device": "d2", "expiresAt": LATER}
    await talker.event("call_ringing", ringing, call=CALL, rev=2, missed=True)
    welcome: Json = {"call": snapshot(state="ringing", rev=2)} if rings_still else {}
    if not rings_still:
        await talker.event("call_ended", END, call=CALL, rev=3, missed=True)
    await reconnect(talker, phone, resumed=True, **welcome)
    await phone.until(lambda: phone.call is not None and phone.call.state != "requested", 5)
    await phone.wire.command("presence_watch")
    seen: list[str] = []
    while not seen or seen[-1] != "presence_watch":
        seen.append((await asyncio.wait_for(talker.frames.get(), 5))["type"])
    assert seen.count("call_ringing") == rings_still
    assert phone.call is not None
    assert phone.call.over is not rings_still


async def test_an_answer_lost_with_the_socket_starts_the_media_once(
    talker: Talker, phone: Phone
) -> None:
    await ring(talker, phone)
    talker.answer = lambda _: None
    accepting = asyncio.create_task(phone.accept())
    frame = await talker.frame("call_accept")
    talker.answer = answers(snapshot(state="accepted", you="active", rev=3, gen=1))
    await talker.event("call_accepted", ACCEPTED, call=CALL, rev=3, missed=True)
    call = snapshot(state="accepted", you="active", rev=3, gen=1)
    await reconnect(talker, phone, resumed=True, call=call)
    assert (await accepting).you == "active"
    assert (await talker.frame("call_accept")) == frame
    assert phone.peer is not None
    assert phone.peer.gen == 0, "the offer is still to come, and no other was made"


async def test_a_call_held_by_another_device_of_mine_can_be_taken(
    talker: Talker, phone: Phone
) -> None:
    await talker.event("call_ringing", {"device": "k", "expiresAt": LATER}, call=CALL, rev=2)
    await phone.until(lambda: phone.call is not None, 5)
    assert phone.call is not None
    call = phone.call
    assert (call.you, phone.wire.in_call) == ("elsewhere", False)
    missing = {"leg": "caller", "why": "socket", "expiresAt": LATER}
    await talker.event("call_reconnecting", missing, call=CALL, rev=5)
    await phone.until(lambda: call.can_take, 5)
    talker.answer = answers(
        snapshot(state="reconnecting", role="caller", you="active", rev=6, gen=2)
    )
    assert (await phone.take()).you == "active"
    assert (await talker.frame("signal"))["data"]["gen"] == 3
