"""Media through a real coturn and no other way."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, MIA, connect, handset
from tests.end_to_end.coturn import Coturn, coturn

pytestmark = [pytest.mark.chromium, pytest.mark.coturn]


@pytest.fixture
async def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Coturn]:
    """Of the server that is started next, which wants nothing else."""
    directory = tmp_path / "turn"
    directory.mkdir()
    async with coturn(directory) as there:
        for name, value in {**there.settings(), "relay_only": "true"}.items():
            monkeypatch.setenv(f"TALKTIME_{name.upper()}", value)
        yield there


async def test_a_call_shows_no_address_and_goes_through_the_relay(
    relay: Coturn, people: Visitors
) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    await connect(mia, kai)
    for each in (mia, kai):
        await each.hears()
        await each.until("s.call.quality?.relay")
        # Of all candidates, ours and theirs, in trickles and descriptions.
        shown = await each.run(
            "[client._media._peer._pc.localDescription.sdp,"
            " ...events.filter((e) => e.type === 'signal').map((e) => JSON.stringify(e.data))]"
        )
        candidates = re.findall(r"candidate:[^\"\r\n\\]* typ (\w+)", " ".join(shown))
        assert candidates
        assert set(candidates) == {"relay"}
    # New credentials, as they come before the old ones end, are for the next connection.
    call_id = (await mia.call())["id"]
    await mia.run(
        "client.command('ice_servers', { call: it })"
        ".then((data) => client._receive({ type: 'ice_servers', call: it, data }))",
        call_id,
    )
    await mia.run("client._media._peer._lose(client._media._peer._pc)")
    await mia.until_event("call_connected", 2)
    await kai.hears()
    await mia.until("s.call.quality?.relay")
    assert len(relay.said(rf": new, .*:{call_id}>")) >= 2
    await mia.run("client.hangUp()")
    await kai.until_call("ended")


async def test_a_way_that_is_gone_for_some_seconds_is_mended(
    relay: Coturn, people: Visitors, tmp_path: Path
) -> None:
    soon = {"disconnectedMs": 200}
    mia = await handset(people, MIA, timing=soon)
    kai = await handset(people, KAI, timing=soon)
    await connect(mia, kai)
    await mia.hears()
    server = int((tmp_path / "turn" / "pid").read_text())
    os.kill(server, signal.SIGSTOP)
    try:
        # The browsers find out by themselves, and the caller offers a restart.
        await mia.until("client._media._peer.gen >= 2")
        assert (await kai.until_event("call_reconnecting"))["why"] == "ice"
    finally:
        os.kill(server, signal.SIGCONT)
    for each in (mia, kai):
        await each.until_event("call_connected", 2)
        await each.hears()
    assert await mia.faults() == await kai.faults() == []
