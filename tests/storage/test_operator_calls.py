"""Calls of everybody for operators: found by indexes, bounded, with the money of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from storage import audit, call_history, calls, operator_calls
from storage.ids import new_id
from storage.operator_calls import Wanted
from storage.pool import Connection, Pool
from storage.refunds import refund_call
from tests.storage.world import (
    NOW_MS,
    UNIT,
    charge_of,
    make_user,
    make_world,
    record_of,
    settle_of,
)

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


async def found(conn: Connection, limit: int = 50, offset: int = 0, **wanted: object) -> list[UUID]:
    rows, _ = await operator_calls.find(conn, Wanted(**wanted), limit, offset)  # type: ignore[arg-type]
    return [each.row.call_id for each in rows]


async def test_calls_of_everybody_come_newest_first_in_pages(conn: Connection) -> None:
    ann, kai, eve = [await make_user(conn) for _ in range(3)]
    records = [
        record_of(*((ann, kai) if n % 2 else (eve, kai)), created_ms=NOW_MS + n) for n in range(4)
    ]
    await calls.record(conn, records)
    newest = [each.call_id for each in reversed(records)]
    assert await found(conn) == newest
    assert await found(conn, 2, 1) == newest[1:3]
    assert await found(conn, user_id=kai.id) == newest
    assert await found(conn, user_id=ann.id) == [newest[0], newest[2]]
    assert await found(conn, user_id=kai.id, limit=2, offset=1) == newest[1:3]
    assert await found(conn, since=NOW + timedelta(milliseconds=2)) == newest[:2]
    assert await found(conn, until=NOW + timedelta(milliseconds=2)) == newest[2:]
    assert await found(conn, reason="no_answer") == newest
    assert await found(conn, reason="busy") == []
    assert await found(conn, live=True) == []


async def test_a_total_says_how_many_there_are_up_to_an_end(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, kai = await make_user(conn), await make_user(conn)
    await calls.record(conn, [record_of(ann, kai) for _ in range(5)])
    for wanted in (Wanted(), Wanted(user_id=ann.id)):
        _, total = await operator_calls.find(conn, wanted, 2, 0)
        assert total == 5
    monkeypatch.setattr(operator_calls, "TOTAL_MAX", 3)
    for wanted in (Wanted(), Wanted(user_id=ann.id)):
        _, total = await operator_calls.find(conn, wanted, 2, 0)
        assert total == 3


async def test_a_live_call_has_an_owner_and_one_that_never_rang_has_none(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        live = await world.call()
        ann, kai = await world.user(), await world.user()
        missed = record_of(ann, kai)
        await world.combiner.do(missed)
        owned = await operator_calls.read(conn, live.call_id)
        assert owned is not None
        assert (owned.node, owned.claim, owned.address) == (
            "main",
            0,
            f"main.{world.node.epoch}",
        )
        nobodys = await operator_calls.read(conn, missed.call_id)
        assert nobodys is not None
        assert (nobodys.node, nobodys.address) == (None, None)
        assert await operator_calls.read(conn, new_id()) is None
        assert await found(conn, live=True) == [live.call_id]
        assert await found(conn, live=True, user_id=live.callee_id) == [live.call_id]
        assert await found(conn, live=True, user_id=ann.id) == []
        assert await found(conn, live=False) == [missed.call_id]


async def test_the_money_of_a_call_is_told_with_its_refund(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call, other = await world.call(), await world.call()
        for each in (call, other):
            await world.combiner.do(charge_of(each, 1))
            await world.combiner.do(settle_of(each, 2))
        root = await make_user(conn)
        moved = await operator_calls.transfers(conn, call.call_id)
        assert [(each.operation, each.code, each.amount_minor) for each in moved] == [
            ("call_charge", "call_earning", 84),
            ("call_charge", "platform_fee", 36),
        ] * 2
        first = moved[0]
        assert (first.from_kind, first.from_owner) == ("call_credits", call.caller_id)
        assert (first.to_kind, first.to_owner) == ("earnings_pending", call.callee_id)
        assert (moved[1].to_kind, moved[1].to_owner, moved[1].currency) == (
            "platform_fee",
            None,
            "PTS",
        )
        async with conn.transaction():
            await refund_call(conn, call.call_id, operator=root.id, reason="A mistake.")
        back = (await operator_calls.transfers(conn, call.call_id))[4:]
        assert {each.operation for each in back} == {"adjustment"}
        assert sum(each.amount_minor for each in back) == 2 * UNIT
        assert {each.to_owner for each in back} == {call.caller_id}
        lines = await operator_calls.audited(conn, call.call_id)
        assert [(each.action, each.reason, each.actor) for each in lines] == [
            ("call.refund", "A mistake.", root.id)
        ]
        assert len(await operator_calls.transfers(conn, other.call_id)) == 4


async def test_an_end_is_written_down_once(conn: Connection) -> None:
    root, call_id = await make_user(conn), uuid4()
    for reason in ("One.", "Other."):
        await operator_calls.note_end(conn, call_id, actor=root.id, reason=reason)
    lines = await operator_calls.audited(conn, call_id)
    assert [(each.action, each.reason) for each in lines] == [("call.end", "One.")]
    await audit.record(
        conn, actor=root.id, action="call.x", target_type="call", target_id=call_id, reason=""
    )
    assert len(await operator_calls.audited(conn, call_id)) == 2


async def plan_of(conn: Connection, query: str, values: str) -> str:
    await conn.execute("set local plan_cache_mode = force_generic_plan")
    await conn.execute("set local enable_seqscan = off")
    await conn.execute(f"prepare asked as {query}")
    rows = await conn.fetch(f"explain (costs off) execute asked ({values})")
    await conn.execute("deallocate asked")
    return "\n".join(row[0] for row in rows)


async def test_the_index_of_all_users_calls_is_used_for_nothing_else(conn: Connection) -> None:
    nulls = ", ".join(["null"] * 9)
    plan = await plan_of(conn, call_history.NEWEST, f"{nulls}, 20, 0")
    assert "call_of_caller" in plan
    assert "call_of_callee" in plan
    assert "call_by_time" not in plan


async def test_every_question_is_answered_by_an_index(conn: Connection) -> None:
    nulls = "null, null, null, null, null"
    everybodys = f"select id from ({operator_calls._ALL}) f order by at desc, id desc limit 9"
    plan = await plan_of(conn, everybodys, nulls)
    assert "call_by_time" in plan
    assert "Sort" not in plan, "read in the order in which it is shown"
    assert "Seq Scan" not in plan
    plan = await plan_of(conn, operator_calls._OF_USER, f"{nulls}, 10")
    assert "call_of_caller" in plan
    assert "call_of_callee" in plan
    assert "Seq Scan" not in plan
    plan = await plan_of(conn, operator_calls._LIVE, nulls)
    assert "meter_open" in plan
    assert "Seq Scan" not in plan
    plan = await plan_of(conn, operator_calls._TRANSFERS, "'a', 'b', 'c', 'd', '{e}', 9")
    assert "operation_key_key" in plan
    assert "operation_pkey" not in plan
