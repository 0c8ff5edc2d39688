from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import pytest

from rest.http.idempotency import HEADER
from storage.ids import new_id
from tests.rest.calls.conftest import Exchange, routes_of
from tests.rest.conftest import Start
from tests.rest.harness import Person
from tests.signalling.harness import Node

VERBS = ("answer", "reject", "cancel", "end")


@pytest.fixture
async def ann(exchange: Exchange) -> Person:
    return await exchange.customer(funds=1_000)


@pytest.fixture
async def kai(exchange: Exchange) -> Person:
    return await exchange.provider(price=100)


async def test_a_call_without_any_socket_rings_talks_ends_and_is_billed(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)
    for person in (ann, kai):
        active = await exchange.get(person, "/calls/active")
        assert (active.body["call"]["id"], active.body["call"]["status"]) == (call_id, "ringing")

    answered = await exchange.patch(kai, call_id, "answer", status=200)
    assert answered.body["call"]["state"] == "connected"
    await exchange.node.passes(130_000)
    ended = (await exchange.patch(ann, call_id, "end", status=200)).body["call"]

    assert (ended["status"], ended["reason"], ended["shownReason"]) == (
        "completed",
        "hangup",
        "user_end",
    )
    assert (ended["durationSeconds"], ended["billedUnits"], ended["cost"]) == (130, 3, 300)
    receipt = (await exchange.get(ann, f"/calls/{call_id}/billing")).body
    assert [(each["minute"], each["chargedPoints"]) for each in receipt["billingUnits"]] == [
        (0, 100),
        (1, 100),
        (2, 100),
    ]
    assert (receipt["units"], receipt["totalCharged"], receipt["billedSeconds"]) == (3, 300, 180)
    assert (receipt["talkSeconds"], receipt["settled"]) == (130, True)
    assert "earned" not in receipt
    assert (await exchange.get(kai, f"/calls/{call_id}/billing")).body["earned"] == 210
    detail = (await exchange.get(kai, f"/calls/{call_id}")).body["call"]
    assert detail["billingUnits"] == receipt["billingUnits"]
    assert (detail["role"], detail["withUser"]["id"]) == ("callee", str(ann.id))
    assert (await exchange.get(ann, "/calls/active")).body["call"] is None


async def test_a_new_call_says_where_its_socket_is(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    body = {"toUserId": str(kai.id)}
    answer = await exchange.rest.call("POST", "/calls", by=ann, json=body, status=201)
    assert answer.body["signalingUrl"] == "wss://talk.example.org/ws"


async def test_a_live_call_shows_what_it_has_cost_so_far(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)
    await exchange.patch(kai, call_id, "answer", status=200)
    await exchange.node.passes(61_000)

    call = (await exchange.get(ann, f"/calls/{call_id}")).body["call"]

    assert (call["state"], call["durationSeconds"]) == ("connected", 61)
    assert (call["billedUnits"], call["billedPoints"]) == (2, 200)
    listed = (await exchange.get(ann, "/calls")).body["items"]
    assert [each["state"] for each in listed] == ["connected"]


async def test_the_callee_refuses_with_a_reason(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)

    answer = await exchange.patch(kai, call_id, "reject", {"reason": "busy"}, status=200)

    call = answer.body["call"]
    assert (call["state"], call["reason"], call["by"]) == ("ended", "busy", "callee")
    assert (call["status"], call["cost"]) == ("failed", 0)


async def test_the_caller_takes_a_ringing_call_back(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)

    call = (await exchange.patch(ann, call_id, "cancel", status=200)).body["call"]

    assert (call["status"], call["reason"], call["cost"]) == ("cancelled", "cancelled", 0)
    assert (await exchange.patch(ann, call_id, "cancel", status=200)).body["call"] == call


async def test_verbs_belong_to_sides_and_states(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)

    assert (await exchange.patch(ann, call_id, "answer")).error == "FORBIDDEN"
    assert (await exchange.patch(ann, call_id, "reject")).error == "FORBIDDEN"
    assert (await exchange.patch(kai, call_id, "cancel", status=403)).error == "FORBIDDEN"
    await exchange.patch(kai, call_id, "answer", status=200)
    assert (await exchange.patch(kai, call_id, "cancel", status=403)).error == "FORBIDDEN"
    assert (await exchange.patch(ann, call_id, "cancel")).error == "WRONG_STATE"
    assert (await exchange.patch(kai, call_id, "reject")).status == 409
    ended = await exchange.patch(kai, call_id, "end", status=200)
    assert ended.body["call"]["shownReason"] == "otomo_end"
    again = await exchange.patch(ann, call_id, "end", status=200)
    assert again.body["call"]["endedAt"] == ended.body["call"]["endedAt"]
    assert (await exchange.patch(kai, call_id, "answer")).error == "CALL_OVER"


async def test_an_absent_callee_is_a_call_that_has_ended_already(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    async with exchange.node.pool.acquire() as conn:
        await conn.execute("update provider set availability = 'break'")
    body = {"toUserId": str(kai.id), "kind": "video", "note": "hello"}

    answer = await exchange.rest.call("POST", "/calls", by=ann, json=body, status=201)

    call = answer.body["call"]
    assert (call["state"], call["reason"], call["kind"]) == ("ended", "unavailable", "video")
    for person in (ann, kai):
        listed = (await exchange.get(person, "/calls")).body
        assert [each["id"] for each in listed["calls"]] == [call["id"]]
    assert (await exchange.patch(kai, call["id"], "answer")).error == "CALL_OVER"
    unchanged = await exchange.patch(kai, call["id"], "end", status=200)
    assert unchanged.body["call"]["reason"] == "unavailable"
    billing = (await exchange.get(ann, f"/calls/{call['id']}/billing")).body
    assert (billing["totalCharged"], billing["billingUnits"]) == (0, [])


async def test_without_money_there_is_no_call(exchange: Exchange, kai: Person) -> None:
    poor = await exchange.customer("Poor", funds=99)

    answer = await exchange.rest.call(
        "POST", "/calls", by=poor, json={"toUserId": str(kai.id)}, status=402
    )

    assert answer.error == "INSUFFICIENT_FUNDS"
    assert answer.body["details"] == {"required": 100, "available": 99}
    assert (await exchange.get(poor, "/calls")).body["total"] == 0


async def test_a_price_above_the_caller_s_limit_is_refused(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    body = {"toUserId": str(kai.id), "maxPricePerMinute": 99}

    answer = await exchange.rest.call("POST", "/calls", by=ann, json=body, status=409)

    assert answer.error == "PRICE_CHANGED"
    assert answer.body["details"]["field"] == "maxPricePerMinute"


@pytest.mark.parametrize("name", ["recipient_phone", "recipientPhone"])
async def test_a_callee_can_be_named_by_phone(exchange: Exchange, ann: Person, name: str) -> None:
    pat = await exchange.by_phone("+2348012345678")
    body = {name: "+234 801 234 5678", "recipient_name": "Pat", "type": "audio"}

    answer = await exchange.rest.call("POST", "/calls", by=ann, json=body, status=201)

    assert answer.body["call"]["withUser"]["id"] == str(pat.id)


@pytest.mark.parametrize("target", [{"toUserId": str(new_id())}, {"recipientPhone": "+4915112345"}])
async def test_nobody_is_not_called(
    exchange: Exchange, ann: Person, target: dict[str, str]
) -> None:
    answer = await exchange.rest.call("POST", "/calls", by=ann, json=target)

    assert (answer.status, answer.error) == (404, "RECIPIENT_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "INVALID_PAYLOAD", "toUserId"),
        ({"kind": "audio"}, "INVALID_PAYLOAD", "toUserId"),
        ({"toUserId": "kai"}, "INVALID_PAYLOAD", "toUserId"),
        (
            {"toUserId": str(new_id()), "recipientPhone": "+23480123456"},
            "INVALID_PAYLOAD",
            "toUserId",
        ),
        ({"recipientPhone": "08012345678"}, "INVALID_PHONE", "recipientPhone"),
        ({"recipient_phone": 8012345678}, "INVALID_PHONE", "recipient_phone"),
        ({"toUserId": str(new_id()), "kind": "fax"}, "INVALID_PAYLOAD", "kind"),
        (
            {"toUserId": str(new_id()), "kind": "audio", "type": "video"},
            "INVALID_PAYLOAD",
            "type",
        ),
        ({"toUserId": str(new_id()), "connectOn": "ring"}, "INVALID_PAYLOAD", "connectOn"),
        (
            {"toUserId": str(new_id()), "maxPricePerMinute": -1},
            "INVALID_PAYLOAD",
            "maxPricePerMinute",
        ),
        (
            {"toUserId": str(new_id()), "maxPricePerMinute": 1.5},
            "INVALID_PAYLOAD",
            "maxPricePerMinute",
        ),
        ({"toUserId": str(new_id()), "note": "x" * 201}, "INVALID_PAYLOAD", "note"),
        ({"toUserId": str(new_id()), "note": "\0"}, "INVALID_PAYLOAD", "note"),
        ({"toUserId": str(new_id()), "callId": "1"}, "INVALID_PAYLOAD", "callId"),
        ({"toUserId": str(new_id()), "price": 1}, "INVALID_PAYLOAD", "price"),
    ],
)
async def test_a_wrong_request_names_its_field(
    exchange: Exchange, ann: Person, body: dict[str, object], code: str, field: str
) -> None:
    answer = await exchange.rest.call("POST", "/calls", by=ann, json=body)

    assert (answer.status, answer.error) == (400, code)
    assert answer.body["details"]["field"] == field


async def test_nobody_calls_themselves_or_twice(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    oneself = {"toUserId": str(ann.id)}
    assert (await exchange.rest.call("POST", "/calls", by=ann, json=oneself)).error == "SELF_CALL"
    await exchange.request(ann, kai)
    body = {"toUserId": str(kai.id)}
    assert (await exchange.rest.call("POST", "/calls", by=ann, json=body)).error == "SELF_BUSY"


async def test_a_repeated_request_under_its_key_is_one_call(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    body, key = {"toUserId": str(kai.id)}, {HEADER: "call-1"}

    answers = await asyncio.gather(
        *(exchange.rest.call("POST", "/calls", by=ann, json=body, headers=key) for _ in range(8))
    )
    last = await exchange.rest.call("POST", "/calls", by=ann, json=body, headers=key, status=201)

    made = {answer.body["call"]["id"] for answer in answers if answer.status == 201}
    assert made == {last.body["call"]["id"]}
    assert {answer.error for answer in answers if answer.status != 201} <= {
        "IDEMPOTENCY_IN_PROGRESS"
    }
    assert (await exchange.get(ann, "/calls")).body["total"] == 1


async def test_a_crashed_attempt_finds_the_call_it_made(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    body, key = {"toUserId": str(kai.id)}, {HEADER: "call-1"}
    first = await exchange.rest.call("POST", "/calls", by=ann, json=body, headers=key, status=201)
    async with exchange.node.pool.acquire() as conn:
        await conn.execute(
            "update idempotency set status = null, answer = null,"
            " created_at = created_at - interval '61 seconds'"
        )

    again = await exchange.rest.call("POST", "/calls", by=ann, json=body, headers=key, status=201)

    assert again.body["call"]["id"] == first.body["call"]["id"]
    assert (await exchange.get(ann, "/calls")).body["total"] == 1


async def test_history_comes_in_pages_of_both_sides(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    ids = []
    for _ in range(3):
        ids.append(await exchange.request(ann, kai))
        await exchange.patch(ann, ids[-1], "cancel", status=200)
        await exchange.node.passes(700_000)

    page = (await exchange.get(kai, "/calls?page=2&limit=2")).body
    rows = (await exchange.get(ann, "/calls?offset=0&limit=2")).body

    assert [each["id"] for each in page["items"]] == ids[:1]
    assert [each["id"] for each in rows["calls"]] == ids[:0:-1]
    assert (page["page"], page["total"], page["offset"]) == (2, 3, 2)


async def test_strangers_learn_nothing_of_a_call(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    eve = await exchange.customer("Eve", funds=1_000)
    call_id = await exchange.request(ann, kai)

    for known in (call_id, str(new_id())):
        for path in ("", "/billing", "/ice-servers"):
            answer = await exchange.get(eve, f"/calls/{known}{path}", status=404)
            assert answer.error == "CALL_NOT_FOUND"
        for verb in VERBS:
            answer = await exchange.patch(eve, known, verb)
            assert (answer.status, answer.error) == (404, "CALL_NOT_FOUND"), verb
        answer = await exchange.rest.call(
            "POST", "/calls/debug/end", by=eve, json={"callId": known}
        )
        assert (answer.status, answer.error) == (404, "CALL_NOT_FOUND")
    assert (await exchange.get(eve, "/calls")).body["items"] == []
    assert (await exchange.get(eve, "/calls/active")).body["call"] is None
    assert (await exchange.get(ann, "/calls/active")).body["call"]["state"] == "ringing"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/calls"),
        ("GET", "/calls"),
        ("GET", "/calls/active"),
        ("GET", f"/calls/{new_id()}"),
        ("GET", f"/calls/{new_id()}/billing"),
        ("GET", f"/calls/{new_id()}/ice-servers"),
        ("POST", "/calls/debug/end"),
        *(("PATCH", f"/calls/{new_id()}/{verb}") for verb in VERBS),
    ],
)
async def test_calls_are_for_those_who_are_logged_in(
    exchange: Exchange, method: str, path: str
) -> None:
    assert (await exchange.rest.call(method, path)).status == 401


async def test_the_legs_of_a_live_call_get_ice_servers(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)

    servers = (await exchange.get(ann, f"/calls/{call_id}/ice-servers")).body["iceServers"]
    await exchange.patch(ann, call_id, "cancel", status=200)

    assert [sorted(each) for each in servers] == [["urls"], ["credential", "urls", "username"]]
    assert (await exchange.get(ann, f"/calls/{call_id}/ice-servers", 409)).error == "CALL_OVER"


async def test_debugging_ends_a_call_for_its_users_and_for_an_admin(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    for ender in (ann, await exchange.admin()):
        call_id = await exchange.request(ann, kai)
        await exchange.patch(kai, call_id, "answer", status=200)

        answer = await exchange.rest.call(
            "POST", "/calls/debug/end", by=ender, json={"callId": call_id}, status=200
        )

        assert answer.body["ended"] is True
        meta = answer.body["meta"]
        assert meta["billedPoints"] == 100
        call = (await exchange.get(ann, f"/calls/{call_id}")).body["call"]
        assert (call["state"], call["endedAt"]) == ("ended", meta["endedAt"])
        stored = await exchange.node.pool.fetchval(
            "select ended_at from call where id = $1", UUID(call_id)
        )
        assert datetime.fromisoformat(meta["endedAt"]) == stored


async def test_there_is_no_debugging_in_production(start: Start, node: Node) -> None:
    exchange = Exchange(await start(routes_of(node, is_dev=False)), node)
    ann = await exchange.customer()

    answer = await exchange.rest.call(
        "POST", "/calls/debug/end", by=ann, json={"callId": str(new_id())}
    )

    assert (answer.status, answer.error) == (403, "NOT_ALLOWED")
