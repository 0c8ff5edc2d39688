"""News of live calls: noted without waiting, written once, bounded, and nothing if unwanted."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from server.call_watch import CallWatch
from server.metrics import Metrics
from server.webhook_watch import Both, WebhookWatch, happened
from signalling.core.model import Call
from storage.pool import Pool
from tests.server.test_call_watch import START_MS, call, connected, value
from tests.server.test_webhook_jobs import endpoint

__all__ = ["call"]
WAIT_S = 10.0
ALL = frozenset({"call.requested", "call.connected", "call.low_balance"})


def warned(call: Call) -> Call:
    return replace(call, meter=replace(call.meter, warned_ms=60_000), rev=call.rev + 1)


async def written(pool: Pool, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(WAIT_S):
        while await pool.fetchval("select count(*) from webhook_delivery") < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    rows = await pool.fetch("select body from webhook_delivery order by id")
    return [msgspec.json.decode(row["body"]) for row in rows]


def test_what_happened_is_told_by_the_state(call: Call) -> None:
    talking = connected(call, START_MS)
    low = warned(talking)
    assert happened(None, call) == ["call.requested"]
    assert happened(call, talking) == ["call.connected"]
    assert happened(talking, low) == ["call.low_balance"]
    assert happened(low, replace(low, rev=9)) == []
    assert happened(low, replace(low, meter=replace(low.meter, warned_ms=20_000))) == []
    assert happened(low, talking) == []


async def test_news_are_written_with_the_revision_they_happened_at(pool: Pool, call: Call) -> None:
    await endpoint(pool, "http://127.0.0.1:9/")
    watch = WebhookWatch(pool, lambda: ALL)
    await watch.start()
    talking = replace(connected(call, START_MS), rev=5)
    low = warned(talking)
    for before, after in ((None, call), (call, talking), (talking, low), (low, low)):
        watch.moved(before, after, START_MS)
    told = await written(pool, 3)
    await watch.stop()
    assert [(each["type"], each["data"]["rev"]) for each in told] == [
        ("call.requested", call.rev),
        ("call.connected", 5),
        ("call.low_balance", 6),
    ]


async def test_nothing_is_made_of_what_nobody_wants(pool: Pool, call: Call) -> None:
    wanted: frozenset[str] = frozenset()
    watch = WebhookWatch(pool, lambda: wanted)
    watch.moved(None, call, START_MS)
    assert watch.waiting == 0
    wanted = frozenset({"call.connected"})
    watch.moved(None, call, START_MS)
    assert watch.waiting == 0
    watch.moved(call, connected(call, START_MS), START_MS)
    assert watch.waiting == 1


async def test_a_full_queue_drops_what_comes_and_counts_it(pool: Pool, call: Call) -> None:
    watch = WebhookWatch(pool, lambda: ALL, queue_max=2)
    for _ in range(5):
        watch.moved(None, call, START_MS)
    assert (watch.waiting, watch.dropped) == (2, 3)


async def test_what_waits_at_the_stop_is_written(pool: Pool, call: Call) -> None:
    await endpoint(pool, "http://127.0.0.1:9/")
    watch = WebhookWatch(pool, lambda: ALL)
    watch.moved(None, call, START_MS)
    await watch.stop()
    assert len(await written(pool, 1)) == 1


async def test_a_stop_without_a_database_ends_all_the_same(pool: Pool, call: Call) -> None:
    watch = WebhookWatch(pool, lambda: ALL)
    watch.moved(None, call, START_MS)
    await pool.execute("drop table webhook_attempt, webhook_delivery")
    await endpoint(pool, "http://127.0.0.1:9/")
    await watch.stop()
    assert watch.waiting == 1


async def test_a_call_goes_on_whatever_is_wrong_with_its_news(pool: Pool, call: Call) -> None:
    watch = WebhookWatch(pool, lambda: ALL)
    broken = replace(call, created_ms=10**30)
    watch.moved(None, broken, START_MS)
    assert watch.waiting == 0


async def test_two_watchers_hear_the_same(pool: Pool, call: Call) -> None:
    metrics = Metrics("", version="0")
    watch = WebhookWatch(pool, lambda: ALL)
    both = Both(CallWatch(metrics), watch)
    both.moved(None, call, START_MS)
    assert watch.waiting == 1
    assert value(metrics, 'talktime_calls_started_total{kind="audio"}') == 1
