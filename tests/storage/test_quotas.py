"""Counts in windows: exact under load, and forgotten when they are over."""

from __future__ import annotations

import asyncio

import pytest

from storage import quotas
from storage.pool import Connection, Pool
from storage.quotas import Quota

NOW = 1_800_000_000_000
THREE = Quota("sends +12025550123", 3, 60_000)


async def test_a_window_has_so_many_uses_and_says_when_it_ends(conn: Connection) -> None:
    waits = [await quotas.take(conn, THREE, NOW + n * 1_000) for n in range(5)]
    assert waits == [0, 0, 0, 57_000, 56_000]


async def test_when_the_window_is_over_the_next_use_begins_another(conn: Connection) -> None:
    for _ in range(4):
        await quotas.take(conn, THREE, NOW)
    assert await quotas.take(conn, THREE, NOW + 59_999) == 1
    waits = [await quotas.take(conn, THREE, NOW + 60_000) for _ in range(4)]
    assert waits == [0, 0, 0, 60_000]


async def test_keys_count_apart(conn: Connection) -> None:
    for _ in range(4):
        await quotas.take(conn, THREE, NOW)
    assert await quotas.take(conn, Quota("another", 1, 60_000), NOW) == 0


async def test_what_is_given_back_can_be_used_again(conn: Connection) -> None:
    for _ in range(3):
        await quotas.take(conn, THREE, NOW)
    await quotas.give_back(conn, THREE.key)
    assert await quotas.take(conn, THREE, NOW) == 0
    assert await quotas.take(conn, THREE, NOW) > 0


async def test_nothing_is_given_back_below_zero_or_where_nothing_was(conn: Connection) -> None:
    await quotas.give_back(conn, THREE.key)
    await quotas.take(conn, THREE, NOW)
    for _ in range(3):
        await quotas.give_back(conn, THREE.key)
    waits = [await quotas.take(conn, THREE, NOW) for _ in range(4)]
    assert waits == [0, 0, 0, 60_000]


async def test_of_forty_at_once_three_are_allowed(pool: Pool) -> None:
    async def use() -> int:
        async with pool.acquire() as conn:
            return await quotas.take(conn, THREE, NOW)

    waits = await asyncio.gather(*(use() for _ in range(40)))
    assert waits.count(0) == 3


@pytest.mark.parametrize(("hours", "left"), [(0, 1), (2, 0)])
async def test_the_sweep_forgets_windows_that_are_long_over(
    conn: Connection, hours: int, left: int
) -> None:
    now_ms = await conn.fetchval("select (extract(epoch from now()) * 1000)::bigint")
    await quotas.take(conn, THREE, now_ms - 61_000 - hours * 3_600_000)
    assert await quotas.sweep(conn) == 1 - left
    assert await conn.fetchval("select count(*) from quota") == left
