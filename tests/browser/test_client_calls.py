"""Calls between browsers by the client that apps copy."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, LEA, MIA, NOAH, connect, handset

pytestmark = pytest.mark.chromium


async def test_two_people_hear_and_see_each_other_and_the_receipt_agrees(people: Visitors) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    await connect(mia, kai, kind="video")
    for each in (mia, kai):
        await each.hears()
        await each.sees()
        assert (await each.call())["media"] == {"audio": True, "video": True, "hold": False}
        assert (await each.call())["peerMedia"] == {"audio": True, "video": True, "hold": False}
    await mia.until("s.call.tick && s.call.quality?.inKbps > 0")
    answered = await kai.run("client.hangUp()")
    for each in (mia, kai):
        await each.until_call("ended")
        call = await each.call()
        assert (call["reason"], call["by"]) == ("hangup", "callee")
        assert call["final"] == answered["final"]
        assert call["final"]["total"] == 120 * call["final"]["units"]
        assert (call["local"], call["remote"]) == (None, None)
        assert await each.faults() == []
        await each.run("client.dismiss()")
        assert await each.run("client.state.call") is None


async def test_what_one_does_in_a_call_the_other_sees(people: Visitors) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    await connect(mia, kai)

    await mia.run("client.setMedia({ audio: false })")
    await kai.until("s.call.peerMedia.audio === false")
    await mia.run("client.setMedia({ audio: true, hold: true })")
    await kai.until("s.call.peerMedia.hold && s.call.peerMedia.audio")
    assert await mia.run("client.state.call.remote.getAudioTracks()[0].enabled") is False
    await mia.run("client.setMedia({ hold: false })")
    await kai.until("!s.call.peerMedia.hold")
    await kai.hears()

    await mia.run("client.typing(true)")
    await kai.until("s.call.peerTyping")
    sent = await mia.run("client.sendChat('can you hear me?')")
    await kai.until("s.call.messages.length === 1 && !s.call.peerTyping")
    await kai.run("client.readChat(client.state.call.messages[0].id)")
    await mia.until("s.call.messages[0].read")
    await kai.run("client.sendChat('loud and clear')")
    await mia.until("s.call.messages.length === 2")
    [first, second] = (await mia.call())["messages"]
    assert first == {
        "id": sent["id"],
        "sender": await mia.user_id(),
        "text": "can you hear me?",
        "createdAt": sent["createdAt"],
        "mine": True,
        "read": True,
    }
    assert (second["text"], second["mine"]) == ("loud and clear", False)

    devices = await mia.run("client.listDevices()")
    assert {kind: len(found) > 0 for kind, found in devices.items()} == {
        "microphones": True,
        "cameras": True,
        "speakers": True,
    }
    await mia.run("client.useMicrophone(it.microphones[1].deviceId)", devices)
    await kai.hears()
    assert await mia.faults() == await kai.faults() == []


async def test_cameras_are_turned_on_and_off_in_a_call(people: Visitors) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    await connect(mia, kai)
    # Both at once, so that their offers cross.
    video_on = "client.setMedia({ video: true })"
    for each in (mia, kai):
        await each.run("(client._socket._send = (frame) => (window.kept ??= []).push(frame), 0)")
        await each.run(f"void (window.done = {video_on})")
        await each.until("window.kept?.some((frame) => JSON.parse(frame).data.kind === 'offer')")
    for each in (mia, kai):
        await each.run(
            "delete client._socket._send && kept.forEach((f) => client._socket._send(f))"
        )
        await each.run("window.done")
    for each in (mia, kai):
        await each.until("s.call.peerMedia.video && s.call.remote.getVideoTracks().length === 1")
        await each.sees()

    # A camera that is off is let go of; to turn it on again needs no offer.
    gen = await mia.run("client._media._peer.gen")
    await mia.run("client.setMedia({ video: false })")
    await kai.until("!s.call.peerMedia.video")
    assert await mia.run("client.state.call.local.getVideoTracks().length") == 0
    await mia.run(video_on)
    await kai.until("s.call.peerMedia.video")
    await kai.sees()
    assert await mia.run("client._media._peer.gen") == gen
    await kai.hears()
    assert await mia.faults() == await kai.faults() == []


async def test_a_call_is_refused_by_who_is_rung_or_is_in_another(people: Visitors) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    noah = await handset(people, NOAH)
    await mia.run("client.request(it).then((c) => c.state)", await kai.user_id())
    await kai.until("s.call?.you === 'ringing'")
    await mia.until_call("ringing")
    await kai.run("client.reject('declined', 'in a minute')")
    for each in (mia, kai):
        await each.until_call("ended")
        call = await each.call()
        assert (call["reason"], call["by"], call["note"]) == ("declined", "callee", "in a minute")
    assert await mia.run("client._capture.stream") is None, "the microphone is let go of"

    await connect(mia, kai)
    busy = await noah.run(
        "client.request(it).then((c) => [c.state, c.reason])", await kai.user_id()
    )
    assert busy == ["ended", "busy"]
    too_little = f"client.request('{await kai.user_id()}', {{ maxPricePerMinute: 1 }})"
    code = await noah.refusal(too_little)
    assert code == "price_changed"
    assert await kai.run("client.state.call.state") == "connected"
    assert await noah.run("client._capture.stream") is None


async def test_two_who_ring_each_other_are_in_one_call(people: Visitors) -> None:
    kai, lea = await handset(people, KAI), await handset(people, LEA)
    ids = [await kai.user_id(), await lea.user_id()]
    for each in (kai, lea):
        await each.run("topUp(1000)")
        await each.until_event("wallet_updated")
    ring = "client.request(it).then((c) => c.role)"
    roles = await asyncio.gather(kai.run(ring, ids[1]), lea.run(ring, ids[0]))
    assert set(roles) == {"caller", "callee"}
    for each in (kai, lea):
        await each.until_call("connected")
        await each.hears()
    assert (await kai.call())["id"] == (await lea.call())["id"]


async def test_a_call_that_is_answered_elsewhere_stops_ringing_here(people: Visitors) -> None:
    mia = await handset(people, MIA)
    desk, tablet = [await handset(people, KAI, device=device) for device in ("desk", "tablet")]
    await mia.run("client.request(it).then((c) => c.state)", await desk.user_id())
    for each in (desk, tablet):
        await each.until("s.call?.you === 'ringing'")
    await desk.run("client.accept().then((c) => c.state)")
    call_id = await mia.run("client.state.call.id")
    await tablet.until(f"s.call === null && s.elsewhere?.id === '{call_id}'")
    await mia.until_call("connected")
    assert await tablet.run("client.state.elsewhere.canTake") is False
    assert await tablet.refusal("client.accept()") == "wrong_state", "there is nothing to answer"

    # Who goes hangs up.
    assert len(mia.page.workers) == 1
    await mia.run("client.stop()")
    await tablet.until("s.elsewhere === null")
    await desk.until("s.call.reason === 'hangup' && s.call.by === 'caller'")
    assert await mia.run("[client.state.link, client._capture.stream]") == ["off", None]
    assert len(mia.page.workers) == 0
    await mia.run("client.start()")
    await mia.until("s.link === 'online' && s.recent.length === 1")


async def test_a_call_that_was_answered_without_a_socket_may_be_taken(people: Visitors) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    call_id = await mia.run("client.request(it).then((c) => c.id)", await kai.user_id())
    await kai.until("s.call?.you === 'ringing'")
    await kai.run("api.patch(`/calls/${it}/answer`)", call_id)
    await kai.until("s.call === null && s.elsewhere?.canTake")
    await kai.run("client.take().then((c) => c.you)")
    for each in (mia, kai):
        await each.until_call("connected")
        await each.hears()
        assert await each.faults() == []
