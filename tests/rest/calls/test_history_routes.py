from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from storage.ids import new_id
from tests.rest.calls.conftest import Exchange
from tests.rest.harness import START_MS, Person


@pytest.fixture
async def ann(exchange: Exchange) -> Person:
    return await exchange.customer(funds=1_000)


@pytest.fixture
async def kai(exchange: Exchange) -> Person:
    return await exchange.provider(price=100)


async def ids(exchange: Exchange, by: Person, query: str) -> list[str]:
    body = (await exchange.get(by, f"/calls?{query}")).body
    assert body["total"] == len(body["items"])
    return [each["id"] for each in body["items"]]


async def talk(exchange: Exchange, ann: Person, kai: Person, ms: int) -> str:
    call_id = await exchange.request(ann, kai)
    await exchange.patch(kai, call_id, "answer", status=200)
    await exchange.node.passes(ms)
    return call_id


async def refund(exchange: Exchange, call_id: str) -> None:
    await exchange.rest.call(
        "POST",
        f"/calls/{call_id}/refund",
        by=await exchange.admin(),
        json={"reason": "no sound"},
        status=200,
    )


async def test_each_filter_finds_its_calls_on_both_sides(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    cancelled = await exchange.request(ann, kai)
    await exchange.patch(ann, cancelled, "cancel", status=200)
    await exchange.node.passes(700_000)
    spoken = await talk(exchange, ann, kai, 61_000)
    await exchange.patch(ann, spoken, "end", status=200)
    middle = datetime.fromtimestamp((START_MS + 600_000) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    for by, query, found in (
        (ann, "role=caller", [spoken, cancelled]),
        (ann, "role=callee", []),
        (kai, "role=receiver", [spoken, cancelled]),
        (kai, "role=receiver&sort=oldest", [cancelled, spoken]),
        (kai, "status=missed", [cancelled]),
        (ann, "status=missed", []),
        (ann, "status=cancelled", [cancelled]),
        (ann, "status=completed", [spoken]),
        (ann, "status=failed", []),
        (ann, "kind=audio", [spoken, cancelled]),
        (ann, "type=video", []),
        (ann, f"withUser={kai.id}", [spoken, cancelled]),
        (kai, f"withUser={kai.id}", []),
        (ann, f"from={middle}", [spoken]),
        (ann, f"to={middle}", [cancelled]),
    ):
        assert await ids(exchange, by, query) == found, query


async def test_a_live_call_is_listed_under_the_status_it_is_shown_with(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)
    assert await ids(exchange, ann, "status=ringing") == [call_id]
    await exchange.patch(kai, call_id, "answer", status=200)
    for by in (ann, kai):
        assert await ids(exchange, by, "status=answered") == [call_id]
        for other in ("initiated", "ringing", "completed", "failed"):
            assert await ids(exchange, by, f"status={other}") == []
    await exchange.patch(kai, call_id, "end", status=200)
    assert await ids(exchange, ann, "status=answered") == []
    assert await ids(exchange, ann, "status=completed") == [call_id]


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("role=admin", "INVALID_FILTER", "role"),
        ("status=over", "INVALID_FILTER", "status"),
        ("status=missed&role=caller", "INVALID_FILTER", "status"),
        ("kind=fax", "INVALID_FILTER", "kind"),
        ("kind=audio&type=video", "INVALID_FILTER", "type"),
        ("withUser=kai", "INVALID_FILTER", "withUser"),
        ("from=yesterday", "INVALID_FILTER", "from"),
        ("from=2026-01-01T00:00:00", "INVALID_FILTER", "from"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "INVALID_FILTER", "to"),
        ("to=9999-12-31T23:59:59-23:59", "INVALID_FILTER", "to"),
        ("role=caller&role=callee", "INVALID_FILTER", "role"),
        ("sort=price", "INVALID_SORT", "sort"),
        ("limit=101", "INVALID_LIMIT", "limit"),
        ("page=0", "INVALID_PAGE", "page"),
        ("page=1&offset=0", "INVALID_PAGE", "page"),
    ],
)
async def test_a_wrong_filter_is_named(
    exchange: Exchange, ann: Person, query: str, code: str, field: str
) -> None:
    answer = await exchange.get(ann, f"/calls?{query}", status=400)

    assert (answer.error, answer.body["details"]["field"]) == (code, field)


async def test_a_receipt_is_for_both_sides_and_shows_a_refund(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await talk(exchange, ann, kai, 130_000)
    live = (await exchange.get(ann, f"/calls/{call_id}/receipt")).body["receipt"]
    assert (live["status"], live["total"], live["settled"]) == ("answered", 300, False)
    await exchange.patch(ann, call_id, "end", status=200)

    mine = (await exchange.get(ann, f"/calls/{call_id}/receipt")).body["receipt"]
    theirs = (await exchange.get(kai, f"/calls/{call_id}/receipt")).body["receipt"]

    assert (mine["caller"]["name"], mine["callee"]["name"]) == ("Ann", "Kai")
    assert (mine["talkSeconds"], mine["billedSeconds"], mine["billedUnits"]) == (130, 180, 3)
    assert (mine["total"], mine["paid"], mine["refunds"]) == (300, 300, [])
    assert mine["tariffText"] == "100 PTS per minute, each started minute counts"
    assert "earned" not in mine
    assert (theirs["earned"], theirs["platformShare"]) == (210, 90)

    await refund(exchange, call_id)

    mine = (await exchange.get(ann, f"/calls/{call_id}/receipt")).body["receipt"]
    assert (mine["total"], mine["paid"]) == (300, 0)
    assert [each["amount"] for each in mine["refunds"]] == [300]
    assert (await exchange.get(kai, f"/calls/{call_id}/billing")).body["refunded"] == 300
    timeline = (await exchange.get(kai, f"/calls/{call_id}/events")).body["items"]
    assert [each["type"] for each in timeline][-2:] == ["ended", "refunded"]


async def test_the_timeline_of_a_call_is_told_to_both_sides(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await talk(exchange, ann, kai, 61_000)
    await exchange.patch(kai, call_id, "end", status=200)

    timelines = [(await exchange.get(by, f"/calls/{call_id}/events")).body for by in (ann, kai)]

    assert timelines[0] == timelines[1]
    items = timelines[0]["items"]
    assert [each["type"] for each in items] == [
        "created",
        "ringing",
        "accepted",
        "connected",
        "charged",
        "charged",
        "ended",
    ]
    assert [each["total"] for each in items if each["type"] == "charged"] == [100, 200]
    assert (items[-1]["reason"], items[-1]["by"]) == ("hangup", "callee")


async def test_what_both_sides_see_of_a_call_is_the_same(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await talk(exchange, ann, kai, 61_000)
    first = (await exchange.patch(ann, call_id, "end", status=200)).body["call"]
    again = (await exchange.patch(ann, call_id, "end", status=200)).body["call"]
    assert again == first

    def common(call: dict[str, Any]) -> list[object]:
        return [call[name] for name in ("cost", "status", "startedAt", "durationSeconds", "type")]

    for by in (ann, kai):
        one = (await exchange.get(by, f"/calls/{call_id}")).body["call"]
        (listed,) = (await exchange.get(by, "/calls")).body["calls"]
        assert common(one) == common(listed) == common(first)
    assert common(first)[:2] == [200, "completed"]


async def test_strangers_learn_nothing_of_what_became_of_a_call(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    eve = await exchange.customer("Eve")
    call_id = await talk(exchange, ann, kai, 1_000)

    for known in (call_id, str(new_id())):
        for path in ("", "/billing", "/receipt", "/events"):
            answer = await exchange.get(eve, f"/calls/{known}{path}", status=404)
            assert answer.error == "CALL_NOT_FOUND"
    assert await ids(exchange, eve, f"withUser={ann.id}") == []


@pytest.mark.parametrize("path", ["", f"/{new_id()}/receipt", f"/{new_id()}/events"])
async def test_history_is_for_those_who_are_logged_in(exchange: Exchange, path: str) -> None:
    assert (await exchange.rest.call("GET", f"/calls{path}")).status == 401
