"""Jobs are promised in a transaction: with it they come, without it they do not."""

from __future__ import annotations

import pytest

from storage import jobs
from storage.pool import Connection


async def waiting(conn: Connection) -> list[tuple[str, bytes]]:
    rows = await conn.fetch("select entrypoint, payload from pgqueuer order by id")
    return [(row["entrypoint"], row["payload"]) for row in rows]


async def test_a_job_is_promised_with_its_payload(conn: Connection) -> None:
    assert await jobs.enqueue(conn, "greet", {"name": "Ann"})
    assert await waiting(conn) == [("greet", b'{"name":"Ann"}')]


async def test_a_job_goes_with_the_transaction_that_promised_it(conn: Connection) -> None:
    savepoint = conn.transaction()
    await savepoint.start()
    await jobs.enqueue(conn, "greet", {})
    await savepoint.rollback()
    assert await waiting(conn) == []


async def test_of_jobs_with_one_key_there_is_one_at_a_time(conn: Connection) -> None:
    assert await jobs.enqueue(conn, "greet", {"n": 1}, key="ann")
    assert not await jobs.enqueue(conn, "greet", {"n": 2}, key="ann")
    assert await jobs.enqueue(conn, "greet", {"n": 3}, key="bob")
    assert [payload for _, payload in await waiting(conn)] == [b'{"n":1}', b'{"n":3}']


async def test_a_payload_has_a_limit(conn: Connection) -> None:
    with pytest.raises(ValueError, match="65536"):
        await jobs.enqueue(conn, "greet", {"text": "x" * jobs.PAYLOAD_BYTES_MAX})


async def test_preparing_again_changes_nothing(conn: Connection) -> None:
    await jobs.enqueue(conn, "greet", {})
    await jobs.prepare(conn)
    assert len(await waiting(conn)) == 1


async def test_the_log_is_swept_after_a_week_but_for_jobs_that_are_still_there(
    conn: Connection,
) -> None:
    await jobs.enqueue(conn, "greet", {})
    await jobs.enqueue(conn, "call", {})
    await conn.execute("update pgqueuer_log set created = now() - interval '8 days'")
    await jobs.enqueue(conn, "late", {})
    await conn.execute("delete from pgqueuer where entrypoint in ('greet', 'late')")
    assert await jobs.sweep_log(conn, 10) == 1
    left = await conn.fetch("select entrypoint from pgqueuer_log order by entrypoint")
    assert [row["entrypoint"] for row in left] == ["call", "late"]


async def test_a_backlog_shows_how_long_its_first_job_has_been_due(conn: Connection) -> None:
    await jobs.enqueue(conn, "greet", {})
    await jobs.enqueue(conn, "greet", {}, delay_s=60)
    await conn.execute(
        "update pgqueuer set execute_after = now() - interval '90 s' where execute_after <= now()"
    )
    (found,) = await jobs.counts(conn)
    assert (found.waiting, found.delayed, found.oldest_s) == (1, 1, 90.0)


async def test_many_jobs_are_promised_at_once_in_their_order(conn: Connection) -> None:
    payloads: list[dict[str, object]] = [{"n": n} for n in range(1_001)]
    await jobs.enqueue_all(conn, "greet", payloads)
    await jobs.enqueue_all(conn, "greet", [])
    assert await waiting(conn) == [("greet", b'{"n":%d}' % n) for n in range(1_001)]


async def test_one_payload_of_many_that_is_too_large_is_refused(conn: Connection) -> None:
    with pytest.raises(ValueError, match="65536"):
        await jobs.enqueue_all(conn, "greet", [{}, {"text": "x" * jobs.PAYLOAD_BYTES_MAX}])


async def test_jobs_are_listed_by_state_and_name_without_their_payload(conn: Connection) -> None:
    for name in ("greet", "greet", "call", "late"):
        await jobs.enqueue(conn, name, {"secret": "hush"}, delay_s=60 if name == "late" else 0)
    first, second, third, late = [
        row["id"] for row in await conn.fetch("select id from pgqueuer order by id")
    ]
    await conn.execute("update pgqueuer set status = 'picked' where id = $1", second)
    told = '{"exception_message": "TimeoutError: no answer"}'
    log = jobs.queries_on(conn).qbq.build_log_job_query()
    await conn.execute(log, [third], ["failed"], [told])

    found, total = await jobs.list_jobs(conn, None, None, 10, 0)
    assert total == 4
    assert [(each.id, each.state.value, each.tries, each.error) for each in found] == [
        (first, "waiting", 0, None),
        (second, "active", 0, None),
        (third, "failed", 1, "TimeoutError: no answer"),
        (late, "delayed", 0, None),
    ]
    assert found[3].due_at > found[3].promised_at
    assert await jobs.list_jobs(conn, None, None, 1, 3) == (found[3:], 4)
    assert await jobs.list_jobs(conn, jobs.JobState.ACTIVE, None, 10, 0) == (found[1:2], 1)
    assert await jobs.list_jobs(conn, None, "greet", 10, 0) == (found[:2], 2)
    assert await jobs.list_jobs(conn, jobs.JobState.FAILED, "greet", 10, 0) == ([], 0)


async def test_a_delayed_job_is_made_due_with_the_tries_that_it_has_left(conn: Connection) -> None:
    await jobs.enqueue(conn, "greet", {}, delay_s=3_600)
    number: int = await conn.fetchval("update pgqueuer set attempts = 1 returning id")
    assert await jobs.promote(conn, number) is jobs.Changed.DONE
    ((found,), _) = await jobs.list_jobs(conn, jobs.JobState.WAITING, None, 10, 0)
    assert (found.id, found.tries) == (number, 1)


async def test_only_a_delayed_job_is_made_due(conn: Connection) -> None:
    await jobs.enqueue(conn, "greet", {})
    number: int = await conn.fetchval("select id from pgqueuer")
    assert await jobs.promote(conn, number) is jobs.Changed.WRONG_STATE
    await conn.execute("update pgqueuer set execute_after = now() + interval '1 h'")
    for status in ("picked", "failed"):
        await conn.execute("update pgqueuer set status = $1::text::pgqueuer_status", status)
        assert await jobs.promote(conn, number) is jobs.Changed.WRONG_STATE
    assert await jobs.promote(conn, number + 1) is jobs.Changed.NOT_FOUND
