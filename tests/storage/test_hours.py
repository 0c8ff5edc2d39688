from __future__ import annotations

import asyncio

import asyncpg
import pytest

from storage import hours
from storage.errors import NotFound
from storage.hours import Hours
from storage.ids import new_id
from storage.pool import Connection, Pool
from tests.storage.world import make_user

WEEK = [Hours(0, 0, 1_440), Hours(1, 540, 720), Hours(1, 720, 1_020)]


async def test_a_week_is_read_in_its_order_and_replaced_as_a_whole(conn: Connection) -> None:
    kai = (await make_user(conn, provider=True)).id
    other = (await make_user(conn, provider=True)).id
    assert await hours.read_hours(conn, kai) == []
    await hours.replace_hours(conn, kai, WEEK[::-1])
    await hours.replace_hours(conn, other, WEEK[1:])
    assert await hours.read_hours(conn, kai) == WEEK
    await hours.replace_hours(conn, kai, WEEK[:1])
    assert await hours.read_hours(conn, kai) == WEEK[:1]
    await hours.replace_hours(conn, kai, [])
    assert await hours.read_hours(conn, kai) == []
    assert await hours.read_hours(conn, other) == WEEK[1:]


async def test_who_is_no_provider_has_no_week(conn: Connection) -> None:
    customer = (await make_user(conn)).id
    for nobody in (customer, new_id()):
        with pytest.raises(NotFound) as refused:
            await hours.replace_hours(conn, nobody, WEEK)
        assert refused.value.code == "otomo_not_found"


async def test_of_two_who_write_at_once_one_wins_as_a_whole(pool: Pool) -> None:
    async with pool.acquire() as conn:
        kai = (await make_user(conn, provider=True)).id
    weeks = [[Hours(day, n, n + 1) for day in range(7)] for n in range(20)]

    async def write(week: list[Hours]) -> None:
        async with pool.acquire() as conn, conn.transaction():
            await hours.replace_hours(conn, kai, week)

    await asyncio.gather(*map(write, weeks))
    async with pool.acquire() as conn:
        assert await hours.read_hours(conn, kai) in weeks


@pytest.mark.parametrize(
    "odd", [Hours(7, 0, 1), Hours(0, -1, 1), Hours(0, 5, 5), Hours(0, 0, 1_441)]
)
async def test_the_database_refuses_hours_that_are_none(conn: Connection, odd: Hours) -> None:
    kai = (await make_user(conn, provider=True)).id
    with pytest.raises(asyncpg.CheckViolationError):
        await hours.replace_hours(conn, kai, [odd])
