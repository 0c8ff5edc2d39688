"""Whole calls between real phones: a real server, real sockets, real sound both ways."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalling.client.envelope import Json
from tests.end_to_end.town import (
    KAI,
    KAI_HZ,
    MIA,
    MIA_HZ,
    STEP_S,
    TABLET_HZ,
    Town,
    a_town,
    connect,
)


@pytest.fixture
async def town(dsn: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(dsn, tmp_path) as opened:
        yield opened


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
    assert welcome.data["resumed"] is True
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
