from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from server.background import (
    CHORES,
    TRIES_MAX,
    Chore,
    Housekeeping,
    OutboxRelay,
    earnings_chore,
    old_notifications,
)
from storage import notifications, outbox
from storage.ids import first_id, new_id
from storage.notifications import INBOX_MAX, SWEEP_PAGE, Notice
from storage.pool import Connection, Pool
from tests.storage.earning import PART, earned, sell
from tests.storage.world import make_user, make_world

WAIT_S = 10.0
NEVER_S = 3_600.0


class Ears:
    """Hears promises. Those in `deaf_to` fail as often as it says."""

    def __init__(self, **deaf_to: int) -> None:
        self.heard: list[int] = []
        self.tried: list[int] = []
        self.deaf_to = {int(name.removeprefix("n")): times for name, times in deaf_to.items()}
        self._changed = asyncio.Condition()

    async def __call__(self, topic: str, user_id: UUID, body: dict[str, object]) -> None:
        n = body["n"]
        assert isinstance(n, int)
        self.tried.append(n)
        if self.deaf_to.get(n, 0) > 0:
            self.deaf_to[n] -= 1
            raise ConnectionError("deaf")
        async with self._changed:
            self.heard.append(n)
            self._changed.notify_all()

    async def hear(self, count: int) -> list[int]:
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: len(self.heard) >= count)
        return self.heard


async def promise(pool: Pool, *numbers: int) -> None:
    async with pool.acquire() as conn, conn.transaction():
        for n in numbers:
            await outbox.add(conn, topic="counted", user_id=new_id(), body={"n": n})


async def left(pool: Pool) -> int:
    async with pool.acquire() as conn:
        counted: int = await conn.fetchval("select count(*) from outbox")
    return counted


async def settled(pool: Pool) -> int:
    """Wait for the end of the batch that is being told; how many promises are left then."""
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("select pg_advisory_xact_lock($1)", outbox.RELAY_LOCK)
        return await left(pool)


Deliver = Callable[[str, UUID, dict[str, object]], Awaitable[None] | None]


@asynccontextmanager
async def relaying(
    pool: Pool, deliver: Deliver, *, poll_s: float = NEVER_S
) -> AsyncIterator[OutboxRelay]:
    relay = OutboxRelay(pool, deliver, poll_s=poll_s, retry_s=0.001)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def test_what_was_promised_before_the_start_is_told_in_order(pool: Pool) -> None:
    await promise(pool, *range(250))
    ears = Ears()

    async with relaying(pool, ears):
        assert await ears.hear(250) == list(range(250))
        assert await settled(pool) == 0


async def test_a_kick_tells_at_once(pool: Pool) -> None:
    await promise(pool, 1)
    ears = Ears()
    async with relaying(pool, ears) as relay:
        await ears.hear(1)
        assert await settled(pool) == 0
        await promise(pool, 2)
        relay.kick()
        assert await ears.hear(2) == [1, 2]


async def test_without_a_kick_it_looks_by_itself(pool: Pool) -> None:
    ears = Ears()
    async with relaying(pool, ears, poll_s=0.01):
        await promise(pool, 1)
        assert await ears.hear(1) == [1]


async def test_a_plain_function_can_deliver(pool: Pool) -> None:
    told: list[tuple[str, object]] = []
    both = asyncio.Event()
    await promise(pool, 1, 2)

    def deliver(topic: str, user_id: UUID, body: dict[str, object]) -> None:
        told.append((topic, body["n"]))
        if len(told) == 2:
            both.set()

    async with relaying(pool, deliver):
        await asyncio.wait_for(both.wait(), WAIT_S)
        assert await settled(pool) == 0
    assert told == [("counted", 1), ("counted", 2)]


async def test_a_delivery_that_fails_is_repeated_and_keeps_its_place(pool: Pool) -> None:
    await promise(pool, 1, 2, 3)
    ears = Ears(n2=3)

    async with relaying(pool, ears):
        assert await ears.hear(3) == [1, 2, 3]
    assert ears.tried == [1, 2, 2, 2, 2, 3]


async def test_a_promise_that_cannot_be_kept_does_not_block_the_rest_for_ever(pool: Pool) -> None:
    await promise(pool, 1, 2)
    ears = Ears(n1=1_000)

    async with relaying(pool, ears):
        assert await ears.hear(1) == [2]
        assert await settled(pool) == 0
    assert ears.tried == [1] * TRIES_MAX + [2]


async def test_a_stop_in_mid_delivery_leaves_the_promise_for_the_next_start(pool: Pool) -> None:
    await promise(pool, 1)
    began = asyncio.Event()

    async def hang(topic: str, user_id: UUID, body: dict[str, object]) -> None:
        began.set()
        await asyncio.Event().wait()

    async with relaying(pool, hang):
        await asyncio.wait_for(began.wait(), WAIT_S)
    assert await left(pool) == 1

    ears = Ears()
    async with relaying(pool, ears):
        assert await ears.hear(1) == [1]


async def test_two_relays_tell_each_promise_once_and_in_order(pool: Pool) -> None:
    await promise(pool, *range(120))
    ears = Ears()

    async with relaying(pool, ears, poll_s=0.005), relaying(pool, ears, poll_s=0.005):
        assert await ears.hear(120) == list(range(120))
        assert await settled(pool) == 0
    assert len(ears.tried) == 120


async def test_it_survives_the_loss_of_its_connections(pool: Pool, dsn: str) -> None:
    ears = Ears()
    async with relaying(pool, ears, poll_s=0.01) as relay:
        await promise(pool, 1)
        await ears.hear(1)
        assert await settled(pool) == 0
        other = await asyncpg.connect(dsn)
        await other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await other.execute(
            "insert into outbox (topic, user_id, body) values ('counted', $1, '{\"n\": 2}')",
            new_id(),
        )
        await other.close()
        relay.kick()
        assert await ears.hear(2) == [1, 2]


async def test_a_chore_is_done_at_the_start_and_again_when_it_is_due(pool: Pool) -> None:
    turns = asyncio.Queue[str]()

    def chore(name: str, every_s: float) -> Chore:
        async def do(conn: Connection) -> None:
            await conn.execute("select 1")
            turns.put_nowait(name)

        return Chore(name, every_s, do)

    housekeeping = Housekeeping(pool, [chore("daily", NEVER_S), chore("often", 0.001)])
    await housekeeping.start()
    try:
        async with asyncio.timeout(WAIT_S):
            first = [await turns.get() for _ in range(4)]
    finally:
        await housekeeping.stop()
    assert first == ["daily", "often", "often", "often"]


async def test_a_chore_that_fails_is_tried_again_and_hinders_no_other(pool: Pool) -> None:
    done = asyncio.Event()
    tries: list[str] = []

    async def broken(conn: Connection) -> None:
        tries.append("broken")
        if len(tries) < 3:
            raise asyncpg.PostgresConnectionError("away")
        done.set()

    async def whole(conn: Connection) -> None:
        tries.append("whole")

    housekeeping = Housekeeping(
        pool,
        [Chore("broken", NEVER_S, broken), Chore("whole", NEVER_S, whole)],
        retry_s=0.001,
    )
    await housekeeping.start()
    try:
        await asyncio.wait_for(done.wait(), WAIT_S)
    finally:
        await housekeeping.stop()
    assert tries[:2] == ["broken", "whole"]
    assert tries.count("whole") == 1


@pytest.mark.parametrize("chore", CHORES, ids=lambda chore: chore.name)
async def test_the_chores_can_be_done_twice(pool: Pool, chore: Chore) -> None:
    async with pool.acquire() as conn:
        await chore.do(conn)
        await chore.do(conn)


async def test_old_answers_are_swept_and_gateway_events_stay(pool: Pool) -> None:
    async with pool.acquire() as conn:
        async with conn.transaction():
            user = await make_user(conn)
        await conn.execute(
            "insert into idempotency (user_id, route, key, body_hash, created_at)"
            " select $1, 'r', n::text, '', now() - interval '25 hours'"
            " from generate_series(1, 5) n",
            user.id,
        )
        await conn.execute(
            "insert into psp_event values"
            " ('sandbox', 'e', 'k', null, 'o', now() - interval '1 year')"
        )
        for chore in CHORES:
            await chore.do(conn)

        assert await conn.fetchval("select count(*) from idempotency") == 0
        assert await conn.fetchval("select count(*) from psp_event") == 1


@pytest.mark.parametrize(("delay_s", "every_s"), [(0, 60.0), (600, 600.0), (7 * 86_400, 3_600.0)])
async def test_earnings_are_released_in_time_for_their_delay(
    pool: Pool, delay_s: int, every_s: float
) -> None:
    async with make_world(pool) as world:
        provider = await world.user(provider=True)
        await sell(world, provider, 1, age_s=delay_s)
    chore = earnings_chore(delay_s)
    async with pool.acquire() as conn:
        await chore.do(conn)
        await chore.do(conn)
    assert await earned(pool, provider.id) == (0, PART)
    assert chore.every_s == every_s


async def test_inboxes_lose_what_is_old_and_what_is_too_much(pool: Pool) -> None:
    chore = old_notifications(90)
    day_ms = 86_400_000
    old = first_id(int(time.time() * 1000) - 91 * day_ms)
    async with pool.acquire() as conn:
        user = await make_user(conn)
        await conn.execute(
            "insert into notification (id, user_id, type, message, source)"
            " values ($1, $2, 'TEST', 'old', 'old')",
            old,
            user.id,
        )
        # More than one page of the sweep.
        assert INBOX_MAX > SWEEP_PAGE
        notices = [
            Notice(user_id=user.id, type="TEST", message=str(n), source=str(n))
            for n in range(INBOX_MAX + 2)
        ]
        await notifications.add_all(conn, notices)
        for _ in range(2):
            await chore.do(conn)
            left = await conn.fetch("select message from notification")
            assert {row["message"] for row in left} == {str(n) for n in range(2, INBOX_MAX + 2)}
