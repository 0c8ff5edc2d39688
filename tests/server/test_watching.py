"""Gauges that need a query are read beside the scrapes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from prometheus_client import generate_latest

from server.metrics import Metrics
from server.watching import Watching
from storage import jobs, outbox
from storage.errors import Unavailable
from storage.ids import new_id
from storage.jobs import Counts
from storage.pool import Pool


def scrape(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


async def test_jobs_and_notices_are_counted_and_go_back_to_nothing(pool: Pool) -> None:
    metrics, noticed = Metrics(), list[str]()

    def notice(counts: Iterable[Counts]) -> None:
        noticed.extend(each.name for each in counts)

    watching = Watching(metrics, pool, notice=notice)
    async with pool.acquire() as conn:
        await jobs.enqueue(conn, "greet", {})
        await jobs.enqueue(conn, "greet", {}, delay_s=60)
        await outbox.add(conn, topic="t", user_id=new_id(), body={})
    await watching.read()
    text = scrape(metrics)
    assert 'talktime_jobs_waiting{name="greet"} 1.0' in text
    assert 'talktime_jobs_failed{name="greet"} 0.0' in text
    assert "talktime_outbox_waiting 1.0" in text
    assert noticed == ["greet"]
    await pool.execute("delete from pgqueuer")
    await pool.execute("delete from outbox")
    await watching.read()
    text = scrape(metrics)
    assert 'talktime_jobs_waiting{name="greet"} 0.0' in text
    assert "talktime_outbox_waiting 0.0" in text


async def test_while_it_runs_it_shows_pool_lag_and_collections(pool: Pool) -> None:
    metrics = Metrics()
    watching = Watching(metrics, pool, notice=lambda counts: None)
    await watching.start()
    try:
        text = scrape(metrics)
        assert f"talktime_db_pool_size {float(pool.get_size())}" in text
        assert "talktime_db_pool_idle" in text
        assert "talktime_event_loop_lag_seconds_count" in text
    finally:
        await watching.stop()


async def test_without_a_database_the_last_figures_stay(pool: Pool) -> None:
    metrics = Metrics()
    watching = Watching(metrics, pool, notice=lambda counts: None)
    async with pool.acquire() as conn:
        await outbox.add(conn, topic="t", user_id=new_id(), body={})
    await watching.read()
    pool.terminate()
    with pytest.raises(Unavailable):
        await watching.read()
    assert "talktime_outbox_waiting 1.0" in scrape(metrics)
