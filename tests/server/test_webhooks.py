"""The parts together: who wants what is known at once, and ends of calls are never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from server.after_calls import AfterCalls
from server.metrics import Metrics
from server.webhooks import LATE_S, Webhooks
from signalling.calls.watcher import Unwatched
from storage import calls, webhooks
from storage.pool import Pool
from tests.server.test_after_calls import Told, emptied, notices_of, two
from tests.server.test_webhook_jobs import deliveries, endpoint, promise
from tests.storage.world import charge_of, make_world, record_of, settle_of

URL = "http://127.0.0.1:9/"
WAIT_S = 10.0


@pytest.fixture
async def hooks(pool: Pool) -> AsyncIterator[Webhooks]:
    made = Webhooks(pool, Metrics("", version="0"), strict=False)
    await made.start()
    yield made
    await made.stop()


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def told_of(pool: Pool, hooks: Webhooks) -> None:
    """Let the ended calls that are queued be told of."""
    after_calls = AfterCalls(pool, notices_of, told=Told(), also=hooks.ended, poll_s=0.01)
    await after_calls.start()
    await emptied(pool)
    await after_calls.stop()


async def test_what_is_wanted_follows_the_endpoints(pool: Pool, hooks: Webhooks) -> None:
    assert hooks._wanted == frozenset()
    endpoint_id, _ = await endpoint(pool, URL)
    hooks.changed()
    await until(lambda: len(hooks._wanted) == 5)
    async with pool.acquire() as conn:
        await webhooks.change(conn, endpoint_id, events=["call.ended"])
    hooks.changed()
    await until(lambda: hooks._wanted == {"call.ended"})
    async with pool.acquire() as conn:
        await webhooks.delete(conn, endpoint_id)
    hooks.changed()
    await until(lambda: hooks._wanted == frozenset())


async def test_the_end_and_the_books_are_promised_with_the_notices(
    pool: Pool, hooks: Webhooks
) -> None:
    await endpoint(pool, URL)
    async with make_world(pool) as world:
        call = await world.call()
        await world.combiner.do(charge_of(call, 1, connected_ms=call.created_ms))
        settle = msgspec.structs.replace(settle_of(call, 1), rev=8)
        await world.combiner.do(settle)
    await told_of(pool, hooks)
    rows = await pool.fetch("select type, call_id, body from webhook_delivery order by type")
    assert [(row["type"], row["call_id"]) for row in rows] == [
        ("call.ended", call.call_id),
        ("call.settled", call.call_id),
    ]
    books = msgspec.json.decode(rows[1]["body"])["data"]
    assert (books["rev"], books["charged"], books["earned"]) == (8, 120, 84)
    assert await pool.fetchval("select count(*) from notification") == 2


async def test_a_batch_that_breaks_promises_all_later_and_once(pool: Pool, hooks: Webhooks) -> None:
    await endpoint(pool, URL)
    mia, kai = await two(pool)
    async with pool.acquire() as conn:
        await calls.record(conn, [record_of(mia, kai) for _ in range(3)])
    tries = 0

    async def breaking(*given: object) -> None:
        nonlocal tries
        tries += 1
        await hooks.ended(*given)  # type: ignore[arg-type]
        if tries == 1:
            raise ConnectionError("after all was written")

    after_calls = AfterCalls(pool, notices_of, told=Told(), also=breaking, poll_s=0.01)
    await after_calls.start()
    await emptied(pool)
    await after_calls.stop()
    assert tries == 2
    assert [each.type for each in await deliveries(pool)] == ["call.ended"] * 3


async def test_without_endpoints_an_end_costs_one_look(pool: Pool, hooks: Webhooks) -> None:
    mia, kai = await two(pool)
    async with pool.acquire() as conn:
        await calls.record(conn, [record_of(mia, kai)])
    await told_of(pool, hooks)
    assert await deliveries(pool) == []


async def test_its_chores_find_lost_jobs_and_forget_old_deliveries(
    pool: Pool, hooks: Webhooks
) -> None:
    await endpoint(pool, URL)
    await promise(pool)
    await pool.execute("delete from pgqueuer")
    late, old = hooks.chores()
    await pool.execute(
        "update webhook_delivery set due_at = now() - make_interval(secs => $1)", LATE_S + 1
    )
    async with pool.acquire() as conn:
        await late.do(conn)
        assert await pool.fetchval("select count(*) from pgqueuer") == 1
        await pool.execute("update webhook_delivery set created_at = now() - interval '1 year'")
        await old.do(conn)
    assert await deliveries(pool) == []


async def test_it_watches_beside_another_watcher_and_has_its_job(hooks: Webhooks) -> None:
    hooks.beside(Unwatched())
    assert list(hooks.handlers()) == ["webhook"]
