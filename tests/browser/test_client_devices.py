"""Calls with another kind of client, and without the devices that a call needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.demo_accounts import DEMO_PASSWORD
from signalling.client.rest import Api
from signalling.client.wire import Wire
from tests.browser import clients
from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, MIA, handset
from tests.end_to_end.town import KAI_HZ, SOON, Handset

pytestmark = pytest.mark.chromium

# What `getUserMedia` does then.
DENIED = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("Permission denied", "NotAllowedError");
}
"""
NO_CAMERA = """
navigator.mediaDevices.getUserMedia = async (wish) => {
  if (wish.video) throw new DOMException("Requested device not found", "NotFoundError");
  return MediaDevices.prototype.getUserMedia.call(navigator.mediaDevices, wish);
}
"""
ALL_THERE = "delete navigator.mediaDevices.getUserMedia"


@asynccontextmanager
async def in_python(people: Visitors, email: str) -> AsyncIterator[Handset]:
    async with Api(people.url) as api:
        user = await api.login(email, DEMO_PASSWORD)
        async with Wire(people.url, api.token, device_id="desk", backoff=SOON) as wire:
            there = Handset(api, wire, user.id, KAI_HZ)
            async with there.phone:
                yield there


async def hear_each_other(browser: clients.Handset, other: Handset) -> None:
    await browser.until_call("connected")
    await other.until_state("connected")
    await browser.hears()
    await other.hears_on()


async def test_a_browser_rings_the_phone_in_python_and_mends_the_call(people: Visitors) -> None:
    mia = await handset(people, MIA)
    async with in_python(people, KAI) as kai:
        await mia.run("client.request(it).then((c) => c.state)", kai.user_id)
        await kai.until_event("call_incoming")
        await mia.until_call("ringing")
        await kai.phone.accept()
        await hear_each_other(mia, kai)
        # It knows no restart: it answers with a connection of its own making.
        await mia.run("client._media._peer._lose(client._media._peer._pc)")
        await mia.until_event("call_connected", 2)
        await hear_each_other(mia, kai)
        await kai.phone.hang_up()
        await mia.until_call("ended")
        assert not [*kai.phone.faults, *await mia.faults()]


async def test_the_phone_in_python_rings_a_browser_and_begins_anew(people: Visitors) -> None:
    kai = await handset(people, KAI)
    async with in_python(people, MIA) as mia:
        await mia.phone.place(await kai.user_id())
        await kai.until("s.call?.you === 'ringing'")
        await kai.run("client.accept().then((c) => c.state)")
        await hear_each_other(kai, mia)
        await kai.run("void (window.first = client._media._peer._pc)")
        assert mia.phone.peer is not None
        mia.phone.peer.offer()
        await kai.until("client._media._peer._pc !== window.first && client._media._peer.flowing")
        await hear_each_other(kai, mia)
        await kai.run("client.hangUp()")
        await mia.until_state("ended")
        assert not [*mia.phone.faults, *await kai.faults()]


async def test_without_a_camera_there_is_sound_and_without_a_microphone_no_call(
    people: Visitors,
) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    ring = "client.request(it, { kind: 'video' }).then((c) => c.id, (e) => e.name)"
    await mia.run(DENIED)
    assert await mia.run(ring, await kai.user_id()) == "NotAllowedError"
    assert await mia.run("client.state.call") is None
    await mia.run(NO_CAMERA)
    call_id = await mia.run(ring, await kai.user_id())
    call = await mia.call()
    assert (call["id"], call["media"]["video"]) == (call_id, False)
    assert call["error"] == {"code": "NotFoundError", "message": "Requested device not found"}

    await kai.until("s.call?.you === 'ringing'")
    await kai.run(DENIED)
    answer = "client.accept({ video: true }).then((c) => c.state, (e) => e.name)"
    assert await kai.run(answer) == "NotAllowedError"
    call = await kai.call()
    assert (call["you"], call["error"]["code"]) == ("ringing", "NotAllowedError"), "it may be yet"
    await kai.run(ALL_THERE)
    assert await kai.run(answer) == "accepted"
    for each in (mia, kai):
        await each.until_call("connected")
        await each.hears()
    await mia.sees()
    await kai.until("!s.call.peerMedia.video")

    # A microphone is unplugged: there is another one.
    old = "client._capture.track('audio')"
    await kai.run(f"void ({old}.stop(), {old}.dispatchEvent(new Event('ended')))")
    await kai.until("s.call.local.getAudioTracks()[0].readyState === 'live'")
    await mia.hears()
