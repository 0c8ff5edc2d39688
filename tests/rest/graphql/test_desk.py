"""What is asked stays within the bounds of REST, and leaves the pool to calls."""

from __future__ import annotations

import asyncio

import pytest

from rest.graphql.desk import CONNECTIONS_MAX, Desk, check_page, check_text
from rest.http.errors import Problem
from storage.pool import Pool


async def nobody() -> str:
    return ""


async def test_however_many_fields_ask_at_once_few_have_a_connection(pool: Pool) -> None:
    desk = Desk(pool, ping=nobody, samples=list)
    most = now = 0

    async def field() -> None:
        nonlocal most, now
        async with desk.conn() as conn:
            now += 1
            most = max(most, now)
            await conn.execute("select pg_sleep(0.01)")
            now -= 1

    await asyncio.gather(*(field() for _ in range(8)))
    assert most == CONNECTIONS_MAX


@pytest.mark.parametrize(
    ("limit", "offset", "field"), [(0, 0, "limit"), (101, 0, "limit"), (1, -1, "offset")]
)
def test_a_page_beyond_the_bounds_is_refused_by_name(limit: int, offset: int, field: str) -> None:
    check_page(100, 1_000_000)
    with pytest.raises(Problem) as caught:
        check_page(limit, offset)
    assert caught.value.details == {"field": field}


@pytest.mark.parametrize("text", ["", "xxxx", "a\0"])
def test_a_text_has_a_length_and_no_nul(text: str) -> None:
    check_text("name", "abc", 3)
    with pytest.raises(Problem) as caught:
        check_text("name", text, 3)
    assert caught.value.details == {"field": "name"}
