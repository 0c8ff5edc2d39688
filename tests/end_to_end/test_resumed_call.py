"""Calls go on whatever becomes of the sockets: cut in every phase, apps that die, other devices."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.end_to_end.town import (
    KAI,
    KAI_HZ,
    MIA,
    MIA_HZ,
    STEP_S,
    TABLET_HZ,
    Handset,
    Town,
    a_town,
    connect,
)
from tests.signalling.client.waiting import until

CUTS = 5


@pytest.fixture
async def town(dsn: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(dsn, tmp_path) as opened:
        yield opened


def assert_nothing_is_missing(handset: Handset) -> None:
    """One session throughout: no number is left out or doubled, of the session or of a call."""
    welcomes = handset.all("welcome")
    assert [each.data["resumed"] for each in welcomes] == [False] + [True] * (len(welcomes) - 1)
    seqs = [each.seq for each in handset.events if each.seq is not None and each not in welcomes]
    assert seqs == list(range(2, len(seqs) + 2))
    revs = [each.rev for each in handset.events if each.rev is not None]
    assert all(later == rev + 1 for rev, later in pairwise(revs))


async def hear_each_other(caller: Handset, callee: Handset, caller_hz: int, callee_hz: int) -> None:
    await caller.hears(callee_hz)
    await callee.hears(caller_hz)


async def test_a_caller_who_is_cut_off_again_and_again_talks_on(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    await connect(mia, kai)
    await hear_each_other(mia, kai, MIA_HZ, KAI_HZ)
    peers = mia.phone.peer, kai.phone.peer
    for number in range(1, CUTS + 1):
        town.cut(mia)
        for handset in (mia, kai):
            await handset.until_event("call_reconnecting", number)
            await handset.hears_on()
            back = await handset.until_event("call_connected", number + 1)
            assert back.data["resumed"] is True
    assert (mia.phone.peer, kai.phone.peer) == peers, "the media never stopped"
    await hear_each_other(mia, kai, MIA_HZ, KAI_HZ)
    ended = await mia.phone.hang_up()
    for handset in (mia, kai):
        await handset.until_state("ended")
        assert handset.call.final == ended.final
        assert handset.phone.faults == []
        assert len(handset.all("call_ended")) == 1
        assert_nothing_is_missing(handset)
    assert len(mia.all("welcome")) == CUTS + 1
    assert (ended.final["units"], ended.final["total"]) == (1, 120)
    assert (await mia.api.balance()).held == 0


async def test_a_call_is_set_up_while_both_lose_their_sockets(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    await mia.phone.place(kai.user_id)
    town.cut(mia)
    await kai.until_event("call_incoming")
    town.cut(kai)
    await mia.until_state("ringing")
    town.cut(mia)
    town.cut(kai)
    await kai.phone.accept()
    town.cut(mia)
    town.cut(kai)
    for handset in (mia, kai):
        await handset.until_state("connected")
    await hear_each_other(mia, kai, MIA_HZ, KAI_HZ)
    town.cut(kai)
    await kai.phone.hang_up()
    for handset in (mia, kai):
        await handset.until_state("ended")
        assert (handset.call.reason, handset.call.final["total"]) == ("hangup", 120)
        assert_nothing_is_missing(handset)


async def test_a_call_is_set_up_and_held_while_both_lose_their_sessions(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    await mia.phone.place(kai.user_id)
    await town.forget(mia)
    await town.forget(kai)
    await kai.phone.until(lambda: kai.phone.call is not None, STEP_S)
    await mia.until_state("ringing")
    await kai.phone.accept()
    await town.forget(mia)
    await town.forget(kai)
    for handset in (mia, kai):
        await handset.until_state("connected")
    await hear_each_other(mia, kai, MIA_HZ, KAI_HZ)
    peers = mia.phone.peer, kai.phone.peer
    for handset in (mia, kai):
        count = len(handset.all("welcome"))
        connected = len(mia.all("call_connected"))
        await town.forget(handset)
        welcome = await handset.until_event("welcome", count + 1)
        assert welcome.data["resumed"] is False
        await mia.until_event("call_connected", connected + 1)
    assert (mia.phone.peer, kai.phone.peer) == peers, "sound needs no socket"
    await hear_each_other(mia, kai, MIA_HZ, KAI_HZ)
    ended = await mia.phone.hang_up()
    await kai.until_state("ended")
    assert ended.final["total"] == kai.call.final["total"] == 120
    assert mia.phone.faults == []


async def test_a_call_that_ends_while_a_phone_is_away_has_ended_for_it_too(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    await connect(mia, kai)
    await mia.until_event("call_tick")
    town.cut(mia)
    await kai.phone.hang_up()
    await mia.until_state("ended")
    assert (mia.call.reason, mia.call.by) == ("hangup", "callee")
    assert_nothing_is_missing(mia)
    await until(lambda: mia.phone.peer is None)


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_an_app_that_died_starts_again_and_talks_on(town: Town, who: str) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    await connect(mia, kai)
    await mia.until_event("call_tick")
    await hear_each_other(mia, kai, MIA_HZ, KAI_HZ)
    call_id = mia.call.id
    if who == "caller":
        await town.kill(mia)
        await kai.until_event("call_reconnecting")
        mia = await town.handset(MIA, "phone", TABLET_HZ)
        pitches = TABLET_HZ, KAI_HZ
    else:
        await town.kill(kai)
        await mia.until_event("call_reconnecting")
        kai = await town.handset(KAI, "desk", TABLET_HZ)
        pitches = MIA_HZ, TABLET_HZ
    for handset in (mia, kai):
        await handset.until_event("call_connected")
        await handset.until_state("connected")
        assert (handset.call.id, handset.call.you) == (call_id, "active")
    await hear_each_other(mia, kai, *pitches)
    ended = await mia.phone.hang_up()
    await kai.until_state("ended")
    assert (ended.final["units"], ended.final["total"]) == (1, 120)
    assert kai.call.final == ended.final
    assert mia.phone.faults == kai.phone.faults == []


async def test_the_caller_goes_on_with_another_device(town: Town) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ)
    tablet = await town.handset(MIA, "tablet", TABLET_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ)
    await connect(mia, kai)
    await kai.hears(MIA_HZ)
    await tablet.phone.until(lambda: tablet.phone.call is not None, STEP_S)
    assert tablet.call.you == "elsewhere"
    await town.kill(mia)
    await tablet.phone.until(lambda: tablet.call.can_take, STEP_S)
    late = await town.handset(MIA, "watch", MIA_HZ)
    assert (await late.until_event("welcome")).data["call"]["you"] == "canTake"
    await tablet.phone.take()
    await kai.until_event("call_taken")
    await kai.until_event("call_connected", 2)
    await late.phone.until(lambda: late.call.you == "elsewhere", STEP_S)
    await hear_each_other(tablet, kai, TABLET_HZ, KAI_HZ)
    assert (tablet.call.role, tablet.call.you, tablet.call.peer_name) == ("caller", "active", "Kai")
    town.cut(tablet)
    await tablet.until_event("call_connected", 3)
    await hear_each_other(tablet, kai, TABLET_HZ, KAI_HZ)
    ended = await tablet.phone.hang_up()
    await kai.until_state("ended")
    assert (kai.call.final, ended.final["total"]) == (ended.final, 120)
    assert tablet.phone.faults == kai.phone.faults == []
