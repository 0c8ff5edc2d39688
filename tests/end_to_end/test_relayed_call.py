"""A call whose sound goes through a real coturn and no other way, and shows no address."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.coturn import Coturn, coturn
from tests.end_to_end.test_killed_server import assert_books_hold
from tests.end_to_end.test_metrics import scrape
from tests.end_to_end.town import KAI, KAI_HZ, MIA, MIA_HZ, Handset, Town, connect
from tests.server.running import development, running
from tests.signalling.client.waiting import until

pytestmark = pytest.mark.coturn


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Coturn]:
    """One that asks for everything anew within a second or two, as a long call would see it."""
    async with coturn(
        tmp_path, max_allocate_lifetime=3, stale_nonce=2, permission_lifetime=1
    ) as there:
        yield there


@pytest.fixture
async def town(relay: Coturn, dsn: str, tmp_path: Path) -> AsyncIterator[Town]:
    config = development(tmp_path / "data", relay_only=True, **relay.settings())
    async with running(dsn, config) as there:
        opened = Town(there)
        yield opened
        await opened.close()
    await assert_books_hold(dsn)


def connection_of(handset: Handset) -> Any:
    """aioice's connection of the phone's only link."""
    peer = handset.phone.peer
    assert peer is not None
    assert peer._link is not None
    [transceiver] = peer._link.pc.getTransceivers()
    return transceiver.receiver.transport.transport._connection


async def test_sound_goes_through_the_relay_alone(town: Town, relay: Coturn) -> None:
    mia = await town.handset(MIA, "phone", MIA_HZ, relay_only=True)
    kai = await town.handset(KAI, "desk", KAI_HZ, relay_only=True)
    before = await scrape(town.there.site)
    await connect(mia, kai)
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)

    for handset in (mia, kai):
        peer = handset.phone.peer
        assert peer is not None
        assert peer._link is not None
        assert peer._link.pair_types() == ("relay", "relay")
        assert (await peer.stats()).relay is True
        connection = connection_of(handset)
        assert {each.type for each in connection.local_candidates} == {"relay"}
        assert {each.type for each in connection.remote_candidates} == {"relay"}
        # Nothing of the link is open but the socket to the TURN server.
        assert [type(each.transport).__name__ for each in connection._protocols] == [
            "TurnTransport"
        ]
        for signal in handset.all("signal"):
            for line in re.findall(r"candidate:[^\r\n]*", signal.data.get("sdp", "")):
                assert " typ relay raddr 0.0.0.0 rport 0" in line

    # The server's own account of it: one allocation for each leg, and bytes to and from peers.
    call_id = mia.call.id
    made = relay.said(rf": new, .*:{call_id}>")
    assert {line.split("username=<")[1].split(":")[1] for line in made} == {
        mia.user_id,
        kai.user_id,
    }
    # Allocations, nonces and permissions have run out and been made anew: the sound goes on.
    await relay.says(rf"refreshed.*:{call_id}>, lifetime=3", 4)
    await relay.says(r"error 438: Stale nonce", 2)
    frames = [handset.phone.sink.frames for handset in (mia, kai)]
    await until(lambda: mia.phone.sink.frames > frames[0] + 25)
    await until(lambda: kai.phone.sink.frames > frames[1] + 25)
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)

    now = await scrape(town.there.site)

    def grew(line: str) -> float:
        return now[line] - before.get(line, 0.0)

    assert grew("talktime_media_legs_total{route=relay}") == 2
    assert grew("talktime_media_setup_seconds_count{route=relay}") == 2
    assert now["talktime_relayed_legs_active"] == 2

    ended = await mia.phone.hang_up()
    await kai.until_state("ended")
    assert ended.final["total"] == 120
    for line in await relay.says(rf": peer usage: .*:{call_id}>", 2):
        received, sent = re.findall(r"r[p]=(\d+)|sp=(\d+)", line)
        assert int(received[0]) > 100
        assert int(sent[1]) > 100
    assert mia.phone.faults == kai.phone.faults == []
    assert (await scrape(town.there.site))["talktime_relayed_legs_active"] == 0


async def test_a_phone_that_offers_its_addresses_is_heard_without_showing_them(
    town: Town, relay: Coturn
) -> None:
    """The server sees to it: this client is one of those that offer all they have."""
    mia = await town.handset(MIA, "phone", MIA_HZ)
    kai = await town.handset(KAI, "desk", KAI_HZ, relay_only=True)
    await connect(mia, kai)
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)
    offered = {each.type for each in connection_of(mia).local_candidates}
    assert offered >= {"host", "relay"}
    for signal in kai.all("signal"):
        lines = re.findall(r"candidate:[^\r\n]*", signal.data.get("sdp", ""))
        assert all(" typ relay raddr 0.0.0.0 rport 0" in line for line in lines)
    await mia.phone.hang_up()
    await kai.until_state("ended")
