"""A server that is late with its work refuses new calls, and says when to ask again."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.watching import Watching
from signalling.core.gate import BURST
from tests.end_to_end.driver import connect_call
from tests.server.running import development, running
from tests.server.test_app import KAI, MIA

LEA = "lea@demo.talktime"


async def test_while_it_is_late_new_calls_are_refused_and_live_ones_go_on(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(dsn, development(tmp_path, late_max_ms=100)) as there:
        site, ground = there.site, there.server.live.ground
        mia, kai = [await site.device(await site.login(email), "phone") for email in (MIA, KAI)]
        lea = await site.login(LEA)
        call = await connect_call(mia, kai)
        monkeypatch.setattr(Watching, "loop_late_ms", 60_000.0)
        while not ground.wait_ms():
            pass  # It takes a few at once however late it is.
        status, told = await site.ask(lea, "POST", "/calls", {"toUserId": kai.user_id})
        assert (status, told["error"]) == (503, "UNAVAILABLE")
        assert there.server.gate.refused >= 2
        await mia.ok("call_end", call)
        await kai.event("call_ended")
        while not ground.wait_ms():
            pass
        refused = await mia.command("call_request", toUserId=kai.user_id)
        assert refused["data"]["code"] == "unavailable"
        assert refused["data"]["retryAfterMs"] >= 1_000
        monkeypatch.undo()
        assert (await mia.ok("call_request", toUserId=kai.user_id))["call"]["state"] == "requested"


async def test_with_the_limit_off_it_takes_calls_however_late_it_is(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watching, "loop_late_ms", 60_000.0)
    async with running(dsn, development(tmp_path, late_max_ms=0)) as there:
        assert not any(there.server.live.ground.wait_ms() for _ in range(10 * int(BURST)))
