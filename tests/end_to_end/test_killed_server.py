"""A server killed in mid-call: the next one closes the books, once, at the last committed beat."""

import asyncio
import os

import asyncpg
import pytest

from signalling.calls.records import read_tariff
from signalling.core.tariff import cost
from storage.pool import connect
from storage.verify import verify
from tests.end_to_end.conftest import Start
from tests.end_to_end.driver import WAIT_S, connect_call, site


async def assert_books_hold(dsn: str) -> None:
    conn = await connect(dsn)
    try:
        checks = await verify(conn, lambda tariff, ms: cost(read_tariff(tariff), ms))
    finally:
        await conn.close()
    assert checks
    assert [(check.name, check.faults) for check in checks if check.faults] == []


async def left_over(dsn: str) -> dict[str, int]:
    """What must be gone when nobody talks."""
    conn: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    try:
        row = await conn.fetchrow(
            """
            select (select count(*) from call_slot) as slots,
                   (select coalesce(sum(held), 0) from account) as held,
                   (select count(*) from meter where state = 'open') as meters,
                   (select count(*) from call where state <> 'ended') as calls
            """
        )
    finally:
        await conn.close()
    assert row is not None
    return {name: int(value) for name, value in row.items()}


NOTHING = {"slots": 0, "held": 0, "meters": 0, "calls": 0}


async def nothing_left(dsn: str) -> None:
    """Until all that was open is closed."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if await left_over(dsn) == NOTHING:
                return
            await asyncio.sleep(0.05)


# A server that starts later than this after the last beat finds that nobody has waited.
NOBODY_WAITS = {"TALKTIME_GRACE_MS": "100"}


async def test_a_call_goes_on_when_its_killed_server_is_there_again(
    processes: Start, dsn: str
) -> None:
    first = await processes()
    async with site(first.url) as there:
        mia, kai = await there.login("mia@demo.talktime"), await there.login("kai@demo.talktime")
        caller, callee = await there.device(mia, "a"), await there.device(kai, "b")
        call = await connect_call(caller, callee)
        await first.kill()
        await caller.closed()
    second = await processes()
    assert b"1 calls go on" in second.said
    async with site(second.url) as there:
        caller, callee = await there.device(mia, "a"), await there.device(kai, "b")
        for device in (caller, callee):
            view = device.all("welcome")[0]["data"]["call"]
            assert (view["id"], view["state"], view["you"]) == (call, "reconnecting", "active")
            assert view["rev"] > 1_000_000
            await device.ok("media_connected", call)
        resumed = await caller.event("call_connected")
        assert (resumed["resumed"], resumed["meter"]["charged"]) == (True, 120)
        answer = await callee.ok("call_end", call)
        assert (answer["final"]["total"], answer["final"]["units"]) == (120, 1)
        assert answer["final"]["settled"]
        await caller.event("call_ended")
        balance = await there.get(mia, "/wallet/balance")
        assert (balance["balance"], balance["held"]) == (880, 0)
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_call_that_nobody_comes_back_to_is_settled_once_and_frees_everything(
    processes: Start, dsn: str
) -> None:
    first = await processes()
    async with site(first.url) as there:
        mia, kai = await there.login("mia@demo.talktime"), await there.login("kai@demo.talktime")
        caller, callee = await there.device(mia, "a"), await there.device(kai, "b")
        call = await connect_call(caller, callee)
        assert (await left_over(dsn))["held"] > 0
        await first.kill()
        await caller.closed()
    second = await processes(**NOBODY_WAITS)
    await nothing_left(dsn)
    async with site(second.url) as there:
        mia = await there.login("mia@demo.talktime")
        billing = await there.get(mia, f"/calls/{call}/billing")
        assert (billing["settled"], billing["totalCharged"], billing["units"]) == (True, 120, 1)
        shown = (await there.get(mia, f"/calls/{call}"))["call"]
        assert (shown["state"], shown["reason"], shown["by"]) == ("ended", "server_error", "server")
        balance = await there.get(mia, "/wallet/balance")
        assert (balance["balance"], balance["held"]) == (880, 0)
        device = await there.device(mia, "a")
        welcome = await device.event("welcome")
        assert [past["id"] for past in welcome["recent"]] == [call]
        assert "call" not in welcome
    assert await left_over(dsn) == NOTHING
    await second.kill()
    third = await processes()
    async with site(third.url) as there:
        mia = await there.login("mia@demo.talktime")
        assert (await there.get(mia, "/wallet/balance"))["balance"] == 880
        # Told once by whichever of the two came to it.
        inbox = await there.get(mia, "/notifications")
        for _ in range(200):
            if inbox["items"]:
                break
            await asyncio.sleep(0.05)
            inbox = await there.get(mia, "/notifications")
        assert [told["type"] for told in inbox["items"]] == ["CALL_SUMMARY"]
        assert inbox["items"][0]["relatedEntityId"] == call
    await assert_books_hold(dsn)


async def test_calls_killed_before_their_answer_cost_nothing(processes: Start, dsn: str) -> None:
    first = await processes()
    async with site(first.url) as there:
        mia, kai = await there.login("mia@demo.talktime"), await there.login("kai@demo.talktime")
        noah, lea = await there.login("noah@demo.talktime"), await there.login("lea@demo.talktime")
        ringing, _ = await there.device(mia, "a"), await there.device(kai, "b")
        answered, answering = await there.device(noah, "c"), await there.device(lea, "d")
        await ringing.ok("call_request", toUserId=kai["user"]["id"])
        reply = await answered.ok("call_request", toUserId=lea["user"]["id"])
        await answering.ok("call_accept", reply["call"]["id"])
        assert await left_over(dsn) == {"slots": 4, "held": 180, "meters": 2, "calls": 2}
        await first.kill()
    second = await processes(**NOBODY_WAITS)
    await nothing_left(dsn)
    async with site(second.url) as there:
        for email in ("mia@demo.talktime", "noah@demo.talktime"):
            session = await there.login(email)
            balance = await there.get(session, "/wallet/balance")
            assert (balance["balance"], balance["available"]) == (1_000, 1_000)
            calls = await there.get(session, "/calls")
            assert [past["billedPoints"] for past in calls["items"]] == [0]
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_ctrl_c_leaves_calls_to_the_next_life_and_no_process(
    processes: Start, dsn: str
) -> None:
    server = await processes()
    async with site(server.url) as there:
        mia, kai = await there.login("mia@demo.talktime"), await there.login("kai@demo.talktime")
        caller, callee = await there.device(mia, "a"), await there.device(kai, "b")
        call = await connect_call(caller, callee)
        assert await server.interrupt() == 0
        await caller.closed()
        assert caller.all("draining")
        assert (caller.close_code, caller.all("call_ended")) == (1012, [])
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
    again = await processes()
    async with site(again.url) as there:
        caller, callee = await there.device(mia, "a"), await there.device(kai, "b")
        view = caller.all("welcome")[0]["data"]["call"]
        # As it stood: with its numbers, and without an interruption.
        assert (view["id"], view["state"], view["rev"]) == (call, "connected", 5)
        answer = await caller.ok("call_end", call)
        assert (answer["final"]["total"], answer["final"]["settled"]) == (120, True)
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_second_server_on_the_same_database_is_refused_by_name(
    processes: Start, dsn: str
) -> None:
    await processes()
    with pytest.raises(AssertionError, match="another process runs as node 'main'"):
        await processes()
