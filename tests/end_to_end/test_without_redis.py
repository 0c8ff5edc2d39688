"""Two nodes lose Redis in the middle of a call between them, which does not notice."""

import asyncio

import pytest

from tests.end_to_end.conftest import Start
from tests.end_to_end.driver import Device, Json, connect_call, site
from tests.end_to_end.guarded import KAI, LEA, MIA, NOAH
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.valkey import Valkey

# Without evidence of one leg the call would be over long before the outage is.
SHORT = {
    "TALKTIME_STATS_MS": "1000",
    "TALKTIME_EVIDENCE_MS": "3000",
    "TALKTIME_GRACE_MS": "2000",
}
OUTAGE_S = 8.0
SOON_S = 10.0


async def timely(caller: Device, callee_id: str) -> Json:
    """The reply to a call request, which may not take long."""
    async with asyncio.timeout(SOON_S):
        return await caller.command("call_request", toUserId=callee_id)


@pytest.mark.parametrize(
    ("fault", "links"), [("frozen", "false"), ("killed", "false"), ("frozen", "true")]
)
async def test_calls_across_nodes_go_on_without_redis(
    processes: Start, dsn: str, valkey: Valkey, fault: str, links: str
) -> None:
    settings = {**SHORT, "REDIS_URL": valkey.url, "TALKTIME_LINKS": links}
    west = await processes(TALKTIME_NODE_NAME="west", **settings)
    east = await processes(TALKTIME_NODE_NAME="east", **settings)
    async with site(west.url) as in_west, site(east.url) as in_east:
        mia, noah = await in_west.login(MIA), await in_west.login(NOAH)
        kai, lea = await in_east.login(KAI), await in_east.login(LEA)
        caller, callee = await in_west.device(mia, "a"), await in_east.device(kai, "b")
        other, far = await in_west.device(noah, "c"), await in_east.device(lea, "d")
        call = await connect_call(caller, callee)

        if fault == "frozen":
            valkey.freeze()
        else:
            valkey.kill()
        outage = asyncio.create_task(asyncio.sleep(OUTAGE_S))
        refused = await timely(other, far.user_id)
        assert refused["type"] == "error", refused
        assert refused["data"]["code"] == "unavailable"
        await outage  # Of so many seconds each has to be proved, and billed.
        for device in (caller, callee):
            assert device.all("call_reconnecting") == []
            assert device.all("call_ended") == []
            assert device.close_code is None

        # A call of one node needs nobody else.
        await far.close()
        near = await in_west.device(lea, "d")
        local = await connect_call(other, near)
        async with asyncio.timeout(SOON_S):
            final = (await other.ok("call_end", local))["final"]
        assert final["settled"]

        async with asyncio.timeout(SOON_S):
            final = (await callee.ok("call_end", call))["final"]
            ended = await caller.event("call_ended")
        assert (ended["reason"], ended["by"]) == ("hangup", "callee")
        assert final["talkSeconds"] >= int(OUTAGE_S)
        assert final["settled"]

        if fault == "frozen":
            valkey.thaw()
        else:
            valkey.start()
        async with asyncio.timeout(30):
            while True:
                reply = await caller.command("call_request", toUserId=callee.user_id)
                if reply["type"] == "ok":
                    break
                assert reply["data"]["code"] in ("unavailable", "callee_offline"), reply
                await asyncio.sleep(0.5)
            again = reply["data"]["call"]["id"]
            await callee.event("call_incoming", 2)
            await callee.ok("call_accept", again)
            await callee.ok("call_end", again)
        for device in (caller, callee, other, near):
            assert device.close_code is None
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)
