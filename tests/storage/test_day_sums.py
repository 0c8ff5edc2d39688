"""Sums for operators: live calls by state, the calls of a day, and what fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from storage import day_sums, jobs, webhook_deliveries, webhooks
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.works import Note
from tests.storage.world import NOW_MS, UNIT, charge_of, make_world, record_of, settle_of

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


async def test_live_calls_are_counted_by_state_and_the_day_by_what_it_cost(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        assert await day_sums.live_by_state(conn) == {}
        assert await day_sums.since(conn, NOW) == day_sums.Day(0, 0, 0)
        talking, ringing, over = [await world.call() for _ in range(3)]
        await world.combiner.do(charge_of(talking, 1, connected_ms=NOW_MS))
        await world.combiner.do(charge_of(talking, 2))
        await world.combiner.do(Note(call_id=ringing.call_id, state="ringing", ringing_ms=NOW_MS))
        await world.combiner.do(charge_of(over, 1))
        await world.combiner.do(Note(call_id=over.call_id, state="accepted", accepted_ms=NOW_MS))
        await world.combiner.do(settle_of(over, 1))
        await world.combiner.do(record_of(await world.user(), await world.user()))
        assert await day_sums.live_by_state(conn) == {"connected": 1, "ringing": 1}
        assert await day_sums.since(conn, NOW) == day_sums.Day(4, 1, 2 * UNIT + UNIT)
        later = NOW + timedelta(milliseconds=1)
        assert await day_sums.since(conn, later) == day_sums.Day(0, 0, 0)


async def test_what_fails_is_counted(conn: Connection) -> None:
    assert await day_sums.failing(conn) == day_sums.Failing(0, 0)
    await jobs.enqueue(conn, "a_job", {})
    await conn.execute("update pgqueuer set status = 'failed'")
    await jobs.enqueue(conn, "a_job", {})
    made = await webhooks.create(
        conn, new_id(), url="http://127.0.0.1:9/", events=[], secret=webhooks.new_secret()
    )
    assert made is not None
    for tries in (0, 1, 2):
        news = webhook_deliveries.News(new_id(), "webhook.test", None, "{}")
        delivery = await webhook_deliveries.add_for(conn, made.id, news)
        await conn.execute("update webhook_delivery set tries = $2 where id = $1", delivery, tries)
    assert await day_sums.failing(conn) == day_sums.Failing(1, 2)
