"""Calls of everybody by REST: for admins only, as their nodes have them, ended where they run."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from signalling.calls import oversight
from signalling.nodes.parcels import Asked
from storage.ids import new_id
from tests.rest.operators.conftest import CALLS, Desk, call_id
from tests.signalling.cluster import move

AT = "2027-01-15T08:00:00Z"


async def test_a_live_call_is_shown_as_its_node_has_it(desk: Desk) -> None:
    await desk.apart.connect()
    await desk.apart.talk(70_000)
    [view] = (await desk.get(f"{CALLS}?state=live"))["items"]
    assert view["id"] == desk.call
    assert view["caller"] == {"id": str(desk.apart.ann.id), "name": "Ann"}
    assert view["callee"] == {"id": str(desk.apart.kai.id), "name": "Kai"}
    assert (view["state"], view["node"], view["kind"]) == ("connected", "west", "audio")
    assert (view["charged"], view["earned"], view["currency"]) == (200, 140, "PTS")
    assert (view["talkSeconds"], view["elapsedSeconds"], view["units"]) == (70, 70, 2)
    assert view["quality"] == {"caller": "good", "callee": "good"}
    assert (view["endedAt"], view["reason"], view["endedBy"]) == (None, None, None)


async def test_one_call_has_its_tariff_legs_meter_and_postings(desk: Desk) -> None:
    await desk.apart.connect()
    call = (await desk.get(desk.path))["call"]
    assert call["tariff"]["pricePerMinute"] == 100
    assert call["legs"]["caller"]["device"] == "phone"
    assert call["legs"]["callee"]["device"] == "tab"
    assert call["legs"]["callee"]["media"] is True
    meter = call["meter"]
    assert (meter["running"], meter["held"], meter["balance"]) == (True, 100, 400)
    assert meter["fundedUntil"] > call["connectedAt"]
    [unit] = call["billingUnits"]
    assert (unit["n"], unit["amount"], unit["total"]) == (1, 100, 100)
    assert (call["owners"], call["connectOn"]) == (1, "media")


async def test_an_ended_call_is_shown_by_its_row(desk: Desk) -> None:
    await desk.apart.connect()
    await desk.hung_up()
    call = (await desk.get(desk.path))["call"]
    assert (call["state"], call["reason"], call["endedBy"]) == ("ended", "hangup", "caller")
    assert (call["charged"], call["elapsedSeconds"], call["meter"]) == (100, None, None)
    assert (call["quality"], call["node"]) == (None, "west")
    assert call["legs"]["caller"] == {
        "device": "phone", "here": None, "media": None, "quality": None, "relay": None,
        "audio": None, "video": None, "hold": None,
    }  # fmt: skip


async def test_of_a_node_that_does_not_answer_the_row_is_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oversight, "LOOK_S", 0.05)
    await desk.apart.connect()
    desk.cluster.space.lose = lambda parcel: isinstance(parcel, Asked)
    call = (await desk.get(desk.path))["call"]
    assert (call["quality"], call["charged"], call["meter"]["held"]) == (None, 100, 100)
    assert (call["meter"]["balance"], call["meter"]["fundedUntil"]) == (None, None)
    assert call["legs"]["caller"]["here"] is None
    items = await desk.items()
    assert {each["kind"] for each in items} == {"state", "tick", "transfer"}


async def test_a_list_has_filters(desk: Desk) -> None:
    ann, kai, stranger = desk.apart.ann.id, desk.apart.kai.id, uuid4()
    await desk.apart.connect()
    first = desk.call
    await desk.hung_up()
    await desk.cluster.passes(5_000)
    await desk.apart.ring()
    second = desk.call
    assert await desk.listed() == [second, first]
    assert await desk.listed(state="live") == [second]
    assert await desk.listed(state="ended") == [first]
    assert await desk.listed(userId=ann) == [second, first]
    assert await desk.listed(userId=kai, state="live") == [second]
    assert await desk.listed(userId=stranger) == []
    assert await desk.listed(userId=stranger, state="live") == []
    assert await desk.listed(reason="hangup") == [first]
    assert await desk.listed(reason="busy") == []
    assert await desk.listed(userId=ann, reason="hangup") == [first]
    later = "2027-01-15T08:00:04Z"
    assert await desk.listed(since=AT, until=later) == [first]
    assert await desk.listed(since=later) == [second]
    assert await desk.listed(since=later, state="live") == [second]
    assert await desk.listed(until=later, state="live") == []
    assert await desk.listed(limit=1, offset=1) == [first]
    body = await desk.get(f"{CALLS}?limit=1")
    assert (body["total"], body["limit"], body["offset"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("state=dead", "INVALID_FILTER", "state"),
        ("userId=1", "INVALID_FILTER", "userId"),
        ("reason=boredom", "INVALID_FILTER", "reason"),
        ("state=live&reason=hangup", "INVALID_FILTER", "reason"),
        ("since=yesterday", "INVALID_FILTER", "since"),
        (f"since={AT}&until=2027-01-15T07:00:00Z", "INVALID_FILTER", "until"),
        ("since=0001-01-01T00:00:00%2B14:00", "INVALID_FILTER", "since"),
        ("limit=0", "INVALID_LIMIT", "limit"),
        ("offset=-1", "INVALID_OFFSET", "offset"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(
    desk: Desk, query: str, code: str, field: str
) -> None:
    answer = await desk.rest.call("GET", f"{CALLS}?{query}", by=desk.admin, status=400)
    assert (answer.error, answer.body["details"]["field"]) == (code, field)


async def test_a_call_that_is_not_there_is_not_found(desk: Desk) -> None:
    desk.apart.call = str(new_id())
    for path in (desk.path, f"{desk.path}/timeline"):
        answer = await desk.rest.call("GET", path, by=desk.admin, status=404)
        assert answer.error == "CALL_NOT_FOUND"
    assert (await desk.end(status=404)).error == "CALL_NOT_FOUND"


async def test_nobody_else_may_see_or_end_them(desk: Desk) -> None:
    await desk.apart.connect()
    companion = await desk.rest.person("Eve", roles=["customer", "companion"])
    for path in (CALLS, desk.path, f"{desk.path}/timeline"):
        assert (await desk.rest.call("GET", path, by=companion, status=403)).error == "FORBIDDEN"
    body = {"reason": "I want it"}
    await desk.rest.call("POST", f"{desk.path}/end", by=companion, json=body, status=403)
    assert desk.apart.state.state == "connected"


# -- ending


async def test_a_call_is_ended_on_another_node_and_the_reason_kept(desk: Desk) -> None:
    await desk.apart.connect()
    answer = await desk.end("Reported by the callee.")
    call = answer.body["call"]
    assert (call["state"], call["reason"], call["endedBy"]) == ("ended", "admin", "admin")
    assert (call["charged"], call["node"]) == (100, "west")
    await desk.cluster.quiet()
    for device in (desk.apart.phone, desk.apart.tab):
        ended = await device.event("call_ended")
        assert (ended["data"]["reason"], ended["data"]["by"]) == ("admin", "admin")
    lines = await desk.rest.pool.fetch(
        "select actor, action, reason from audit_log where target_id = $1", call_id(desk)
    )
    assert [tuple(line) for line in lines] == [
        (desk.admin.id, "call.end", "Reported by the callee.")
    ]
    await desk.cluster.check_books()


async def test_ending_again_changes_nothing(desk: Desk) -> None:
    await desk.apart.ring()
    first = await desk.end("Once.")
    again = await desk.end("Twice.")
    assert first.body["call"]["reason"] == "admin"
    assert again.body["call"] == first.body["call"]
    count = await desk.rest.pool.fetchval("select count(*) from audit_log")
    assert count == 1


async def test_two_who_end_it_at_once_leave_one_line(desk: Desk) -> None:
    await desk.apart.connect()
    answers = await asyncio.gather(desk.end("One."), desk.end("Other."))
    assert {each.body["call"]["reason"] for each in answers} == {"admin"}
    assert await desk.rest.pool.fetchval("select count(*) from audit_log") == 1


async def test_a_call_that_has_ended_by_itself_keeps_its_reason(desk: Desk) -> None:
    await desk.apart.connect()
    await desk.hung_up()
    assert (await desk.end()).body["call"]["reason"] == "hangup"
    assert await desk.rest.pool.fetchval("select count(*) from audit_log") == 0


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, None, 5])
async def test_a_reason_is_needed(desk: Desk, reason: object) -> None:
    await desk.apart.ring()
    answer = await desk.rest.call(
        "POST", f"{desk.path}/end", by=desk.admin, json={"reason": reason}, status=400
    )
    assert (answer.error, answer.body["details"]["field"]) == ("INVALID_REASON", "reason")


# -- the timeline


def names(items: list[dict[str, object]]) -> list[tuple[object, object, object]]:
    return [(each["lane"], each["kind"], each["name"]) for each in items]


async def test_a_timeline_of_a_live_call_comes_from_its_node(desk: Desk) -> None:
    await desk.apart.connect()
    body = await desk.get(f"{desk.path}/timeline")
    [journal] = body["journals"]
    assert (journal["claim"], journal["node"], journal["live"]) == (0, "west", True)
    assert (body["missing"], body["truncated"]) == (0, False)
    told = names(body["items"])
    assert ("callee", "input", "accepted") in told
    assert ("caller", "event", "call_connected") in told
    assert ("money", "tick", "charged") in told


async def test_a_timeline_says_what_happened_in_order(desk: Desk) -> None:
    await desk.apart.connect()
    await desk.hung_up()
    body = await desk.get(f"{desk.path}/timeline")
    items = body["items"]
    assert [each["at"] for each in items] == sorted(each["at"] for each in items)
    told = names(items)
    wanted = [
        ("server", "state", "requested"),
        ("caller", "input", "call_request"),
        ("callee", "event", "call_incoming"),
        ("callee", "input", "rang"),
        ("callee", "input", "accepted"),
        ("caller", "event", "call_connected"),
        ("money", "input", "charge_posted"),
        ("caller", "input", "hung_up"),
        ("money", "input", "settled"),
        ("callee", "event", "call_ended"),
    ]
    places = [told.index(each) for each in wanted]
    assert places == sorted(places)
    [journal] = body["journals"]
    assert (journal["live"], journal["node"], body["missing"]) == (False, "west", 0)


async def test_the_money_of_a_timeline_is_the_ledgers(desk: Desk) -> None:
    await desk.apart.connect()
    await desk.hung_up()
    items = [each for each in await desk.items() if each["kind"] in ("tick", "transfer")]
    [tick, earning, fee] = [each["details"] for each in items]
    assert tick == {"n": 1, "amount": 100, "total": 100, "currency": "PTS"}
    assert earning == {
        "operation": "call_charge", "amount": 70, "currency": "PTS", "from": "call_credits",
        "fromOwner": "caller", "to": "earnings_pending", "toOwner": "callee",
    }  # fmt: skip
    assert (fee["amount"], fee["to"], fee["toOwner"]) == (30, "platform_fee", "house")
    assert [each["name"] for each in items] == ["charged", "call_earning", "platform_fee"]


async def test_what_operators_did_is_in_it(desk: Desk) -> None:
    await desk.apart.connect()
    await desk.end("Reported.")
    await desk.written()
    items = await desk.items()
    [audit] = [each for each in items if each["kind"] == "audit"]
    assert (audit["lane"], audit["name"]) == ("operator", "call.end")
    assert audit["details"] == {
        "by": str(desk.admin.id), "byName": "Root", "reason": "Reported.",
    }  # fmt: skip
    assert ("operator", "input", "stopped") in names(items)


async def test_a_call_that_is_handed_over_has_the_journals_of_both_nodes(desk: Desk) -> None:
    await desk.apart.connect()
    await desk.cluster.drain(desk.apart.west)
    await desk.written()
    body = await desk.get(f"{desk.path}/timeline")
    [first, second] = body["journals"]
    assert (first["claim"], first["node"], first["live"]) == (0, "west", False)
    assert (second["claim"], second["live"]) == (1, True)
    assert body["missing"] == 0
    told = names(body["items"])
    assert told.index(("callee", "input", "accepted")) < told.index(
        ("server", "input", "taken_over")
    )


async def test_the_journal_of_a_killed_node_is_lost_and_said_to_be(desk: Desk) -> None:
    apart = desk.apart
    await apart.connect()
    await desk.cluster.kill(apart.west)
    await desk.cluster.sweep(apart.east)
    await move(apart.phone, apart.east)
    body = await desk.get(f"{desk.path}/timeline")
    assert (body["missing"], [each["claim"] for each in body["journals"]]) == (1, [1])
    told = names(body["items"])
    assert ("server", "state", "accepted") in told or ("server", "state", "connected") in told
    assert ("callee", "input", "accepted") not in told
    assert ("money", "tick", "charged") in told
