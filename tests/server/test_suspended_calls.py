"""A suspended account talks with nobody any more, however it was suspended."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from server.suspended_calls import SuspendedCalls
from server.verifying import suspend_person
from signalling.codes import Code, Refused
from storage import calls
from storage.ids import new_id
from storage.pool import Pool
from tests.end_to_end.driver import connect_call
from tests.server.running import development, running
from tests.storage.past import past_call
from tests.storage.world import make_user

MIA, KAI, ADA = "mia@demo.talktime", "kai@demo.talktime", "ada@demo.talktime"


async def test_an_operators_suspension_ends_the_call_before_the_sockets(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia, kai, ada = [await site.login(mail) for mail in (MIA, KAI, ADA)]
        phone, tab = await site.device(mia, "phone"), await site.device(kai, "tab")
        call = await connect_call(phone, tab)
        path = f"/operators/users/{kai['user']['id']}/suspend"
        assert (await site.ask(ada, "POST", path, {"reason": "Rude."}))[0] == 200
        for device in (phone, tab):
            end = await device.event("call_ended")
            assert (end["reason"], end["by"]) == ("admin", "admin")
            assert end["final"]["settled"] is True
        await tab.closed()
        assert tab.close_code == 4504
        shown = (await site.get(mia, f"/calls/{call}"))["call"]
        assert shown["reason"] == "admin"
        assert not phone.all("call_reconnecting"), "a lost socket ended nothing"
        timeline = await site.get(ada, f"/operators/calls/{call}/timeline")
        [told] = [each for each in timeline["items"] if each["kind"] == "audit"]
        assert (told["name"], told["details"]["reason"]) == ("call.end", "Rude.")


async def test_the_command_ends_the_call_on_the_running_server(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        phone = await site.device(await site.login(MIA), "phone")
        tab = await site.device(await site.login(KAI), "tab")
        await connect_call(phone, tab)
        await suspend_person(dsn, MIA)
        for device in (phone, tab):
            end = await device.event("call_ended")
            assert (end["reason"], end["by"]) == ("admin", "admin")


async def test_a_call_that_cannot_be_ended_now_is_tried_again_and_one_that_is_over_is_not(
    pool: Pool,
) -> None:
    refusals = [Code.UNAVAILABLE, Code.NOT_FOUND]

    async def stop(_: UUID) -> None:
        raise Refused(refusals[0], "not now")

    suspended = SuspendedCalls(pool, stop)
    [do] = suspended.handlers().values()
    async with pool.acquire() as conn:
        one, other = await make_user(conn), await make_user(conn)
        live = await past_call(conn, one.id, other.id, ended=False)
        over = await past_call(conn, one.id, other.id)
        assert await calls.live_among(conn, [live, over]) == {live}
    for call_id in (live, over):
        with pytest.raises(Refused):
            await do({"callId": str(call_id)})
    refusals.pop(0)
    with pytest.raises(Refused):  # On its way from one node to another.
        await do({"callId": str(live)})
    await do({"callId": str(over)})
    await do({"callId": str(new_id())})
