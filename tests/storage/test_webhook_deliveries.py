"""Deliveries and their jobs: promised together, tried in turn, resent, revived and forgotten."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import orjson

from storage import webhook_deliveries, webhooks
from storage.ids import new_id
from storage.jobs import Changed
from storage.pool import Connection, Pool
from storage.webhook_deliveries import JOB, Attempt, Due, News
from tests.storage.test_webhooks import endpoint

REFUSED = Attempt(12, 500, "status 500", "oops")
TAKEN = Attempt(7, 204)


def news(kind: str = "call.ended", call_id: UUID | None = None) -> News:
    return News(new_id(), kind, call_id, '{"some":"thing"}')


async def promised(conn: Connection) -> list[dict[str, Any]]:
    """The payloads of the jobs, in order."""
    rows = await conn.fetch("select payload from pgqueuer where entrypoint = $1 order by id", JOB)
    return [orjson.loads(row["payload"]) for row in rows]


async def latest(conn: Connection) -> Due | None:
    """What the newest job finds."""
    payload = (await promised(conn))[-1]
    return await webhook_deliveries.find_due(conn, UUID(payload["deliveryId"]), payload["turn"])


async def due_of(conn: Connection) -> Due:
    due = await latest(conn)
    assert due is not None
    return due


async def one(conn: Connection) -> Due:
    """One event on its way to one endpoint."""
    await endpoint(conn)
    assert await webhook_deliveries.add(conn, [news()]) == 1
    return await due_of(conn)


async def shown(conn: Connection, due: Due) -> tuple[str, int, list[int | None]]:
    found = await webhook_deliveries.read(conn, due.id)
    assert found is not None
    delivery, _, attempts = found
    return delivery.status, delivery.tries, [each.status for each in attempts]


async def test_an_event_goes_to_every_endpoint_that_wants_it(conn: Connection) -> None:
    every, some = await endpoint(conn), await endpoint(conn, "call.settled")
    off = await endpoint(conn)
    await webhooks.change(conn, off.id, disabled=True)
    assert await webhook_deliveries.add(conn, [news("call.ended"), news("call.settled")]) == 3
    rows = await conn.fetch("select endpoint_id, type from webhook_delivery")
    assert {tuple(row) for row in rows} == {
        (every.id, "call.ended"),
        (every.id, "call.settled"),
        (some.id, "call.settled"),
    }
    assert len(await promised(conn)) == 3


async def test_an_event_is_promised_once_however_often_it_is_added(conn: Connection) -> None:
    await endpoint(conn)
    same = news()
    assert await webhook_deliveries.add(conn, [same]) == 1
    assert await webhook_deliveries.add(conn, [same, same]) == 0
    assert len(await promised(conn)) == 1


async def test_without_endpoints_nothing_is_made(conn: Connection) -> None:
    assert await webhook_deliveries.add(conn, [news()]) == 0
    assert await webhook_deliveries.add(conn, []) == 0
    assert await promised(conn) == []


async def test_a_rolled_back_transaction_promises_nothing(pool: Pool) -> None:
    async with pool.acquire() as conn:
        async with conn.transaction():
            await endpoint(conn)
        transaction = conn.transaction()
        await transaction.start()
        await webhook_deliveries.add(conn, [news()])
        await transaction.rollback()
        assert await promised(conn) == []
        assert await conn.fetchval("select count(*) from webhook_delivery") == 0


async def test_a_try_that_fails_promises_the_next_and_only_the_latest_turn_counts(
    conn: Connection,
) -> None:
    first = await one(conn)
    assert (first.turn, first.tries, first.body) == (0, 0, '{"some":"thing"}')
    await webhook_deliveries.put_off(conn, first, REFUSED, 60.0)
    second = await due_of(conn)
    assert (second.id, second.event_id) == (first.id, first.event_id)
    assert (second.turn, second.tries) == (1, 1)
    assert await webhook_deliveries.find_due(conn, first.id, 0) is None
    # The same try noted twice, as by a job that was done twice, promises nothing more.
    await webhook_deliveries.put_off(conn, first, REFUSED, 60.0)
    assert len(await promised(conn)) == 2
    delay_s = await conn.fetchval(
        "select extract(epoch from max(execute_after) - now())::float8 from pgqueuer"
    )
    assert 50 < delay_s <= 61
    await webhook_deliveries.settle(conn, second, TAKEN, "delivered")
    assert await latest(conn) is None
    assert await shown(conn, first) == ("delivered", 2, [500, 500, 204])


async def test_what_waits_for_a_place_was_not_tried(conn: Connection) -> None:
    due = await one(conn)
    await webhook_deliveries.make_wait(conn, due, 1.0)
    again = await due_of(conn)
    assert (again.turn, again.tries) == (1, 0)
    assert await shown(conn, due) == ("waiting", 0, [])


async def test_both_secrets_are_given_while_they_change(conn: Connection) -> None:
    due = await one(conn)
    await webhooks.rotate(conn, due.endpoint_id, "whsec_new")
    assert (await due_of(conn)).secrets == ["whsec_new", *due.secrets]
    await conn.execute("update webhook_endpoint set old_secret_until = now() - interval '1 s'")
    assert (await due_of(conn)).secrets == ["whsec_new"]


async def test_a_disabled_or_deleted_endpoint_has_no_url(conn: Connection) -> None:
    due = await one(conn)
    assert due.url == "https://example.org/hook"
    await webhooks.change(conn, due.endpoint_id, disabled=True)
    assert (await due_of(conn)).url is None
    assert await webhook_deliveries.resend(conn, due.id) is Changed.WRONG_STATE
    await webhooks.change(conn, due.endpoint_id, disabled=False)
    await webhooks.delete(conn, due.endpoint_id)
    assert (await due_of(conn)).url is None


async def test_a_resent_delivery_has_all_its_tries_and_the_same_event(conn: Connection) -> None:
    due = await one(conn)
    await webhook_deliveries.settle(conn, due, REFUSED, "failed")
    assert await webhook_deliveries.resend(conn, due.id) is Changed.DONE
    again = await due_of(conn)
    assert (again.event_id, again.tries) == (due.event_id, 0)
    assert await shown(conn, due) == ("waiting", 0, [500])
    assert await webhook_deliveries.resend(conn, new_id()) is Changed.NOT_FOUND


async def test_a_try_under_way_does_not_undo_a_resend(conn: Connection) -> None:
    due = await one(conn)
    await webhook_deliveries.resend(conn, due.id)
    await webhook_deliveries.settle(conn, due, REFUSED, "failed")
    assert await shown(conn, due) == ("waiting", 0, [500])
    assert await latest(conn) is not None


async def test_deliveries_are_listed_by_endpoint_status_and_call(conn: Connection) -> None:
    mine, other, call_id = await endpoint(conn), await endpoint(conn), new_id()
    await webhook_deliveries.add(conn, [news(), news(call_id=call_id)])
    due = await due_of(conn)
    await webhook_deliveries.settle(conn, due, TAKEN, "delivered")
    found, total = await webhook_deliveries.list_of(conn, limit=3, offset=0)
    assert (len(found), total) == (3, 4)
    assert [each.id for each in found] == sorted((each.id for each in found), reverse=True)
    for filters, count in (
        ({"endpoint_id": mine.id}, 2),
        ({"endpoint_id": other.id, "call_id": call_id}, 1),
        ({"status": "delivered"}, 1),
        ({"status": "failed"}, 0),
        ({"call_id": new_id()}, 0),
    ):
        found, total = await webhook_deliveries.list_of(conn, **filters, limit=10, offset=0)
        assert (len(found), total) == (count, count), filters


async def test_texts_of_attempts_are_cut(conn: Connection) -> None:
    due = await one(conn)
    long = Attempt(1, 500, "e" * 1_000, "a" * 5_000)
    await webhook_deliveries.put_off(conn, due, long, 1.0)
    found = await webhook_deliveries.read(conn, due.id)
    assert found is not None
    [attempt] = found[2]
    assert (len(attempt.error or ""), len(attempt.answer or "")) == (200, 1_024)
    assert await webhook_deliveries.read(conn, new_id()) is None


async def test_what_lost_its_job_gets_another_one(conn: Connection) -> None:
    due = await one(conn)
    await conn.execute("delete from pgqueuer")
    assert await webhook_deliveries.revive(conn, late_s=60, limit=10) == 0
    await conn.execute("update webhook_delivery set due_at = now() - interval '2 minutes'")
    assert await webhook_deliveries.revive(conn, late_s=60, limit=10) == 1
    assert await webhook_deliveries.revive(conn, late_s=60, limit=10) == 0
    again = await due_of(conn)
    assert (again.id, again.turn) == (due.id, 1)


async def test_two_that_note_the_same_try_promise_one_next_try(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        due = await one(conn)

    async def note() -> None:
        async with pool.acquire() as conn, conn.transaction():
            await webhook_deliveries.put_off(conn, due, REFUSED, 60.0)

    await asyncio.gather(note(), note(), note())
    async with pool.acquire() as conn:
        assert [each["turn"] for each in await promised(conn)] == [0, 1]


async def test_old_deliveries_go_and_then_deleted_endpoints(conn: Connection) -> None:
    due = await one(conn)
    await webhook_deliveries.put_off(conn, due, REFUSED, 60.0)
    kept = await endpoint(conn)
    await webhooks.delete(conn, due.endpoint_id)
    assert await webhook_deliveries.sweep(conn, days=30, limit=10) == 0
    await conn.execute("update webhook_delivery set created_at = now() - interval '31 days'")
    assert await webhook_deliveries.sweep(conn, days=30, limit=10) == 1
    assert await conn.fetchval("select count(*) from webhook_attempt") == 0
    ids = [row["id"] for row in await conn.fetch("select id from webhook_endpoint")]
    assert ids == [kept.id]
