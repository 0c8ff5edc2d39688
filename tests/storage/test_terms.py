"""What requests are judged by."""

import re
from typing import Any
from uuid import UUID

import pytest

from storage import calls, devices
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.terms import TERMS, KnownCall, Offering, Terms, read_terms
from tests.storage.test_deletion import open_session
from tests.storage.world import (
    NOW_MS,
    User,
    ask_of,
    give_bonus,
    make_user,
    make_world,
    record_of,
)


async def terms_of(
    conn: Connection, caller: User, callee: User | None, **changes: Any
) -> Terms | None:
    [terms] = await read_terms(conn, [ask_of(caller, callee, **changes)])
    return terms


async def test_terms_tell_of_both_sides(conn: Connection) -> None:
    caller, callee = await make_user(conn, money=300), await make_user(conn, provider=True)
    await conn.execute("update account set held = 50, version = version + 1 where posted = 300")
    terms = await terms_of(conn, caller, callee)
    assert terms is not None
    assert (terms.caller.user_id, terms.callee.user_id) == (caller.id, callee.id)
    assert (terms.caller.status, terms.callee.status) == ("active", "active")
    assert terms.provider == Offering(
        display_name="A provider",
        tariff="minute",
        price_minor=120,
        share_bps=None,
        availability="online",
    )
    assert (terms.wallet, terms.available_minor, terms.currency) == (caller.wallet, 250, "PTS")
    assert terms.earnings == callee.earnings
    assert not terms.blocked
    assert terms.known is None
    assert (terms.unanswered, terms.unanswered_since_ms, terms.calls_last_hour) == (0, None, 0)
    video = await terms_of(conn, caller, callee, kind="video")
    assert video is not None
    assert video.provider is not None
    assert video.provider.price_minor == 200


async def test_bonus_counts_as_money_that_can_be_spent(conn: Connection) -> None:
    caller, callee = await make_user(conn, money=300), await make_user(conn)
    account = await give_bonus(conn, caller.id, 70)
    terms = await terms_of(conn, caller, callee)
    assert terms is not None
    assert (terms.wallet, terms.bonus, terms.available_minor) == (caller.wallet, account, 370)
    await conn.execute(
        "update account set held = posted, version = version + 1 where id = $1", account
    )
    terms = await terms_of(conn, caller, callee)
    assert terms is not None
    assert (terms.bonus, terms.available_minor) == (None, 300)


async def test_a_callee_is_found_by_phone_number_too(conn: Connection) -> None:
    caller, callee = await make_user(conn), await make_user(conn)
    phone = await conn.fetchval("select phone from users where id = $1", callee.id)
    terms = await terms_of(conn, caller, None, callee_phone=phone)
    assert terms is not None
    assert terms.callee.user_id == callee.id
    assert terms.provider is None
    assert terms.earnings is None


async def test_without_caller_or_callee_there_are_no_terms(conn: Connection) -> None:
    caller = await make_user(conn)
    assert await terms_of(conn, caller, None) is None
    assert await terms_of(conn, caller, None, callee_phone="+1555000111") is None
    assert await terms_of(conn, caller, None, callee_id=new_id()) is None
    assert await terms_of(conn, caller, caller, caller_id=new_id()) is None


async def test_a_callee_with_a_registered_phone_is_wakeable(conn: Connection) -> None:
    caller, callee = await make_user(conn), await make_user(conn)
    before = await terms_of(conn, caller, callee)
    assert before is not None
    assert not before.wakeable
    wish = devices.Wish(device_id="phone", platform="ios", provider="apns", target="token")
    await devices.register(conn, callee.id, await open_session(conn, callee.id), wish)
    after = await terms_of(conn, caller, callee)
    assert after is not None
    assert after.wakeable
    other_way = await terms_of(conn, callee, caller)
    assert other_way is not None
    assert not other_way.wakeable


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_block_counts_either_way(conn: Connection, reverse: bool) -> None:
    caller, callee = await make_user(conn), await make_user(conn)
    pair = (callee.id, caller.id) if reverse else (caller.id, callee.id)
    await conn.execute("insert into block (user_id, blocked_id) values ($1, $2)", *pair)
    terms = await terms_of(conn, caller, callee)
    assert terms is not None
    assert terms.blocked


async def test_unanswered_calls_are_counted_for_ten_minutes(conn: Connection) -> None:
    caller, callee = await make_user(conn), await make_user(conn)
    other = await make_user(conn)
    await calls.record(
        conn,
        [
            record_of(caller, callee, created_ms=NOW_MS - 599_000),
            record_of(caller, callee, created_ms=NOW_MS - 1_000, reason="declined"),
            # None of these: too old, not to blame, somebody else's, the other way round.
            record_of(caller, callee, created_ms=NOW_MS - 600_000),
            record_of(caller, callee, reason="server_error"),
            record_of(caller, other),
            record_of(callee, caller),
            record_of(caller, other, created_ms=NOW_MS - 3_600_000),
        ],
    )
    terms = await terms_of(conn, caller, callee)
    assert terms is not None
    assert (terms.unanswered, terms.unanswered_since_ms) == (2, NOW_MS - 599_000)
    assert terms.calls_last_hour == 5
    enough = await terms_of(conn, caller, callee, calls_max=4)
    assert enough is not None
    assert enough.calls_last_hour == 4


async def test_a_stored_request_is_known_by_its_own_id_first(conn: Connection) -> None:
    caller, callee = await make_user(conn), await make_user(conn)
    by_request = record_of(caller, callee, request_id="r")
    by_id = record_of(callee, caller)
    await calls.record(conn, [by_request, by_id])
    both = await terms_of(conn, caller, callee, request_id="r", call_id=by_id.call_id)
    assert both is not None
    assert both.known == KnownCall(by_request.call_id, caller.id, callee.id, "ended")
    other = await terms_of(conn, caller, callee, request_id="other", call_id=by_id.call_id)
    assert other is not None
    assert other.known == KnownCall(by_id.call_id, callee.id, caller.id, "ended")
    elsewhere = await terms_of(conn, caller, callee, request_id="r", device="tablet")
    assert elsewhere is not None
    assert elsewhere.known is None


async def test_asks_of_one_batch_get_their_own_answers_in_order(conn: Connection) -> None:
    ann, kai = await make_user(conn, money=300), await make_user(conn, provider=True)
    bob, phone = await make_user(conn, money=7), "+4915112345678"
    await conn.execute("update users set phone = $2 where id = $1", bob.id, phone)
    earlier = record_of(ann, kai, request_id="r", created_ms=NOW_MS - 1_000)
    await calls.record(conn, [earlier])
    await conn.execute("insert into block (user_id, blocked_id) values ($1, $2)", kai.id, bob.id)
    asks = [
        ask_of(ann, kai, request_id="r", kind="video"),
        ask_of(ann, None),
        ask_of(bob, kai, call_id=earlier.call_id, now_ms=NOW_MS + 3_600_000),
        ask_of(kai, None, callee_phone=phone),
        ask_of(ann, kai, caller_id=new_id()),
        ask_of(ann, kai, now_ms=NOW_MS + 3_600_000),
    ]
    together = await read_terms(conn, asks)
    assert together == [(await read_terms(conn, [ask]))[0] for ask in asks]
    video, nobody, blocked, by_phone, stranger, later = together
    assert nobody is stranger is None
    assert video is not None
    assert blocked is not None
    assert by_phone is not None
    assert later is not None
    assert video.provider is not None
    assert (video.provider.price_minor, video.available_minor, video.blocked) == (200, 300, False)
    assert video.known == KnownCall(earlier.call_id, ann.id, kai.id, "ended")
    assert (video.unanswered, video.calls_last_hour) == (1, 1)
    assert (blocked.blocked, blocked.available_minor) == (True, 7)
    assert blocked.known == video.known
    assert (by_phone.callee.user_id, by_phone.provider, by_phone.known) == (bob.id, None, None)
    assert (later.unanswered, later.calls_last_hour) == (0, 0)


async def test_ids_are_plain_whatever_the_driver_makes_of_them(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call = await world.call()
        driver_id = await conn.fetchval("select $1::uuid", call.caller_id)
        assert type(driver_id) is not UUID
        terms = await terms_of(
            conn,
            User(driver_id, 0, 0),
            None,
            callee_id=call.callee_id,
            call_id=call.call_id,
        )
    assert terms is not None
    assert terms.known is not None
    ids = (
        terms.caller.user_id,
        terms.callee.user_id,
        terms.known.call_id,
        terms.known.caller_id,
        terms.known.callee_id,
    )
    assert {type(found) for found in ids} == {UUID}


async def test_the_plan_for_all_batches_reads_by_narrow_indexes_only(conn: Connection) -> None:
    await conn.execute(f"prepare terms_of_all as {TERMS}")
    nulls = ", ".join(["null"] * 11)
    rows = await conn.fetch(f"explain (costs off) execute terms_of_all ({nulls})")
    plan = "\n".join(row[0] for row in rows)
    assert "unnest($2)" in plan, "planned without knowing who asks"
    assert "Seq Scan" not in plan
    # A busy callee's calls, or all that a caller ever did, would be many.
    assert "call_of_callee" not in plan
    assert plan.count("call_of_caller ") == 1
    for conditions in re.findall(r"call_of_caller .*\n\s+Index Cond: (.*)", plan):
        assert "created_at >" in conditions
    assert "call_caller_id_caller_device_request_id_key" in plan
    assert "push_device_user_id_device_id_provider_key" in plan
