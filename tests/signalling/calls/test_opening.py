"""From a wish to a ringing call, against the real ledger; seen from the caller's device."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from server.people import grant
from signalling.codes import Party, State
from signalling.limits import CallLimits
from storage import blocks, call_history, calls, devices, wallet, works
from storage.ids import new_id
from tests.signalling.calls.test_performer import Pusher
from tests.signalling.conftest import StartNode
from tests.signalling.handsets import Person
from tests.signalling.harness import CURRENCY, START_MS, Node
from tests.storage.test_deletion import open_session


async def wallet_of(node: Node, person: Person) -> tuple[int, int]:
    """What the wallet holds, and how much of that is set aside."""
    async with node.pool.acquire() as conn:
        read = await wallet.read_balance(conn, person.id, CURRENCY)
    assert read is not None
    return read.posted_minor, read.held_minor


async def stored(node: Node, person: Person, call_id: str) -> calls.CallRow:
    async with node.pool.acquire() as conn:
        row = await calls.read_call(conn, person.id, UUID(call_id))
    assert row is not None
    return row


async def test_nobody_is_told_before_the_call_is_in_the_books(node: Node) -> None:
    ann, kai = await node.person("Ann", funds=500), await node.provider("Kai", price=100)
    phone, tab = await node.handset(ann), await node.handset(kai, "tab")
    answer = await phone.ok("call_request", toUserId=str(kai.id), note="Hello", kind="video")
    call = answer["call"]
    assert (call["state"], call["rev"], call["role"], call["you"]) == (
        "requested",
        1,
        "caller",
        "active",
    )
    assert call["expiresAt"] == START_MS + CallLimits().reach_ms
    assert call["tariff"]["pricePerMinute"] == 100
    incoming = await tab.event("call_incoming")
    assert incoming["rev"] == 1
    assert incoming["data"]["caller"] == {"userId": str(ann.id), "name": "Ann", "avatarUrl": None}
    assert (incoming["data"]["call"]["you"], incoming["data"]["call"]["note"]) == (
        "ringing",
        "Hello",
    )
    assert incoming["data"]["expiresAt"] == call["expiresAt"]
    row = await stored(node, kai, call["id"])
    assert (row.state, row.hold_minor, row.kind, row.request_id) == (
        "requested",
        100,
        "video",
        "phone-1",
    )
    assert await wallet_of(node, ann) == (500, 100)


async def test_a_call_was_made_when_its_row_says_however_long_the_books_took(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, kai = await node.person("Ann", funds=500), await node.provider("Kai", price=100)
    phone, _ = await node.handset(ann), await node.handset(kai, "tab")
    put = node.combiner.put

    def slow(work: works.Work, then: Callable[[works.Outcome], None]) -> None:
        put(work, then)
        if isinstance(work, works.Authorise):
            node.time.now_ms += 7

    monkeypatch.setattr(node.combiner, "put", slow)
    call = (await phone.ok("call_request", toUserId=str(kai.id)))["call"]
    assert (await stored(node, ann, call["id"])).created_ms == call["createdAt"] == START_MS
    assert call["expiresAt"] == START_MS + 7 + CallLimits().reach_ms


async def test_the_caller_may_choose_the_id_of_the_call(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    await node.handset(kai)
    wished = str(new_id())
    answer = await phone.ok("call_request", toUserId=str(kai.id), callId=wished)
    assert answer["call"]["id"] == wished


async def test_the_callee_may_be_named_by_phone_number(node: Node) -> None:
    ann, bob = await node.person(), await node.person("Bob", phone="+491701234567")
    phone, other = await node.handset(ann), await node.handset(bob)
    await phone.ok("call_request", toPhone="+491701234567")
    await other.event("call_incoming")
    error = await phone.refused("call_request", toPhone="+491701234568")
    assert (error["code"], error["field"]) == ("not_found", "data.toPhone")


async def test_exactly_one_name_of_the_callee_is_needed(node: Node) -> None:
    ann = await node.person()
    phone = await node.handset(ann)
    for data in ({}, {"toUserId": str(ann.id), "toPhone": "+491701234567"}):
        error = await phone.refused("call_request", **data)
        assert (error["code"], error["field"]) == ("bad_frame", "data.toUserId")


async def test_a_callee_who_is_no_provider_costs_what_the_house_says(start_node: StartNode) -> None:
    node = await start_node(rate_minor=30)
    ann, bob = await node.person(funds=100), await node.person("Bob")
    phone = await node.handset(ann)
    await node.handset(bob)
    answer = await phone.ok("call_request", toUserId=str(bob.id))
    assert answer["call"]["tariff"]["pricePerMinute"] == 30
    assert await wallet_of(node, ann) == (100, 30)


async def test_money_that_is_not_there_is_refused_with_both_amounts(node: Node) -> None:
    ann, kai = await node.person(funds=99), await node.provider(price=100)
    phone = await node.handset(ann)
    await node.handset(kai)
    error = await phone.refused("call_request", toUserId=str(kai.id))
    assert (error["code"], error["required"], error["available"]) == (
        "insufficient_funds",
        100,
        99,
    )
    assert await wallet_of(node, ann) == (99, 0)


async def test_who_is_not_active_starts_no_call_and_joins_none(node: Node) -> None:
    """A socket and a token may outlive the account by some seconds."""
    ann, kai = await node.person("Ann", funds=500), await node.provider("Kai", price=100)
    phone, tab = await node.handset(ann), await node.handset(kai, "tab")
    status = "update users set status = $2 where id = $1"
    await node.pool.execute(status, ann.id, "suspended")
    error = await phone.refused("call_request", toUserId=str(kai.id))
    assert error["code"] == "forbidden"
    assert await wallet_of(node, ann) == (500, 0)
    await node.pool.execute(status, ann.id, "active")
    await node.pool.execute(status, kai.id, "suspended")
    assert (await phone.refused("call_request", toUserId=str(kai.id)))["code"] == "not_found"
    await node.pool.execute(status, kai.id, "active")
    await phone.ok("call_request", toUserId=str(kai.id))
    await tab.event("call_incoming")
    await node.pool.execute(status, kai.id, "suspended")
    assert (await tab.refused("call_request", toUserId=str(ann.id)))["code"] == "forbidden"


async def test_a_price_above_the_callers_limit_is_told_before_anything_happens(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider(price=100)
    phone = await node.handset(ann)
    await node.handset(kai)
    error = await phone.refused("call_request", toUserId=str(kai.id), maxPricePerMinute=99)
    assert (error["code"], error["pricePerMinute"], error["field"]) == (
        "price_changed",
        100,
        "data.maxPricePerMinute",
    )
    await phone.ok("call_request", toUserId=str(kai.id), maxPricePerMinute=100)


async def test_a_block_of_either_side_refuses(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    await node.handset(kai)
    async with node.pool.acquire() as conn:
        await blocks.block(conn, kai.id, ann.id)
    assert (await phone.refused("call_request", toUserId=str(kai.id)))["code"] == "blocked"
    async with node.pool.acquire() as conn:
        await blocks.unblock(conn, kai.id, ann.id)
        await blocks.block(conn, ann.id, kai.id)
    assert (await phone.refused("call_request", toUserId=str(kai.id)))["code"] == "blocked"


async def test_nobody_calls_themselves_or_a_stranger(node: Node) -> None:
    ann = await node.person(funds=500)
    phone = await node.handset(ann)
    assert (await phone.refused("call_request", toUserId=str(ann.id)))["code"] == "self_call"
    error = await phone.refused("call_request", toUserId=str(new_id()))
    assert (error["code"], error["field"]) == ("not_found", "data.toUserId")


async def test_a_caller_in_a_call_is_refused(node: Node) -> None:
    ann, kai, lea = await node.person(funds=500), await node.provider(), await node.provider("Lea")
    phone = await node.handset(ann)
    await node.handset(kai)
    await node.handset(lea)
    await phone.ok("call_request", toUserId=str(kai.id))
    assert (await phone.refused("call_request", toUserId=str(lea.id)))["code"] == "self_busy"


async def test_a_busy_callee_is_a_call_that_ended(node: Node) -> None:
    ann, bob, kai = (
        await node.person(funds=500),
        await node.person("Bob", funds=500),
        await node.provider(),
    )
    phone, tab = await node.handset(ann), await node.handset(bob, "tab")
    second = await node.handset(bob, "second")
    await node.handset(kai)
    await phone.ok("call_request", toUserId=str(kai.id))
    answer = await tab.ok("call_request", id="r1", toUserId=str(kai.id))
    call = answer["call"]
    assert (call["state"], call["reason"], call["by"]) == ("ended", "busy", "callee")
    assert answer["iceServers"] == [], "no credentials for a call that is over"
    here, there = await tab.event("call_rejected"), await second.event("call_rejected")
    assert (here["call"], here["re"], here["data"]["elsewhere"]) == (call["id"], "r1", False)
    assert ("re" in there, there["data"]["elsewhere"]) == (False, True)
    assert tab.link.frames.index(here) > tab.link.frames.index(
        next(frame for frame in tab.link.frames if frame.get("re") == "r1" and "seq" not in frame)
    ), "the answer comes first"
    assert (await stored(node, kai, call["id"])).reason == "busy"
    assert await wallet_of(node, bob) == (500, 0)


async def test_on_a_break_offline_or_without_a_socket_is_unavailable(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    calls_made = []
    for presence in ("break", "offline"):
        tab = await node.handset(kai, "tab")
        await tab.ok("presence_set", presence=presence)
        calls_made.append((await phone.ok("call_request", toUserId=str(kai.id)))["call"])
    await tab.ok("presence_set", presence="online")
    tab.drop()
    node.time.now_ms += 601_000  # past the cooldown
    calls_made.append((await phone.ok("call_request", toUserId=str(kai.id)))["call"])
    assert [call["reason"] for call in calls_made] == ["unavailable"] * 3
    assert [(await phone.event("call_rejected"))["call"] for _ in range(3)] == [
        call["id"] for call in calls_made
    ]


async def register(node: Node, person: Person) -> None:
    """A phone of theirs for pushes."""
    wish = devices.Wish(
        device_id="phone", platform="ios", provider="webhook", target=str(person.id)
    )
    async with node.pool.acquire() as conn:
        session = await open_session(conn, person.id)
        await devices.register(conn, person.id, session, wish)


@pytest.mark.parametrize(("enabled", "registers"), [(True, False), (False, True)])
async def test_a_sleeping_callee_who_cannot_be_pushed_is_unavailable(
    start_node: StartNode, enabled: bool, registers: bool
) -> None:
    pusher = Pusher()
    pusher.enabled = enabled
    node = await start_node(push=pusher)
    ann, kai = await node.person(funds=500), await node.provider()
    if registers:
        await register(node, kai)
    phone = await node.handset(ann)
    answer = await phone.ok("call_request", toUserId=str(kai.id))
    assert answer["call"]["reason"] == "unavailable"
    assert pusher.wakes == []


async def test_a_sleeping_callee_is_pushed(start_node: StartNode) -> None:
    pusher = Pusher()
    node = await start_node(push=pusher)
    ann, kai = await node.person(funds=500), await node.provider()
    await register(node, kai)
    phone = await node.handset(ann)
    answer = await phone.ok("call_request", toUserId=str(kai.id))
    assert [str(wake.call_id) for wake in pusher.wakes] == [answer["call"]["id"]]
    tab = node.device(kai, "tab")
    welcome = await tab.connect()
    assert (welcome["call"]["id"], welcome["call"]["you"]) == (answer["call"]["id"], "ringing")


async def test_a_callee_who_polls_is_rung_when_the_call_counts_from_its_answer(
    node: Node,
) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    answer = await phone.ok("call_request", toUserId=str(kai.id), connectOn="answer")
    assert answer["call"]["state"] == "ringing"
    assert (await phone.event("call_ringing"))["data"]["device"] == "rest"


async def test_glare_becomes_one_call_that_the_first_requester_pays(node: Node) -> None:
    ann, kai = await node.provider("Ann", price=50), await node.provider("Kai", price=100)
    async with node.pool.acquire() as conn, conn.transaction():
        for person in (ann, kai):
            await grant(conn, person.id, 500, CURRENCY, f"grant:{person.id}")
    phone, tab = await node.handset(ann), await node.handset(kai, "tab")
    first, second = await asyncio.gather(
        phone.ok("call_request", toUserId=str(kai.id)),
        tab.ok("call_request", toUserId=str(ann.id)),
    )
    assert first["call"]["id"] == second["call"]["id"]
    host = node.registry.find(UUID(first["call"]["id"]))
    assert host is not None
    merged = second if "merged" in second else first
    assert (first.get("merged", False), second.get("merged", False)) in (
        (True, False),
        (False, True),
    )
    assert merged["call"]["role"] == "callee"
    assert host.call.state is State.ACCEPTED
    payer, callee = host.user(Party.CALLER), host.user(Party.CALLEE)
    paying, other = (ann, kai) if payer == ann.id else (kai, ann)
    assert callee == other.id
    assert (await wallet_of(node, paying))[1] > 0
    assert await wallet_of(node, other) == (500, 0)


async def test_a_later_opposite_request_answers_the_call_that_rings(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone, tab = await node.handset(ann), await node.handset(kai, "tab")
    first = await phone.ok("call_request", toUserId=str(kai.id))
    await tab.ok("call_ringing", call=first["call"]["id"])
    second = await tab.ok("call_request", id="g1", toUserId=str(ann.id))
    assert (second["merged"], second["call"]["id"]) == (True, first["call"]["id"])
    assert (second["call"]["state"], second["call"]["you"]) == ("accepted", "active")
    told = await tab.event("call_accepted")
    assert (told["re"], told["data"]["polite"]) == ("g1", True)
    assert (await phone.event("call_accepted"))["data"]["polite"] is False
    assert await wallet_of(node, ann) == (500, 100)


async def test_the_same_request_is_the_same_call_when_no_answer_is_remembered(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    await node.handset(kai)
    first = await phone.ok("call_request", id="r1", toUserId=str(kai.id))
    phone.device.drop_answers(node.time() + 600_000)
    again = await phone.ok("call_request", id="r1", toUserId=str(kai.id))
    assert again["call"]["id"] == first["call"]["id"]
    await phone.ok("call_end", call=first["call"]["id"])
    await phone.event("call_ended")
    phone.device.drop_answers(node.time() + 600_000)
    ended = await phone.ok("call_request", id="r1", toUserId=str(kai.id))
    assert (ended["call"]["id"], ended["call"]["state"]) == (first["call"]["id"], "ended")
    assert ended["call"]["reason"] == "cancelled"
    async with node.pool.acquire() as conn:
        assert (await call_history.list_calls(conn, ann.id, 10, 0))[1] == 1


async def test_an_id_of_somebody_elses_call_is_refused(node: Node) -> None:
    ann, bob, kai = await node.person(funds=500), await node.person("Bob"), await node.provider()
    phone, tab = await node.handset(ann), await node.handset(bob)
    await node.handset(kai)
    first = await phone.ok("call_request", toUserId=str(kai.id))
    error = await tab.refused("call_request", toUserId=str(kai.id), callId=first["call"]["id"])
    assert (error["code"], error["field"]) == ("bad_frame", "data.callId")


async def test_three_calls_without_an_answer_are_enough_for_a_while(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    for _ in range(3):
        node.time.now_ms += 2_000
        await phone.ok("call_request", toUserId=str(kai.id))
    node.time.now_ms += 2_000
    error = await phone.refused("call_request", toUserId=str(kai.id))
    assert (error["code"], error["retryAfterMs"]) == ("cooldown", 600_000 - 6_000)


async def test_an_hour_has_room_for_so_many_calls(start_node: StartNode) -> None:
    node = await start_node(call_limits=CallLimits(calls_per_hour_max=2, cooldown_calls=9))
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    for _ in range(2):
        await phone.ok("call_request", toUserId=str(kai.id))
    error = await phone.refused("call_request", toUserId=str(kai.id))
    assert (error["code"], error["retryAfterMs"]) == ("rate_limited", 1_800_000)


async def test_a_database_that_is_away_asks_for_the_same_request_again(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    phone = await node.handset(ann)
    await node.handset(kai)
    await node.combiner.stop()
    error = await phone.refused("call_request", id="r1", toUserId=str(kai.id))
    assert (error["code"], error["retryAfterMs"]) == ("unavailable", 1_000)
    assert not phone.device.repeated("r1"), "the same id may be sent again"
