"""Paid calls over real sockets and a real database, their minutes running sixty times as fast."""

import asyncio
from typing import Any

from tests.end_to_end.conftest import FastServer
from tests.end_to_end.driver import Device, Json, Site, connect_call
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over

PRICE = 120


async def customer(site: Site, name: str, balance: int) -> Json:
    """A new account with exactly this much in its wallet, paid in through the sandbox."""
    body = {"name": name, "email": f"{name.lower()}@people.example", "password": "pass-word-1"}
    async with site.http.post(f"{site.url}/auth/signup", json=body) as answer:
        session: Json = await answer.json()
        assert answer.status == 201, session
    if balance:
        await top_up(site, session, balance)
    return session


async def top_up(site: Site, session: Json, amount: int) -> None:
    status, opened = await site.ask(
        session, "POST", "/payments", {"amount": amount, "method": "sandbox"}
    )
    assert status == 201, opened
    payment = opened["payment"]
    async with site.http.post(payment["checkoutUrl"], json={"outcome": "pay"}) as answer:
        assert answer.status == 200, await answer.text()
    shown = await site.get(session, f"/payments/{payment['id']}")
    assert shown["payment"]["status"] == "completed"


async def pair(fast: FastServer, balance: int) -> tuple[Json, Device, Device]:
    site = fast.site
    session = await customer(site, "Ada", balance)
    kai = await site.login("kai@demo.talktime")
    return session, await site.device(session, "phone"), await site.device(kai, "desk")


def ticks(device: Device) -> list[tuple[Any, ...]]:
    return [
        (data["unit"], data["charged"], data["total"], data["status"], data.get("balance"))
        for data in (event["data"] for event in device.all("call_tick"))
    ]


async def test_seventy_seconds_at_120_a_minute_cost_two_units_on_every_page(
    fast: FastServer, dsn: str
) -> None:
    session, caller, callee = await pair(fast, 1_000)
    call = await connect_call(caller, callee)
    await callee.event("call_tick", 2)
    await asyncio.sleep(10 / fast.speed)  # The call itself: seconds 60 to 70.
    ended = await caller.ok("call_end", call)
    assert (ended["final"]["units"], ended["final"]["total"]) == (2, 240)
    assert ended["final"]["settled"] is True
    for device in (caller, callee):
        event = await device.event("call_ended")
        assert (event["reason"], event["by"]) == ("hangup", "caller")
        assert event["final"] == ended["final"]
    assert ticks(caller) == [(1, 120, 120, "ok", 880), (2, 120, 240, "ok", 760)]
    assert ticks(callee) == [(1, 120, 120, "ok", None), (2, 120, 240, "ok", None)]
    billing = await fast.site.get(session, f"/calls/{call}/billing")
    assert (billing["units"], billing["totalCharged"], billing["settled"]) == (2, 240, True)
    assert [unit["chargedPoints"] for unit in billing["billingUnits"]] == [120, 120]
    kai = await fast.site.login("kai@demo.talktime")
    earned = await fast.site.get(kai, f"/calls/{call}/billing")
    assert earned["earned"] == 168
    balance = await fast.site.get(session, "/wallet/balance")
    assert (balance["balance"], balance["available"], balance["held"]) == (760, 760, 0)
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_too_little_money_is_refused_with_both_figures_and_no_call_exists(
    fast: FastServer, dsn: str
) -> None:
    session, caller, callee = await pair(fast, 100)
    reply = await caller.command("call_request", toUserId=callee.user_id)
    assert reply["type"] == "error"
    error = reply["data"]
    assert (error["code"], error["required"], error["available"]) == (
        "insufficient_funds",
        120,
        100,
    )
    assert (await fast.site.get(session, "/calls"))["items"] == []
    assert callee.all("call_incoming") == []
    status, body = await fast.site.ask(session, "POST", "/calls", {"toUserId": callee.user_id})
    assert (status, body["error"]) == (402, "INSUFFICIENT_FUNDS")
    assert (body["details"]["required"], body["details"]["available"]) == (120, 100)
    assert await left_over(dsn) == NOTHING


async def test_the_call_is_cut_when_the_money_ends_after_true_warnings(
    fast: FastServer, dsn: str
) -> None:
    session, caller, callee = await pair(fast, 240)
    call = await connect_call(caller, callee)
    connected = await caller.event("call_connected")
    for device in (caller, callee):
        ended = await device.event("call_ended")
        assert (ended["reason"], ended["by"]) == ("balance_exhausted", "server")
        assert (ended["final"]["talkSeconds"], ended["final"]["total"]) == (120, 240)
    assert ticks(caller) == [(1, 120, 120, "low_balance", 120), (2, 120, 240, "last", 0)]
    end = connected["connectedAt"] + 120_000
    warned = [event["data"] for event in caller.all("balance_low")]
    assert [(warning["endsAt"], warning["withdrawn"]) for warning in warned] == [(end, False)] * 2
    shown = (await fast.site.get(session, f"/calls/{call}"))["call"]
    assert shown["durationSeconds"] == 120
    assert (await fast.site.get(session, "/wallet/balance"))["balance"] == 0
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_top_up_in_mid_call_withdraws_the_warning_and_the_call_goes_on(
    fast: FastServer, dsn: str
) -> None:
    session, caller, callee = await pair(fast, 240)
    call = await connect_call(caller, callee)
    await caller.event("balance_low")
    await top_up(fast.site, session, 480)
    updated = await caller.event("wallet_updated")
    assert updated["reason"] == "topup"
    await caller.event("call_tick", 3)
    assert [event["data"]["withdrawn"] for event in caller.all("balance_low")][:2] == [False, True]
    await callee.ok("call_end", call)
    ended = await caller.event("call_ended")
    assert (ended["reason"], ended["by"], ended["final"]["total"]) == ("hangup", "callee", 360)
    assert (await fast.site.get(session, "/wallet/balance"))["balance"] == 360
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_call_by_rest_alone_is_answered_billed_and_ended_without_a_socket(
    fast: FastServer, dsn: str
) -> None:
    site = fast.site
    session, kai = await customer(site, "Ben", 500), await site.login("kai@demo.talktime")
    status, opened = await site.ask(
        session, "POST", "/calls", {"toUserId": kai["user"]["id"], "connectOn": "answer"}
    )
    assert status == 201, opened
    call = opened["call"]["id"]
    live = await site.get(kai, "/calls/active")
    assert live["call"]["id"] == call
    status, answered = await site.ask(kai, "PATCH", f"/calls/{call}/answer")
    assert (status, answered["call"]["state"]) == (200, "connected")
    await asyncio.sleep(5 / fast.speed)  # The call itself: five seconds.
    status, ended = await site.ask(session, "PATCH", f"/calls/{call}/end")
    assert (status, ended["call"]["billedPoints"]) == (200, 120)
    status, again = await site.ask(kai, "PATCH", f"/calls/{call}/end")
    assert (status, again["call"]["billedPoints"]) == (200, 120)
    assert (await site.get(session, "/wallet/balance"))["balance"] == 380
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_nobody_can_act_on_a_call_of_others(fast: FastServer, dsn: str) -> None:
    _, caller, callee = await pair(fast, 1_000)
    noah = await fast.site.login("noah@demo.talktime")
    stranger = await fast.site.device(noah, "stranger")
    call = await connect_call(caller, callee)
    for kind, data in (
        ("call_end", {}),
        ("call_accept", {}),
        ("call_take", {}),
        ("media_connected", {}),
        ("signal", {"kind": "offer", "gen": 1, "sdp": "v=0\r\n"}),
        ("ice_servers", {}),
    ):
        reply = await stranger.command(kind, call, **data)
        assert reply["data"]["code"] == "not_your_call", kind
    for method, path in (
        ("GET", ""),
        ("GET", "/billing"),
        ("PATCH", "/end"),
        ("PATCH", "/answer"),
        ("GET", "/ice-servers"),
    ):
        status, body = await fast.site.ask(noah, method, f"/calls/{call}{path}")
        assert status in (403, 404), (path, body)
    await caller.ok("call_end", call)
    assert stranger.all("call_ended") == []
    assert await left_over(dsn) == NOTHING
