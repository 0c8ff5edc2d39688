"""When providers say that they take calls: their week, in minutes of the day."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from storage.errors import NotFound
from storage.pool import Connection


class Hours(msgspec.Struct, frozen=True):
    """From one minute of a day to another, 1440 at the latest. Day 0 is Sunday."""

    day_of_week: int
    start_minute: int
    end_minute: int


async def read_hours(conn: Connection, user_id: UUID) -> list[Hours]:
    """In the order of the week."""
    rows = await conn.fetch(
        """
        select day_of_week, start_minute, end_minute from provider_hours where user_id = $1
        order by day_of_week, start_minute
        """,
        user_id,
    )
    return [Hours(**dict(row)) for row in rows]


async def replace_hours(conn: Connection, user_id: UUID, week: Sequence[Hours]) -> None:
    """These and no others, in the caller's transaction. That none overlap is the caller's part.

    Raises:
        NotFound: no provider profile.
    """
    # Two who write at once write one after the other.
    found = await conn.fetchval(
        "select true from provider where user_id = $1 for no key update", user_id
    )
    if found is None:
        raise NotFound("There is no such provider.", code="otomo_not_found")
    await conn.execute("delete from provider_hours where user_id = $1", user_id)
    await conn.executemany(
        """
        insert into provider_hours (user_id, day_of_week, start_minute, end_minute)
        values ($1, $2, $3, $4)
        """,
        [(user_id, *astuple(each)) for each in week],
    )
