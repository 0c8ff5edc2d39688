"""Whole calls between real phones: a real server, real sockets, real sound both ways."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from signalling.client.audio import Tone
from signalling.client.envelope import Backoff, Event, Json
from signalling.client.phone import Phone
from signalling.client.rest import Api
from signalling.client.view import CallView
from signalling.client.wire import Wire
from signalling.sockets.connection import Connection
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.server.running import Running, development, running
from tests.signalling.client.waiting import until

MIA, KAI, PASSWORD = "mia@demo.talktime", "kai@demo.talktime", "talktime-demo"
MIA_HZ, KAI_HZ, TABLET_HZ = 440, 660, 880
SOON = Backoff(first_ms=20, max_ms=60)
STEP_S = 15.0


class Handset:
    """A phone of somebody with all events it has had, in order."""

    def __init__(
        self, api: Api, wire: Wire, user_id: str, hz: int, *, relay_only: bool = False
    ) -> None:
        self.api = api
        self.user_id = user_id
        self.events: list[Event] = []
        self.phone = Phone(
            wire,
            audio=lambda: Tone(hz),
            stats_s=0.3,
            on_change=self.events.append,
            relay_only=relay_only,
        )

    @property
    def call(self) -> CallView:
        assert self.phone.call is not None
        return self.phone.call

    async def until_state(self, state: str) -> None:
        phone = self.phone
        await phone.until(lambda: phone.call is not None and phone.call.state == state, STEP_S)

    async def until_event(self, kind: str, number: int = 1) -> Event:
        await self.phone.until(lambda: len(self.all(kind)) >= number, STEP_S)
        return self.all(kind)[number - 1]

    def all(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.type == kind]

    async def hears(self, hz: int) -> None:
        """Sound of this pitch, and no other, for the last half second."""
        await until(
            lambda: self.phone.sink.frames > 25 and abs(self.phone.sink.hz() - hz) < hz * 0.03
        )

    async def hears_nothing(self) -> None:
        """Silence, while frames go on coming."""
        await until(lambda: self.phone.sink.hz() == 0)
        frames = self.phone.sink.frames
        await until(lambda: self.phone.sink.frames > frames + 10)
        assert self.phone.sink.hz() == 0


class Town:
    """A server and the people who use it."""

    def __init__(self, there: Running) -> None:
        self.there = there
        self._open = contextlib.AsyncExitStack()

    async def handset(
        self, email: str, device: str, hz: int, *, relay_only: bool = False
    ) -> Handset:
        url = self.there.site.url
        api = await self._open.enter_async_context(Api(url))
        user = await api.login(email, PASSWORD)
        wire = Wire(url, api.token, device_id=device, backoff=SOON, refresh=api.refresh)
        await self._open.enter_async_context(wire)
        handset = Handset(api, wire, user.id, hz, relay_only=relay_only)
        await self._open.enter_async_context(handset.phone)
        return handset

    def cut(self, handset: Handset) -> None:
        """The network between this device and the server is gone, without a word."""
        wire = handset.phone.wire
        device = self.there.server.live.hub.get(UUID(handset.user_id), wire.device_id)
        assert device is not None
        assert isinstance(device.link, Connection)
        device.link._transport.abort()

    async def kill(self, handset: Handset) -> None:
        """The app dies: its socket breaks without a bye and its media stops."""
        wire = handset.phone.wire
        assert wire._task is not None
        wire._task.cancel()
        self.cut(handset)
        if handset.phone.peer is not None:
            await handset.phone.peer.close()

    async def close(self) -> None:
        await self._open.aclose()


@pytest.fixture
async def town(dsn: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with running(dsn, development(tmp_path)) as there:
        opened = Town(there)
        yield opened
        await opened.close()
        assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def connect(caller: Handset, callee: Handset) -> None:
    """Ring, accept, and both hear each other."""
    await caller.phone.place(callee.user_id)
    await callee.until_event("call_incoming")
    await caller.until_state("ringing")
    await callee.phone.accept()
    for handset in (caller, callee):
        await handset.until_state("connected")


async def test_two_people_hear_each_other_and_the_receipt_agrees(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    before = await mia.api.balance()
    await connect(mia, kai)
    assert mia.call.id == kai.call.id
    assert (mia.call.peer_name, kai.call.peer_name) == ("Kai", "Mia")
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)

    await mia.phone.mute(True)
    await kai.phone.until(lambda: kai.call.peer_media.get("audio") is False, STEP_S)
    await kai.hears_nothing()
    await mia.hears(KAI_HZ)
    await mia.phone.mute(False)
    await kai.hears(MIA_HZ)

    await kai.phone.hold(True)
    await mia.phone.until(lambda: mia.call.peer_media.get("hold") is True, STEP_S)
    await mia.hears_nothing()
    await kai.hears_nothing()
    await kai.phone.hold(False)
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)

    await mia.phone.chat("can you hear me?")
    await kai.phone.until(lambda: bool(kai.call.chat), STEP_S)
    await kai.phone.chat("loud and clear")
    await mia.phone.until(lambda: len(mia.call.chat) == 2, STEP_S)
    assert [line["text"] for line in kai.call.chat] == ["can you hear me?", "loud and clear"]
    assert mia.call.chat == kai.call.chat

    ended = await kai.phone.hang_up()
    for handset in (mia, kai):
        await handset.until_state("ended")
        assert (handset.call.reason, handset.call.by) == ("hangup", "callee")
        assert handset.call.final == ended.final
        assert handset.phone.faults == []
        kinds = [event.type for event in handset.events]
        assert "call_reconnecting" not in kinds
        assert kinds.count("call_ended") == 1
    assert (ended.final["units"], ended.final["total"]) == (1, 120)
    billing = await mia.api.billing(ended.id)
    assert (billing["units"], billing["totalCharged"], billing["settled"]) == (1, 120, True)
    after = await mia.api.balance()
    assert (before.balance - after.balance, after.held) == (120, 0)
    assert mia.phone.balance == after.balance
    assert kai.phone.earnings == 84


async def test_a_caller_cut_off_in_mid_call_comes_back_to_the_same_call(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    await connect(mia, kai)
    await mia.until_event("call_tick")
    await mia.hears(KAI_HZ)
    call_id, peer = mia.call.id, mia.phone.peer
    town.cut(mia)
    reconnecting = await kai.until_event("call_reconnecting")
    assert (reconnecting.data["leg"], reconnecting.data["why"]) == ("caller", "socket")
    welcome = await mia.until_event("welcome", 2)
    seen: Json = welcome.data["call"]
    assert (seen["id"], seen["state"], seen["you"]) == (call_id, "reconnecting", "active")
    assert (seen["role"], seen["peer"]["name"], seen["gen"]) == ("caller", "Kai", 1)
    assert seen["rev"] == reconnecting.rev
    assert (seen["meter"]["running"], seen["meter"]["charged"]) == (False, 120)
    assert seen["connectedAt"] == mia.call.connected_at
    for handset in (mia, kai):
        back = await handset.until_event("call_connected", 2)
        assert back.call == call_id
        assert back.data["resumed"] is True
        assert back.data["meter"]["running"] is True
        assert handset.call.state == "connected"
    assert mia.phone.peer is peer, "the media never stopped, so it was not built anew"
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)
    ended = await mia.phone.hang_up()
    await kai.until_state("ended")
    assert (ended.id, ended.final["total"]) == (call_id, 120)
    assert mia.phone.faults == kai.phone.faults == []


async def test_another_device_sees_elsewhere_and_takes_the_call_over(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    desk = await town.handset(KAI, "desk", KAI_HZ)
    tablet = await town.handset(KAI, "tablet", TABLET_HZ)
    await mia.phone.place(desk.user_id)
    for handset in (desk, tablet):
        await handset.until_event("call_incoming")
    await desk.phone.accept()
    accepted = await tablet.until_event("call_accepted")
    assert (accepted.data["elsewhere"], accepted.data["device"]) == (True, "desk")
    await mia.until_state("connected")
    assert tablet.call.you == "elsewhere"
    assert tablet.phone.peer is None
    await mia.hears(KAI_HZ)

    call_id = mia.call.id
    await town.kill(desk)
    await mia.until_event("call_reconnecting")
    await tablet.until_state("reconnecting")
    await tablet.phone.take()
    taken = await mia.until_event("call_taken")
    assert (taken.data["leg"], taken.data["device"]) == ("callee", "tablet")
    back = await mia.until_event("call_connected", 2)
    assert (back.call, back.data["resumed"]) == (call_id, True)
    await mia.hears(TABLET_HZ)
    await tablet.hears(MIA_HZ)
    assert (tablet.call.id, tablet.call.you) == (call_id, "active")
    ended = await tablet.phone.hang_up()
    await mia.until_state("ended")
    assert (mia.call.reason, mia.call.by) == ("hangup", "callee")
    assert mia.call.final == ended.final


async def test_a_ringing_call_is_taken_back_or_refused(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    call = await mia.phone.place(kai.user_id)
    await mia.until_state("ringing")
    assert (await mia.phone.hang_up()).final["total"] == 0
    cancelled = await kai.until_event("call_ended")
    assert (cancelled.data["reason"], cancelled.data["by"]) == ("cancelled", "caller")
    await mia.until_state("ended")
    assert kai.phone.peer is None

    again = await mia.phone.place(kai.user_id)
    assert again.id != call.id
    await kai.until_event("call_incoming", 2)
    await kai.phone.reject(note="in a minute")
    await mia.until_event("call_rejected")
    assert (again.reason, again.by) == ("declined", "callee")
    history = (await mia.api.request("GET", "/calls"))["items"]
    assert [item["billedPoints"] for item in history] == [0, 0]
    assert (await mia.api.balance()).available == 1_000
    assert mia.phone.faults == kai.phone.faults == []
