from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rest.calls.words import status_of
from signalling.codes import Reason, State
from storage import call_history, calls
from storage.call_history import Wanted
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.refunds import refund_call
from tests.storage.earning import sell
from tests.storage.world import (
    NOW_MS,
    TARIFF,
    UNIT,
    User,
    charge_of,
    make_user,
    make_world,
    record_of,
)

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


async def ids_of(
    conn: Connection, me: User, wanted: Wanted, limit: int = 50, offset: int = 0
) -> list[object]:
    """The calls of one page; the total is compared with what the pages hold."""
    rows, total = await call_history.list_calls(conn, me.id, limit, offset, wanted)
    if offset == 0 and len(rows) < limit:
        assert total == len(rows)
    return [row.call_id for row in rows]


async def test_history_lists_both_directions_newest_first(conn: Connection) -> None:
    me, other, stranger = [await make_user(conn) for _ in range(3)]
    records = [
        record_of(*((me, other) if n % 2 else (other, me)), created_ms=NOW_MS + n) for n in range(5)
    ]
    await calls.record(conn, [*records, record_of(other, stranger)])
    newest_first = [record.call_id for record in reversed(records)]
    page, total = await call_history.list_calls(conn, me.id, 10, 0)
    assert ([row.call_id for row in page], total) == (newest_first, 5)
    page, total = await call_history.list_calls(conn, me.id, 2, 2)
    assert ([row.call_id for row in page], total) == (newest_first[2:4], 5)
    assert await call_history.list_calls(conn, me.id, 2, 5) == ([], 5)


async def test_the_oldest_first_is_the_newest_last_also_at_one_moment(conn: Connection) -> None:
    me, other = await make_user(conn), await make_user(conn)
    await calls.record(conn, [record_of(me, other) for _ in range(5)])
    newest = await ids_of(conn, me, Wanted())
    assert await ids_of(conn, me, Wanted(oldest_first=True)) == newest[::-1]
    pages = [await ids_of(conn, me, Wanted(), 2, offset) for offset in (0, 2, 4)]
    assert [each for page in pages for each in page] == newest


async def test_filters_narrow_and_the_total_follows(conn: Connection) -> None:
    me, kai, pat = [await make_user(conn) for _ in range(3)]
    to_kai = record_of(me, kai, created_ms=NOW_MS)
    by_kai = record_of(kai, me, created_ms=NOW_MS + 1_000, kind="video", reason="cancelled")
    to_pat = record_of(me, pat, created_ms=NOW_MS + 2_000, kind="video")
    await calls.record(conn, [to_kai, by_kai, to_pat])

    for wanted, found in (
        (Wanted(side="caller"), [to_pat, to_kai]),
        (Wanted(side="callee"), [by_kai]),
        (Wanted(kind="video"), [to_pat, by_kai]),
        (Wanted(with_user=kai.id), [by_kai, to_kai]),
        (Wanted(with_user=new_id()), []),
        (Wanted(statuses=("cancelled",)), [by_kai]),
        (Wanted(statuses=("failed", "cancelled"), side="callee"), [by_kai]),
        (Wanted(statuses=()), []),
        (Wanted(kind="video", with_user=pat.id, statuses=("failed",)), [to_pat]),
        (Wanted(since=NOW), [to_pat, by_kai, to_kai]),
        (Wanted(since=NOW + timedelta(seconds=1)), [to_pat, by_kai]),
        (Wanted(until=NOW + timedelta(seconds=1)), [to_kai]),
        (Wanted(since=NOW, until=NOW), []),
    ):
        assert await ids_of(conn, me, wanted) == [each.call_id for each in found], wanted


@pytest.mark.parametrize("connected", [False, True])
async def test_sql_and_people_call_a_status_the_same(conn: Connection, connected: bool) -> None:
    cases: list[tuple[State, Reason | None]] = [
        (state, None) for state in State if state is not State.ENDED
    ]
    cases += [(State.ENDED, reason) for reason in Reason]
    for state, reason in cases:
        me, other = await make_user(conn), await make_user(conn)
        await conn.execute(
            """
            insert into call (id, caller_id, callee_id, caller_device, kind, connect_on, tariff,
                              state, reason, created_at, connected_at, ended_at)
            values ($1, $2, $3, 'phone', 'audio', 'media', $4::text::jsonb, $5, $6::text, now(),
                    case when $7 then now() end, case when $6::text is not null then now() end)
            """,
            new_id(),
            me.id,
            other.id,
            TARIFF.decode(),
            state.value,
            None if reason is None else reason.value,
            connected,
        )
        word = status_of(state, reason, connected=connected)
        assert len(await ids_of(conn, me, Wanted(statuses=(word,)))) == 1, (state, reason)


async def test_a_live_call_is_found_by_the_status_that_is_known_of_it(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call = await world.call()
        caller = User(call.caller_id, 0, 0)
        live = (call.call_id, "answered")
        assert await ids_of(conn, caller, Wanted(statuses=("initiated",))) == [call.call_id]
        assert await ids_of(conn, caller, Wanted(statuses=("initiated",), live=live)) == []
        assert await ids_of(conn, caller, Wanted(statuses=("answered",), live=live)) == [
            call.call_id
        ]


async def test_usage_is_what_ended_calls_have_cost(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        kai, pat = await world.user(provider=True), await world.user(provider=True)
        first = await sell(world, kai, 2)
        me = User(first.caller_id, first.payer, 0)
        second = world.authorise(me, pat, hold=UNIT)
        second = msgspec.structs.replace(second, created_ms=NOW_MS + 9)
        await world.combiner.do(second)
        await world.combiner.do(charge_of(second, 1, connected_ms=NOW_MS))
        await calls.record(conn, [record_of(me, kai)])

        async def usage(with_user: User | None = None) -> tuple[list[call_history.Usage], int]:
            return await call_history.list_usage(
                conn,
                me.id,
                with_user=with_user.id if with_user else None,
                oldest_first=False,
                limit=10,
                offset=0,
            )

        (row,), total = await usage()
        assert total == 1
        assert (row.call_id, row.callee_id, row.charged_minor) == (first.call_id, kai.id, 2 * UNIT)
        assert (row.talk_ms, row.refunded_minor) == (60_001, 0)
        assert await usage(pat) == ([], 0)
        async with conn.transaction():
            await refund_call(conn, first.call_id, operator=pat.id, reason="a test")
        ((row,), _) = await usage(kai)
        assert row.refunded_minor == 2 * UNIT
