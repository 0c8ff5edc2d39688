"""Two nodes as real processes, a call with real sound between them, and what befalls the nodes."""

import asyncio
import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from signalling.client.audio import Sink
from tests.end_to_end.driver import Json, site
from tests.end_to_end.fleet import Fleet, a_fleet
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.end_to_end.town import KAI, KAI_HZ, MIA, MIA_HZ, STEP_S, Handset, connect

ADOPTED = 1_000_000
MAIN, OTHER = "one", "two"
SHORT = {
    "TALKTIME_GRACE_MS": "6000",
    "TALKTIME_STATS_MS": "300",
    # A node that is stopped for as long as its phones wait for it wakes far behind its deadlines;
    # they leave it in time to be back within the grace, which begins with the takeover.
    "TALKTIME_EVIDENCE_MS": "2000",
    "TALKTIME_DEAD_CALL_MS": "6000",
}


@pytest.fixture
async def fleet(tmp_path: Path, dsn: str, redis_url: str) -> AsyncIterator[Fleet]:
    async with a_fleet(tmp_path, dsn, redis_url) as there:
        await asyncio.gather(*[there.start(name, **SHORT) for name in (MAIN, OTHER)])
        yield there


class Talk:
    """A call of Mia at one node with Kai at the other, who hear each other."""

    def __init__(self, mia: Handset, kai: Handset) -> None:
        self.mia = mia
        self.kai = kai
        self.both = (mia, kai)
        self._sinks: list[Sink] = [each.phone.sink for each in self.both]
        self._peers = [each.phone.peer for each in self.both]

    async def goes_on(self) -> None:
        """Both hear the other, on the connection they had at the beginning."""
        for each in self.both:
            await each.hears_on()
        await self.mia.hears(KAI_HZ)
        await self.kai.hears(MIA_HZ)
        assert [each.phone.peer for each in self.both] == self._peers
        assert [each.phone.sink for each in self.both] == self._sinks

    async def resumed(self, number: int = 2) -> None:
        for each in self.both:
            back = await each.until_event("call_connected", number)
            assert back.data["resumed"] is True
            await each.until_state("connected")

    async def hang_up(self, dsn: str, by: Handset) -> None:
        """The one unit that was begun is charged once, and everybody says the same."""
        ended = await by.phone.hang_up()
        for each in self.both:
            await each.until_state("ended")
            assert (each.call.reason, each.call.final) == ("hangup", ended.final)
            assert len(each.all("call_ended")) == 1
            assert each.phone.faults == []
            assert_told_in_order(each)
        assert (ended.final["units"], ended.final["total"], ended.final["settled"]) == (
            1,
            120,
            True,
        )
        bill = await by.api.billing(ended.id)
        assert (bill["units"], bill["totalCharged"], bill["settled"]) == (1, 120, True)
        await assert_all_is_paid(dsn)


def assert_told_in_order(handset: Handset) -> None:
    """Nothing is told twice, and nothing by an owner that is not the newest."""
    revs = [each.rev for each in handset.events if each.rev is not None and each.type != "signal"]
    assert all(rev < later for rev, later in pairwise(revs)), revs


async def assert_all_is_paid(dsn: str) -> None:
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def talking(fleet: Fleet) -> Talk:
    mia = await fleet.handset(MIA, "phone", MIA_HZ, at=MAIN)
    kai = await fleet.handset(KAI, "desk", KAI_HZ, at=OTHER)
    await fleet.sees(MAIN, kai)
    await connect(mia, kai)
    await mia.until_event("call_tick")
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)
    return Talk(mia, kai)


def move(handset: Handset, fleet: Fleet, node: str) -> None:
    """Its requests go there from now on."""
    handset.api.url = fleet[node].url


async def test_a_call_goes_on_when_the_node_that_runs_it_is_killed(fleet: Fleet, dsn: str) -> None:
    talk = await talking(fleet)
    await fleet[MAIN].kill()
    await talk.goes_on()
    await talk.resumed()
    await talk.goes_on()
    for each in talk.both:
        back = each.all("call_connected")[1]
        assert back.rev is not None
        assert back.rev > ADOPTED
        assert back.data["meter"]["charged"] == 120
    move(talk.mia, fleet, OTHER)
    await talk.hang_up(dsn, talk.mia)


async def test_a_call_goes_on_when_the_node_of_its_callee_is_killed(fleet: Fleet, dsn: str) -> None:
    talk = await talking(fleet)
    await fleet[OTHER].kill()
    # Who is back sooner than the loss is noticed has not been missed at all.
    welcome = await talk.kai.until_event("welcome", 2)
    assert (welcome.data["call"]["id"], welcome.data["call"]["you"]) == (talk.mia.call.id, "active")
    await talk.goes_on()
    for each in talk.both:
        await each.until_state("connected")
        assert each.call.rev < ADOPTED, "its owner has not changed"
    move(talk.kai, fleet, MAIN)
    await talk.hang_up(dsn, talk.kai)


async def test_a_call_goes_from_node_to_node_without_a_pause(fleet: Fleet, dsn: str) -> None:
    talk = await talking(fleet)
    for node, next_node in ((MAIN, OTHER), (OTHER, MAIN)):
        fleet[node].signal(signal.SIGTERM)
        assert await fleet[node].ended() == 0
        for each in talk.both:
            await each.phone.until(lambda: each.phone.wire.connected.is_set())  # noqa: B023
            assert each.phone.wire.url.startswith(fleet[next_node].url.replace("http", "ws"))
            move(each, fleet, next_node)
        await talk.goes_on()
        await fleet.start(node)
    for each in talk.both:
        assert each.all("draining")
        assert each.all("call_reconnecting") == []
        assert len(each.all("call_connected")) == 1
    await talk.hang_up(dsn, talk.kai)


async def test_a_node_that_wakes_after_its_lease_charges_nothing_and_tells_nobody(
    fleet: Fleet, dsn: str
) -> None:
    """It was stopped with all its sockets open, and with timers that were due long ago."""
    talk = await talking(fleet)
    async with site(fleet[MAIN].url) as there:
        witness = await there.device(await there.login(MIA), "tablet")
        frozen = fleet[MAIN]
        frozen.signal(signal.SIGSTOP)
        await talk.goes_on()
        await talk.resumed()
        for each in talk.both:
            assert each.call.rev > ADOPTED
            move(each, fleet, OTHER)
        told = len(witness.events)
        frozen.signal(signal.SIGCONT)
        assert await frozen.ended() == 0
        await witness.closed()
        assert [
            (event["type"], event["rev"]) for event in witness.events[told:] if "rev" in event
        ] == []
        assert witness.close_code in (1006, 1012)
    await talk.goes_on()
    assert len(talk.mia.all("call_connected")) == 2
    await talk.hang_up(dsn, talk.kai)


async def test_a_call_to_which_nobody_comes_back_is_settled_once(
    fleet: Fleet, dsn: str, tmp_path: Path
) -> None:
    talk = await talking(fleet)
    call = talk.mia.call.id
    for each in talk.both:
        await die(each)
    await fleet[MAIN].kill()
    async with site(fleet[OTHER].url) as there:
        mia = await there.login(MIA)

        async def ended() -> Json:
            while True:
                status, answer = await there.ask(mia, "GET", f"/calls/{call}")
                if status == 200 and answer["call"]["state"] == "ended":
                    shown: Json = answer["call"]
                    # Who took it over tells of the end before the books are closed.
                    if (await there.get(mia, f"/calls/{call}/billing"))["settled"]:
                        return shown
                assert status in (200, 503), "503 while nobody has taken it over"
                await asyncio.sleep(0.1)

        async with asyncio.timeout(STEP_S):
            shown = await ended()
        assert (shown["reason"], shown["by"]) == ("connection_lost", "server")
        bill = await there.get(mia, f"/calls/{call}/billing")
        assert (bill["units"], bill["totalCharged"], bill["settled"]) == (1, 120, True)
        balance = await there.get(mia, "/wallet/balance")
        assert (balance["balance"], balance["held"]) == (880, 0)
    await assert_all_is_paid(dsn)


async def die(handset: Handset) -> None:
    """The app is gone, and says no more."""
    wire = handset.phone.wire
    assert wire._task is not None
    wire._task.cancel()
    await asyncio.wait([wire._task])
    if handset.phone.peer is not None:
        await handset.phone.peer.close()
