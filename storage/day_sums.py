"""Sums over all live calls, and over the calls of a day, for operators."""

from __future__ import annotations

from datetime import datetime

import msgspec

from storage.pool import Connection


class Day(msgspec.Struct, frozen=True):
    """Calls made since a moment, those of them that were answered, and what they have cost."""

    calls: int
    answered: int
    charged_minor: int


class Failing(msgspec.Struct, frozen=True):
    """Jobs that were given up; webhook deliveries that failed and are tried again."""

    jobs: int
    webhooks: int


async def live_by_state(conn: Connection) -> dict[str, int]:
    """How many live calls there are by state, those without any left out. States are written
    behind, by 250 ms or so."""
    rows = await conn.fetch(
        """
        select c.state, count(*) from meter m join call c on c.id = m.call_id
         where m.state = 'open' and c.state <> 'ended' group by c.state
        """
    )
    return {row[0]: row[1] for row in rows}


async def since(conn: Connection, moment: datetime) -> Day:
    row = await conn.fetchrow(
        """
        select count(*), count(c.accepted_at),
               coalesce(sum(coalesce(m.charged, c.charged_minor)), 0)::bigint
          from call c left join meter m on m.call_id = c.id and m.state = 'open'
         where (c.created_at at time zone 'UTC') >= $1::timestamptz at time zone 'UTC'
        """,
        moment,
    )
    assert row is not None
    return Day(*row)


async def failing(conn: Connection) -> Failing:
    row = await conn.fetchrow(
        """
        select (select count(*) from pgqueuer where status = 'failed'),
               (select count(*) from webhook_delivery where status = 'waiting' and tries > 0)
        """
    )
    assert row is not None
    return Failing(*row)
