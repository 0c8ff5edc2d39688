"""Deliveries by real jobs to a real receiver: tried again, never with another id, one lane each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiohttp import web

from server.jobs import JobRunner
from server.webhook_jobs import DISABLED, PAUSES_S, Lane, WebhookJobs
from server.webhook_sender import Sender
from storage import webhook_deliveries, webhooks
from storage.ids import new_id
from storage.pool import Pool
from storage.webhook_deliveries import Delivery, News
from tests.server.receiver import Got, Receiver, answering, receiving

WAIT_S = 15.0
SOON = (0.01, 0.01)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@contextlib.asynccontextmanager
async def delivering(
    pool: Pool, *, pauses_s: Sequence[float] = SOON, **given: Any
) -> AsyncIterator[WebhookJobs]:
    sender = Sender(strict=False)
    try:
        yield WebhookJobs(pool, sender, pauses_s=pauses_s, **given)
    finally:
        await sender.close()


@contextlib.asynccontextmanager
async def running(dsn: str, pool: Pool, **given: Any) -> AsyncIterator[None]:
    async with delivering(pool, **given) as jobs:
        runner = JobRunner(dsn, jobs.handlers(), retry_s=0.01, poll_s=0.02)
        await runner.start()
        try:
            yield
        finally:
            await runner.stop()


async def endpoint(pool: Pool, url: str) -> tuple[UUID, str]:
    secret = webhooks.new_secret()
    async with pool.acquire() as conn, conn.transaction():
        made = await webhooks.create(conn, new_id(), url=url, events=[], secret=secret)
    assert made is not None
    return made.id, secret


async def promise(pool: Pool, count: int = 1) -> None:
    news = [News(new_id(), "call.ended", None, f'{{"type":"n{n}"}}') for n in range(count)]
    async with pool.acquire() as conn, conn.transaction():
        await webhook_deliveries.add(conn, news)


async def deliveries(pool: Pool) -> list[Delivery]:
    async with pool.acquire() as conn:
        found, _ = await webhook_deliveries.list_of(conn, limit=100, offset=0)
    return found


async def until(pool: Pool, status: str) -> list[Delivery]:
    """Wait until all deliveries have this status."""
    async with asyncio.timeout(WAIT_S):
        while {each.status for each in await deliveries(pool)} != {status}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return await deliveries(pool)


async def payload(pool: Pool) -> dict[str, object]:
    """What the newest job carries."""
    raw = await pool.fetchval("select payload from pgqueuer order by id desc limit 1")
    decoded: dict[str, object] = orjson.loads(raw)
    return decoded


def test_tries_go_on_for_three_days() -> None:
    assert list(PAUSES_S) == sorted(PAUSES_S)
    assert 2.9 < sum(PAUSES_S) / 86_400 < 3.1


async def test_an_event_is_delivered_once_and_signed(
    pool: Pool, dsn: str, receiver: Receiver
) -> None:
    _, secret = await endpoint(pool, receiver.url)
    async with running(dsn, pool):
        await promise(pool)
        [got] = await receiver.times(1)
        [done] = await until(pool, "delivered")
    assert got.is_signed_by(secret)
    assert not got.is_signed_by(webhooks.new_secret())
    assert (got.id, done.tries) == (str(done.event_id), 1)
    assert len(receiver.got) == 1


async def test_what_was_promised_before_a_crash_is_delivered_by_the_next_start(
    pool: Pool, dsn: str, receiver: Receiver
) -> None:
    await endpoint(pool, receiver.url)
    await promise(pool)
    async with running(dsn, pool):
        await until(pool, "delivered")
    assert len(receiver.got) == 1


async def test_a_refused_event_is_tried_again_under_the_same_id(
    pool: Pool, dsn: str, receiver: Receiver
) -> None:
    await endpoint(pool, receiver.url)
    receiver.answer = answering(500, 302, 200)
    async with running(dsn, pool):
        await promise(pool)
        [done] = await until(pool, "delivered")
    assert done.tries == 3
    assert [each.id for each in receiver.got] == [str(done.event_id)] * 3
    assert len({each.raw for each in receiver.got}) == 1


async def test_after_the_last_pause_it_has_failed_and_can_be_resent(
    pool: Pool, dsn: str, receiver: Receiver
) -> None:
    await endpoint(pool, receiver.url)
    receiver.answer = answering(500)
    tried: list[str] = []
    async with running(dsn, pool, tried=tried.append):
        await promise(pool)
        [failed] = await until(pool, "failed")
        assert (failed.tries, len(receiver.got)) == (3, 3)
        receiver.answer = answering(200)
        async with pool.acquire() as conn, conn.transaction():
            await webhook_deliveries.resend(conn, failed.id)
        [done] = await until(pool, "delivered")
    assert len({each.id for each in receiver.got}) == 1
    assert done.tries == 1
    assert tried == ["retried", "retried", "failed", "delivered"]


async def test_a_job_that_died_after_sending_sends_the_same_id_and_counts_once(
    pool: Pool, receiver: Receiver
) -> None:
    await endpoint(pool, receiver.url)
    await promise(pool)
    held = asyncio.Event()

    async def hold(_: Got) -> web.Response:
        await held.wait()
        return web.Response()

    receiver.answer = hold
    async with delivering(pool) as jobs:
        dying = asyncio.create_task(jobs.deliver(await payload(pool)))
        await receiver.times(1)
        dying.cancel()
        await asyncio.wait([dying])
        held.set()
        await jobs.deliver(await payload(pool))
        await jobs.deliver(await payload(pool))
    [done] = await deliveries(pool)
    assert [each.id for each in receiver.got] == [str(done.event_id)] * 2
    assert (done.status, done.tries) == ("delivered", 1)


async def test_pauses_grow_with_some_jitter_and_a_busy_receiver_makes_them_longer(
    pool: Pool, receiver: Receiver
) -> None:
    await endpoint(pool, receiver.url)
    await promise(pool)
    waits: list[float] = []
    async with delivering(pool, pauses_s=(100.0, 1_000.0, 10.0)) as jobs:
        for headers in (None, None, {"Retry-After": "5000"}):
            receiver.answer = answering(503, headers=headers)
            await jobs.deliver(await payload(pool))
            waits.append(
                await pool.fetchval(
                    "select extract(epoch from max(execute_after) - max(created))::float8"
                    " from pgqueuer where id = (select max(id) from pgqueuer)"
                )
            )
    assert 89 < waits[0] < 111
    assert 899 < waits[1] < 1_101
    assert 4_999 < waits[2] < 5_001


async def test_who_is_gone_is_told_nothing_more(pool: Pool, receiver: Receiver) -> None:
    await endpoint(pool, receiver.url)
    await promise(pool, 2)
    shut = asyncio.Event()
    receiver.answer = answering(410)
    tried: list[str] = []
    async with delivering(pool, shut=shut.set, tried=tried.append) as jobs:
        first = orjson.loads(await pool.fetchval("select payload from pgqueuer order by id"))
        await jobs.deliver(first)
        assert shut.is_set()
        await jobs.deliver(await payload(pool))
    assert len(receiver.got) == 1
    assert tried == ["failed"]
    assert {each.status for each in await deliveries(pool)} == {"failed"}
    assert await pool.fetchval("select disabled from webhook_endpoint") == "gone"
    assert await pool.fetchval("select error from webhook_attempt order by id desc") == DISABLED


async def test_both_secrets_sign_while_they_change(
    pool: Pool, dsn: str, receiver: Receiver
) -> None:
    endpoint_id, old = await endpoint(pool, receiver.url)
    new, other = webhooks.new_secret(), webhooks.new_secret()
    async with pool.acquire() as conn:
        await webhooks.rotate(conn, endpoint_id, new)
    async with running(dsn, pool):
        await promise(pool)
        [got] = await receiver.times(1)
    assert got.is_signed_by(old)
    assert got.is_signed_by(new)
    assert not got.is_signed_by(other)


async def test_a_slow_endpoint_does_not_hold_up_the_others(
    pool: Pool, dsn: str, receiver: Receiver
) -> None:
    released = asyncio.Event()
    async with receiving() as slow:

        async def hold(_: Got) -> web.Response:
            await released.wait()
            return web.Response()

        slow.answer = hold
        await endpoint(pool, slow.url)
        async with running(dsn, pool):
            # More than there are workers, and none of them is answered.
            await promise(pool, 14)
            await slow.times(4)
            await endpoint(pool, receiver.url)
            await promise(pool, 5)
            await receiver.times(5)
            assert len(slow.got) == 4
            released.set()
            done = await until(pool, "delivered")
    assert len(done) == 24
    assert len({each.id for each in slow.got}) == len(slow.got) == 19


async def test_a_lane_has_places_and_sends_the_rest_away_one_behind_the_other() -> None:
    lane = Lane(active=2, patience_s=0.01)
    assert [await lane.enter() for _ in range(4)] == [True, True, False, False]
    waits = [lane.wait_s() for _ in range(3)]
    assert waits == sorted(waits)
    assert 1.0 <= waits[0] < waits[-1] < 3.0
    assert max(lane.wait_s() for _ in range(5_000)) == 300.0
    lane.leave()
    assert await lane.enter()


async def test_a_delivery_that_is_gone_is_no_work(pool: Pool) -> None:
    async with delivering(pool) as jobs:
        await jobs.deliver({"deliveryId": str(new_id()), "turn": 0})
