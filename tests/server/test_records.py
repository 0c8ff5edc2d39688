"""What a whole server writes down for its operators, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.metrics import Metrics
from server.records import Records
from storage.node_samples import Gauges
from storage.pool import Pool
from tests.end_to_end.driver import Json, Site, connect_call
from tests.rest.harness import FakeClock
from tests.server.running import Running, development, running

MIA, KAI, ADA = "mia@demo.talktime", "kai@demo.talktime", "ada@demo.talktime"
WAIT_S = 20.0


async def a_call(site: Site) -> str:
    """A paid call that has ended."""
    mia, kai = await site.login(MIA), await site.login(KAI)
    caller, callee = await site.device(mia, "phone"), await site.device(kai, "desk")
    call = await connect_call(caller, callee)
    await caller.ok("call_end", call)
    await callee.event("call_ended")
    return call


async def timeline(there: Running, ada: Json, call: str) -> Json:
    """When the journal is written."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await there.site.get(ada, f"/operators/calls/{call}/timeline")
            if not found["missing"]:
                return found
            await asyncio.sleep(0.05)


async def test_a_call_can_be_read_again_after_its_end(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        call = await a_call(there.site)
        ada = await there.site.login(ADA)
        found = await timeline(there, ada, call)
        told = [(each["lane"], each["kind"], each["name"]) for each in found["items"]]
        for wanted in (
            ("caller", "input", "call_request"),
            ("callee", "input", "accepted"),
            ("caller", "event", "call_tick"),
            ("money", "tick", "charged"),
            ("money", "transfer", "call_earning"),
            ("callee", "event", "call_ended"),
        ):
            assert wanted in told
        shown = await there.site.get(ada, f"/operators/calls/{call}")
        assert (shown["call"]["charged"], shown["call"]["node"]) == (120, "main")


async def test_a_journal_survives_a_server_that_is_stopped(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        call = await a_call(there.site)
    async with running(dsn, development(tmp_path)) as there:
        found = await timeline(there, await there.site.login(ADA), call)
        [journal] = found["journals"]
        assert (journal["node"], journal["live"]) == ("main", False)


async def test_a_server_tells_how_it_is_doing(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        ada, mia, kai = [await site.login(mail) for mail in (ADA, MIA, KAI)]
        caller, callee = await site.device(mia, "phone"), await site.device(kai, "desk")
        call = await connect_call(caller, callee)
        overview = await site.get(ada, "/operators/overview")
        assert overview["liveCalls"]["connected"] == 1
        assert (overview["liveCalls"]["total"], overview["ringing"]) == (1, 0)
        assert (overview["sockets"], overview["usersOnline"]) == (2, 2)
        assert (overview["callsToday"], overview["answeredToday"]) == (1, 1)
        assert overview["chargedToday"] == 120
        assert (overview["nodesAlive"], overview["nodes"]) == (1, ["main"])
        sampling = there.server.records._sampling
        await sampling.write(there.server.clock())
        overview = await site.get(ada, "/operators/overview")
        assert overview["requestsPerMinute"] >= 4
        assert (overview["callsLastMinute"], overview["chargedLastMinute"]) == (1, 120)
        await caller.ok("call_end", call)


async def test_before_there_is_a_node_nothing_is_going_on(pool: Pool) -> None:
    records = Records(pool, 1, Metrics(), clock=FakeClock())
    assert records.gauges() == Gauges()
    await records.stop()
    assert [each.name for each in records.chores()] == ["old_call_journals", "old_node_samples"]
