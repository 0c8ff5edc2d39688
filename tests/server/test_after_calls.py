"""What people are told after calls: each call once, whoever ends it and whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from rest.notifications.texts import after_call
from server.after_calls import AfterCalls
from storage import calls, notifications, settings
from storage.ended_calls import EndedCall
from storage.notifications import Notice
from storage.pool import Pool
from tests.storage.world import User, charge_of, make_user, make_world, record_of, settle_of

WAIT_S = 10.0


def notices_of(call: EndedCall) -> list[Notice]:
    return after_call(call, lambda amount: f"{amount} PTS")


class Told:
    """Counts the batches that had something to tell."""

    def __init__(self) -> None:
        self._count = 0
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self) -> None:
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._news:
            self._count += 1
            self._news.notify_all()

    async def times(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: self._count >= count)


@asynccontextmanager
async def telling(
    pool: Pool,
    told: Callable[[], None],
    notices_of: Callable[[EndedCall], Sequence[Notice]] = notices_of,
) -> AsyncIterator[AfterCalls]:
    after_calls = AfterCalls(pool, notices_of, told=told, poll_s=0.01)
    await after_calls.start()
    try:
        yield after_calls
    finally:
        await after_calls.stop()


async def emptied(pool: Pool) -> None:
    """Wait until no ended call is left to be told of."""
    async with asyncio.timeout(WAIT_S):
        while await pool.fetchval("select exists (select from ended_call)"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def inboxes(pool: Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch(
        "select u.name, n.type from notification n join users u on u.id = n.user_id order by 1, 2"
    )
    return [tuple(row) for row in rows]


async def missed(pool: Pool, caller: User, callee: User, count: int = 1) -> None:
    async with pool.acquire() as conn:
        await calls.record(conn, [record_of(caller, callee) for _ in range(count)])


async def two(pool: Pool) -> tuple[User, User]:
    async with pool.acquire() as conn, conn.transaction():
        users = await make_user(conn), await make_user(conn)
        for user, name in zip(users, ("Mia", "Kai"), strict=True):
            await conn.execute("update users set name = $2 where id = $1", user.id, name)
    return users


async def test_what_came_of_a_call_is_in_both_inboxes_and_promised_to_the_devices(
    pool: Pool,
) -> None:
    told = Told()
    async with make_world(pool) as world:
        call = await world.call()
        await world.combiner.do(charge_of(call, 1, connected_ms=call.created_ms))
        await world.combiner.do(settle_of(call, 1, reason="balance_exhausted"))
    async with telling(pool, told):
        await told.times(1)
    rows = await pool.fetch("select user_id, type, message from notification order by 2, 1")
    assert [(row["user_id"], row["type"]) for row in rows] == [
        (call.caller_id, "BALANCE_EXHAUSTED"),
        *((user, "CALL_SUMMARY") for user in sorted((call.caller_id, call.callee_id))),
    ]
    assert {row["message"].split(" with ")[0] for row in rows[1:]} == {"You talked 1 s"}
    promised = "select sum(jsonb_array_length(body -> 'items')) from outbox where topic = $1"
    assert await pool.fetchval(promised, notifications.MANY_TOPIC) == 3


async def test_several_nodes_tell_of_each_call_once(pool: Pool) -> None:
    mia, kai = await two(pool)
    async with telling(pool, Told()), telling(pool, Told()), telling(pool, Told()):
        await asyncio.gather(*(missed(pool, mia, kai, 30) for _ in range(6)))
        await emptied(pool)
    assert await inboxes(pool) == [("Kai", "MISSED_CALL")] * 180


async def test_a_batch_that_breaks_is_told_later_and_once(pool: Pool) -> None:
    mia, kai = await two(pool)
    await missed(pool, mia, kai, 3)
    tries = 0

    def breaking(call: EndedCall) -> list[Notice]:
        nonlocal tries
        tries += 1
        if tries == 3:
            raise ConnectionError("in the middle of the batch")
        return notices_of(call)

    async with telling(pool, Told(), breaking):
        await emptied(pool)
    assert tries == 6
    assert await inboxes(pool) == [("Kai", "MISSED_CALL")] * 3


async def test_who_does_not_want_to_hear_does_not_and_the_queue_is_emptied_all_the_same(
    pool: Pool,
) -> None:
    mia, kai = await two(pool)
    async with pool.acquire() as conn:
        await settings.change_toggles(conn, kai.id, incoming_call=False)
    await missed(pool, mia, kai)
    async with telling(pool, Told()):
        await emptied(pool)
    assert await inboxes(pool) == []
    assert await pool.fetchval("select count(*) from outbox") == 0


async def test_a_kick_tells_before_the_next_look(pool: Pool) -> None:
    mia, kai = await two(pool)
    told = Told()
    after_calls = AfterCalls(pool, notices_of, told=told, poll_s=3_600)
    await missed(pool, mia, kai)
    await after_calls.start()
    try:
        await told.times(1)
        await missed(pool, kai, mia)
        after_calls.kick()
        await told.times(2)
    finally:
        await after_calls.stop()
    assert await inboxes(pool) == [("Kai", "MISSED_CALL"), ("Mia", "MISSED_CALL")]
