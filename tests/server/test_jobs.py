"""Jobs are done, tried again, kept as failed and taken over, on a real queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
from structlog.testing import capture_logs

from server.jobs import GiveUp, Handler, JobRunner
from storage import jobs
from storage.jobs import Changed, Counts
from storage.pool import Pool

WAIT_S = 15.0


class Work:
    """A handler that notes its payloads; `then` may raise, or wait."""

    def __init__(self, then: Callable[[int], Any] = lambda count: None) -> None:
        self.done: list[dict[str, object]] = []
        self._then = then
        self._news = asyncio.Condition()

    async def __call__(self, payload: dict[str, object]) -> None:
        async with self._news:
            self.done.append(payload)
            self._news.notify_all()
        waited = self._then(len(self.done))
        if waited is not None:
            await waited

    async def times(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: len(self.done) >= count)


class Figures:
    def __init__(self) -> None:
        self.outcomes: list[tuple[str, str]] = []

    def __call__(self, name: str, outcome: str, _seconds: float) -> None:
        self.outcomes.append((name, outcome))


@contextlib.asynccontextmanager
async def running(dsn: str, handlers: dict[str, Handler], **given: Any) -> AsyncIterator[JobRunner]:
    runner = JobRunner(dsn, handlers, **{"retry_s": 0.01, "poll_s": 0.1, **given})
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def promise(pool: Pool, name: str = "greet", **payload: object) -> None:
    async with pool.acquire() as conn, conn.transaction():
        assert await jobs.enqueue(conn, name, payload)


async def state(pool: Pool) -> list[Counts]:
    async with pool.acquire() as conn:
        return await jobs.counts(conn)


async def until(pool: Pool, met: Callable[[list[Counts]], bool]) -> None:
    for _ in range(1_000):
        found = await state(pool)
        if met(found):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"the queue stays at {found}")


async def empty(pool: Pool) -> None:
    await until(pool, lambda found: found == [])


async def failed(pool: Pool) -> None:
    await until(pool, lambda found: [each.failed for each in found] == [1])


async def explode(_payload: dict[str, object]) -> None:
    raise RuntimeError("call +81 90 1234 5678 or ann@example.org")


async def test_a_job_is_done_with_its_payload_and_gone(pool: Pool, dsn: str) -> None:
    work, figures = Work(), Figures()
    async with running(dsn, {"greet": work}, observe=figures):
        await promise(pool, name_="Ann", n=1)
        await work.times(1)
        await empty(pool)
    assert work.done == [{"name_": "Ann", "n": 1}]
    assert figures.outcomes == [("greet", "done")]


async def test_a_job_that_was_rolled_back_is_never_done(pool: Pool, dsn: str) -> None:
    work = Work()
    async with running(dsn, {"greet": work}):
        async with pool.acquire() as conn:
            transaction = conn.transaction()
            await transaction.start()
            await jobs.enqueue(conn, "greet", {"n": 1})
            await transaction.rollback()
        await promise(pool, n=2)
        await work.times(1)
        await empty(pool)
    assert work.done == [{"n": 2}]


async def test_what_fails_is_tried_three_times_in_all_and_kept(pool: Pool, dsn: str) -> None:
    figures = Figures()
    async with running(dsn, {"greet": explode}, observe=figures):
        await promise(pool, secret="of the payload")
        await failed(pool)
    assert figures.outcomes == [("greet", "retried"), ("greet", "retried"), ("greet", "failed")]
    async with pool.acquire() as conn:
        found, total = await jobs.list_failed(conn, 10, 0)
    assert total == 1
    assert (found[0].name, found[0].tries) == ("greet", 3)
    assert found[0].error == "RuntimeError: call +81…78 or [left out]"
    log = await pool.fetch("select traceback::text as said from pgqueuer_log")
    told = " ".join(row["said"] or "" for row in log)
    assert "RuntimeError" in told
    for private in ("1234", "ann@", "of the payload"):
        assert private not in told


async def test_a_job_that_fails_once_is_done_the_second_time(pool: Pool, dsn: str) -> None:
    def then(count: int) -> None:
        if count == 1:
            raise OSError("a passing trouble")

    work = Work(then)
    async with running(dsn, {"greet": work}):
        await promise(pool)
        await work.times(2)
        await empty(pool)


async def test_a_handler_that_gives_up_is_not_called_again(pool: Pool, dsn: str) -> None:
    def then(_count: int) -> None:
        raise GiveUp("there is no such number")

    work = Work(then)
    async with running(dsn, {"greet": work}):
        await promise(pool)
        await failed(pool)
    assert len(work.done) == 1


async def test_an_operator_has_a_failed_job_tried_again_with_all_its_tries(
    pool: Pool, dsn: str
) -> None:
    healthy = asyncio.Event()

    def then(_count: int) -> None:
        if not healthy.is_set():
            raise RuntimeError("not yet")

    work = Work(then)
    async with running(dsn, {"greet": work}):
        await promise(pool)
        await failed(pool)
        healthy.set()
        async with pool.acquire() as conn:
            (found,), _ = await jobs.list_failed(conn, 10, 0)
            assert await jobs.retry(conn, found.id) is Changed.DONE
        await work.times(4)
        await empty(pool)


async def test_a_try_has_a_deadline(pool: Pool, dsn: str) -> None:
    async def hang(_payload: dict[str, object]) -> None:
        await asyncio.Event().wait()

    async with running(dsn, {"greet": hang}, deadlines_s={"greet": 0.05}):
        await promise(pool)
        await failed(pool)
    async with pool.acquire() as conn:
        (found,), _ = await jobs.list_failed(conn, 10, 0)
    assert found.error.startswith("TimeoutError")


async def test_jobs_of_one_name_are_done_a_few_at_a_time(pool: Pool, dsn: str) -> None:
    gate, active, most = asyncio.Event(), 0, 0

    async def work(_payload: dict[str, object]) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await gate.wait()
        active -= 1

    for n in range(25):
        await promise(pool, n=n)
    async with running(dsn, {"greet": work}):
        await until(pool, lambda found: found[0].active == 10)
        await asyncio.sleep(0.3)  # Three polls, in which an eleventh could have been taken.
        gate.set()
        await empty(pool)
    assert most == 10


async def test_jobs_without_a_handler_stay_and_are_reported_once(pool: Pool, dsn: str) -> None:
    work = Work()
    async with running(dsn, {"greet": work}) as runner:
        await promise(pool, "of_another_release")
        await promise(pool)
        await work.times(1)
        with capture_logs() as lines:
            for _ in range(2):
                runner.notice(await state(pool))
    assert [(line["event"], line["job"]) for line in lines] == [
        ("job_without_handler", "of_another_release")
    ]
    await until(pool, lambda found: [(c.name, c.waiting) for c in found] == [
        ("of_another_release", 1)
    ])  # fmt: skip


async def test_the_loss_of_the_database_connection_is_survived(pool: Pool, dsn: str) -> None:
    work = Work()
    async with running(dsn, {"greet": work}):
        await promise(pool, n=1)
        await work.times(1)
        await empty(pool)
        other: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
        cut = await other.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and application_name = 'talktime jobs'"
        )
        assert cut == 1
        await jobs.enqueue(other, "greet", {"n": 2})
        await other.close()
        await work.times(2)
        await empty(pool)
    assert [each["n"] for each in work.done] == [1, 2]


async def test_a_start_without_a_database_waits_for_it(pool: Pool, dsn: str) -> None:
    work = Work()
    await promise(pool)
    await pool.execute("alter table pgqueuer rename to away")
    async with running(dsn, {"greet": work}):
        await asyncio.sleep(0.3)  # A try or two that find nothing.
        await pool.execute("alter table away rename to pgqueuer")
        await work.times(1)
        await empty(pool)


async def test_a_job_interrupted_by_the_stop_is_done_by_the_next_life(pool: Pool, dsn: str) -> None:
    figures = Figures()
    stuck = Work(lambda _count: asyncio.Event().wait())
    async with running(dsn, {"greet": stuck}, grace_s=0.05, observe=figures):
        await promise(pool, n=1)
        await stuck.times(1)
    assert figures.outcomes == [("greet", "interrupted")]
    work = Work()
    async with running(dsn, {"greet": work}):
        await work.times(1)
        await empty(pool)
    assert work.done == [{"n": 1}]


async def test_the_job_of_a_node_that_died_is_taken_over(pool: Pool, dsn: str) -> None:
    await promise(pool, n=1)
    await pool.execute(
        "update pgqueuer set status = 'picked', queue_manager_id = gen_random_uuid(),"
        " heartbeat = now() - interval '1 minute'"
    )
    work = Work()
    async with running(dsn, {"greet": work}):
        await work.times(1)
        await empty(pool)


async def test_two_nodes_share_the_jobs_and_do_each_once(pool: Pool, dsn: str) -> None:
    one, other = Work(), Work()
    async with running(dsn, {"greet": one}), running(dsn, {"greet": other}):
        await asyncio.gather(*(promise(pool, n=n) for n in range(60)))
        await empty(pool)
    done = [each["n"] for each in one.done + other.done]
    assert sorted(done, key=str) == sorted(range(60), key=str)


async def test_a_stop_before_anything_was_reached_is_at_once() -> None:
    async with asyncio.timeout(WAIT_S):
        async with running("postgresql://nobody@127.0.0.1:1/none", {"greet": explode}):
            pass
        async with running("postgresql://nobody@127.0.0.1:1/none", {}):
            pass
