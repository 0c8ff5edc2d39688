"""A paid call over real sockets, told to a real receiver by webhooks."""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any

import asyncpg

from storage.webhooks import new_secret
from tests.end_to_end.conftest import FastServer, Start
from tests.end_to_end.driver import ROOT, Json, Site, connect_call, site
from tests.end_to_end.test_killed_server import NOBODY_WAITS, assert_books_hold
from tests.end_to_end.test_paid_call import pair
from tests.server.receiver import Got, receiving

FIVE = ["call.requested", "call.connected", "call.low_balance", "call.ended", "call.settled"]


async def add_endpoint(site: Site, url: str, **fields: Any) -> tuple[Json, Json]:
    """The admin's session, and the answer that holds the endpoint and its secret."""
    ada = await site.login("ada@demo.talktime")
    status, made = await site.ask(ada, "POST", "/webhooks/endpoints", {"url": url, **fields})
    assert status == 201, made
    return ada, made


def is_ours_of_the_readme(secret: str, got: Got) -> bool:
    """What the README tells receivers to do."""
    [found] = re.findall(r"```python\n(def is_ours.*?)```", (ROOT / "README.md").read_text(), re.S)
    known: dict[str, Any] = {
        "base64": base64,
        "hmac": hmac,
        "time": time,
        "Mapping": Mapping,
    }
    exec(found, known)
    answer: bool = known["is_ours"](secret, got.headers, got.raw)
    return answer


async def in_the_ledger(dsn: str, call: str) -> tuple[int, int]:
    """What the call's postings took from the caller and gave to the callee."""
    conn = await asyncpg.connect(dsn)
    try:
        row = await conn.fetchrow(
            """
            select sum(t.amount)::bigint,
                   coalesce(sum(t.amount) filter (where t.code = 'call_earning'), 0)::bigint
              from operation o join transfer t on t.operation = o.id and t.at = o.at
             where o.ref = $1 and o.kind = 'call_charge'
            """,
            call,
        )
    finally:
        await conn.close()
    assert row is not None
    return row[0], row[1]


def types(got: list[Got]) -> set[str]:
    return {each.body["type"] for each in got}


async def test_five_events_tell_a_paid_call_and_the_books_are_the_ledgers(
    fast: FastServer, dsn: str
) -> None:
    async with receiving() as receiver:
        _, made = await add_endpoint(fast.site, receiver.url)
        _, caller, callee = await pair(fast, 240)
        call = await connect_call(caller, callee)
        ended = await caller.event("call_ended")
        assert ended["reason"] == "balance_exhausted"
        await receiver.until(lambda got: types(got) == set(FIVE))
        assert all(each.is_signed_by(made["secret"]) for each in receiver.got)
        assert all(is_ours_of_the_readme(made["secret"], each) for each in receiver.got)
        assert not is_ours_of_the_readme(new_secret(), receiver.got[0])
        told = {each.body["type"]: each for each in receiver.got}
        assert {each.data["callId"] for each in told.values()} == {call}
        revs = [told[kind].data["rev"] for kind in FIVE]
        assert revs == sorted(revs)
        assert revs[:4] == sorted(set(revs[:4]))
        # The last revision that the devices were told of.
        assert revs[3] == revs[4] == caller.all("call_ended")[0]["rev"]
        end, books = told["call.ended"].data, told["call.settled"].data
        assert (end["reason"], end["by"]) == ("balance_exhausted", "server")
        assert (end["callerId"], end["calleeId"]) == (caller.user_id, callee.user_id)
        assert (books["charged"], books["earned"]) == await in_the_ledger(dsn, call)
        assert (books["charged"], books["earned"], books["platform"]) == (240, 168, 72)
        assert books["units"] == 2
    await assert_books_hold(dsn)


async def test_operators_see_the_deliveries_and_resend_one_under_its_own_id(
    fast: FastServer,
) -> None:
    async with receiving() as receiver:
        ada, made = await add_endpoint(fast.site, receiver.url, events=["call.settled"])
        _, caller, callee = await pair(fast, 1_000)
        call = await connect_call(caller, callee)
        await caller.ok("call_end", call)
        [settled] = await receiver.times(1)
        assert settled.body["type"] == "call.settled"
        listed = await fast.site.get(ada, f"/webhooks/deliveries?callId={call}")
        [item] = listed["items"]
        assert item["eventId"] == settled.id
        status, _ = await fast.site.ask(ada, "POST", f"/webhooks/deliveries/{item['id']}/resend")
        assert status == 200
        _, again = await receiver.times(2)
        assert (again.id, again.raw) == (settled.id, settled.raw)
        path = f"/webhooks/endpoints/{made['endpoint']['id']}"
        status, _ = await fast.site.ask(ada, "POST", f"{path}/test")
        assert status == 202
        *_, trial = await receiver.times(3)
        assert trial.body["type"] == "webhook.test"
        assert trial.is_signed_by(made["secret"])


async def test_a_call_that_nobody_could_take_has_an_end_and_no_books(fast: FastServer) -> None:
    async with receiving() as receiver:
        await add_endpoint(fast.site, receiver.url)
        _, caller, callee = await pair(fast, 1_000)
        call = await connect_call(caller, callee)
        noah = await fast.site.device(await fast.site.login("noah@demo.talktime"), "third")
        answer = await noah.ok("call_request", toUserId=callee.user_id)
        assert answer["call"]["reason"] == "busy"
        await caller.ok("call_end", call)
        await receiver.until(
            lambda got: [each.body["type"] for each in got].count("call.ended") == 2
        )
        [missed] = [each for each in receiver.got if each.data["callId"] != call]
        assert missed.data["callId"] == answer["call"]["id"]
        assert (missed.data["rev"], missed.data["reason"]) == (0, "busy")
        assert missed.data["callerId"] == noah.user_id


async def test_the_end_of_a_call_survives_its_server_and_is_told_once(
    processes: Start, dsn: str
) -> None:
    first = await processes()
    async with receiving() as receiver:
        async with site(first.url) as there:
            await add_endpoint(there, receiver.url, events=["call.ended", "call.settled"])
            mia, kai = (
                await there.login("mia@demo.talktime"),
                await there.login("kai@demo.talktime"),
            )
            caller, callee = await there.device(mia, "a"), await there.device(kai, "b")
            call = await connect_call(caller, callee)
            await first.kill()
            await caller.closed()
        second = await processes(**NOBODY_WAITS)
        await receiver.times(2)
        await second.kill()
        third = await processes()
        async with site(third.url) as there:
            ada = await there.login("ada@demo.talktime")
            listed = await there.get(ada, f"/webhooks/deliveries?callId={call}")
        assert {each["type"] for each in listed["items"]} == {"call.ended", "call.settled"}
        assert {each["eventId"] for each in listed["items"]} == {each.id for each in receiver.got}
        told = {each.body["type"]: each.data for each in receiver.got}
        assert (told["call.ended"]["reason"], told["call.ended"]["rev"]) == ("server_error", 0)
        books = told["call.settled"]
        assert (books["charged"], books["earned"]) == await in_the_ledger(dsn, call)
        assert books["charged"] == 120
