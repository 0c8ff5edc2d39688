from uuid import uuid4

import asyncpg
import pytest

from storage import calls, nodes
from storage.pool import Connection, Pool
from storage.works import Note, Noted, NoteLegs
from tests.storage.combining import all_of
from tests.storage.world import (
    NOW_MS,
    TARIFF,
    charge_of,
    make_world,
    record_of,
    settle_of,
)


async def test_notes_fill_in_what_is_missing_and_leave_ended_calls_alone(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call, ended = await world.call(), await world.call()
        await world.combiner.do(settle_of(ended, 0))
        epoch = world.node.epoch
        notes = [
            Note(call_id=call.call_id, state="ringing", ringing_ms=NOW_MS + 1),
            Note(call_id=ended.call_id, state="ringing", ringing_ms=NOW_MS + 1),
        ]
        assert await calls.note(conn, epoch, notes) == [Noted(), Noted()]
        later = Note(
            call_id=call.call_id,
            state="accepted",
            ringing_ms=NOW_MS + 9,
            accepted_ms=NOW_MS + 2,
            callee_device="tablet",
        )
        await calls.note(conn, epoch, [later])
        # Not this epoch's call.
        await calls.note(conn, epoch + 1, [Note(call_id=call.call_id, state="reconnecting")])
        row = await calls.read_call(conn, call.caller_id, call.call_id)
        assert row is not None
        assert (row.state, row.ringing_ms, row.accepted_ms, row.callee_device) == (
            "accepted",
            NOW_MS + 1,
            NOW_MS + 2,
            "tablet",
        )
        over = await calls.read_call(conn, ended.caller_id, ended.call_id)
        assert over is not None
        assert (over.state, over.ringing_ms) == ("ended", None)


async def test_the_devices_that_are_legs_now_are_written_down_for_who_adopts(pool: Pool) -> None:
    async with make_world(pool) as world:
        call, ended, others = await world.call(), await world.call(), await world.call()
        await world.combiner.do(settle_of(ended, 0))
        works = [
            NoteLegs(call_id=one.call_id, caller_device="watch", callee_device="desk")
            for one in (call, ended, others)
        ]
        async with pool.acquire() as conn:
            await calls.note_legs(conn, world.node.epoch + 1, works[2:])  # not that epoch's
        assert await all_of(world.combiner, *works[:2]) == [Noted(), Noted()]
        # Who asked is part of the request's name, and stays as it is.
        rows = await pool.fetch("select caller_device, caller_leg, callee_device from call")
        assert sorted(map(str, map(tuple, rows))) == [
            "('phone', 'watch', 'desk')",
            "('phone', None, None)",
            "('phone', None, None)",
        ]
    await pool.execute("update node set fenced = true")
    async with make_world(pool, name="next") as world, pool.acquire() as conn:
        orphans = await nodes.adopt(conn, [call.call_id, others.call_id], world.node.epoch)
        legs = [(orphan.caller_device, orphan.callee_device) for orphan in orphans]
        assert sorted(map(str, legs)) == ["('phone', None)", "('watch', 'desk')"]


async def test_a_call_is_read_by_its_two_users_only(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call = await world.call()
        await world.combiner.do(charge_of(call, 1, connected_ms=NOW_MS + 7))
        stranger = await world.user()
        row = await calls.read_call(conn, call.caller_id, call.call_id)
        assert row is not None
        assert row == await calls.read_call(conn, call.callee_id, call.call_id)
        assert await calls.read_call(conn, stranger.id, call.call_id) is None
        assert (row.caller.user_id, row.callee.user_id) == (call.caller_id, call.callee_id)
        assert row.tariff == TARIFF
        assert (row.created_ms, row.connected_ms, row.ended_ms) == (NOW_MS, NOW_MS + 7, None)
        # A live call's money is the meter's.
        assert (row.charged_minor, row.earned_minor, row.hold_minor) == (120, 84, 120)
        assert await calls.live_call(conn, call.callee_id) == row
        assert await calls.live_call(conn, stranger.id) is None
        await world.combiner.do(settle_of(call, 1))
        over = await calls.read_call(conn, call.caller_id, call.call_id)
        assert over is not None
        assert (over.state, over.reason, over.ended_by) == ("ended", "hangup", "caller")
        assert (over.charged_minor, over.hold_minor, over.units) == (120, 0, 1)
        assert await calls.live_call(conn, call.callee_id) is None


async def test_recent_calls_are_those_that_ended_lately(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        me, other = await world.user(money=500), await world.user()
        old = record_of(me, other, created_ms=NOW_MS - 1)
        new = record_of(other, me, created_ms=NOW_MS + 1)
        await calls.record(conn, [old, new])
        await world.combiner.do(world.authorise(me, other))
        recent = await calls.recent_calls(conn, me.id, NOW_MS)
        assert [row.call_id for row in recent] == [new.call_id]
        await calls.record(conn, [record_of(me, other, created_ms=NOW_MS + n) for n in range(20)])
        recent = await calls.recent_calls(conn, me.id, NOW_MS)
        assert [row.ended_ms for row in recent] == [NOW_MS + 19 - n for n in range(10)]


async def test_units_are_told_in_order_with_their_totals(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        call, other = await world.call(), await world.call()
        await world.combiner.do(charge_of(other, 1))
        for n in range(1, 4):
            await world.combiner.do(charge_of(call, n, ahead=2))
        await world.combiner.do(settle_of(call, 5))
        units = await calls.read_units(conn, call.call_id)
        assert [(u.n, u.charged_minor, u.total_minor) for u in units] == [
            (1, 120, 120),
            (2, 120, 240),
            (3, 120, 360),
            (4, 240, 600),
        ]
        assert [u.at_ms for u in units] == sorted(u.at_ms for u in units)


async def test_the_postings_of_a_call_are_found_by_their_keys(conn: Connection) -> None:
    """Never by reading every operation there is, in order."""
    await conn.execute(f"prepare units_of_call as {calls.UNITS}")
    rows = await conn.fetch("explain (costs off) execute units_of_call ('call:a:', 'call:a;', 10)")
    plan = "\n".join(row[0] for row in rows)
    await conn.execute("deallocate units_of_call")
    assert "operation_key_key" in plan
    assert "operation_pkey" not in plan


async def test_of_some_calls_those_are_live_that_have_not_ended(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        live, ended = await world.call(), await world.call()
        await world.combiner.do(settle_of(ended, 0))
        asked = [live.call_id, ended.call_id, uuid4()]
        assert await calls.live_among(conn, asked) == {live.call_id}
        assert await calls.live_among(conn, []) == set()


async def test_a_call_stays_as_it_was_asked_for(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        for change in (
            "kind = 'video'",
            "callee_id = gen_random_uuid()",
            "note = 'other'",
            "tariff = '{}'",
            "state = 'dreaming'",
            "state = 'ended', ended_at = now(), reason = 'whim'",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await pool.execute(f"update call set {change} where id = $1", call.call_id)
        for column, value in (
            ("kind", "'letter'"),
            ("connect_on", "'never'"),
            ("note", "repeat('x', 201)"),
            ("callee_id", "caller_id"),
        ):
            columns = "caller_id, callee_id, kind, connect_on, note, caller_device, tariff"
            values = ", ".join(value if each == column else each for each in columns.split(", "))
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await pool.execute(
                    f"insert into call (id, state, created_at, {columns}) "
                    f"select gen_random_uuid(), state, created_at, {values} from call"
                )
