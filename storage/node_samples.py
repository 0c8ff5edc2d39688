"""What nodes are doing, sampled every 10 s: for charts, and for the sum over all nodes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import astuple

from storage.pool import Connection

# A node that has not written for so long does not count among those that are there.
FRESH_S = 30.0
# As a node that is dead: see `signalling/calls/claims.py`.
ALIVE_S = 15.0


class Counts(msgspec.Struct, frozen=True):
    """What happened, counted: calls, money charged in minor units, requests, and those of them
    that were answered 5xx."""

    requested: int = 0
    connected: int = 0
    ended: int = 0
    charged_minor: int = 0
    requests: int = 0
    errors: int = 0


class Gauges(msgspec.Struct, frozen=True):
    """What is so: live calls, those of them that nobody has answered yet, sockets, users."""

    live: int = 0
    ringing: int = 0
    sockets: int = 0
    users: int = 0


class Point(msgspec.Struct, frozen=True):
    """All nodes in one step of time: sums of what was counted, means of what was so."""

    at: datetime
    counts: Counts
    gauges: Gauges


class Minute(msgspec.Struct, frozen=True):
    """The last minute of all nodes, and what those besides one are doing now."""

    counts: Counts
    others: Gauges


async def add(
    conn: Connection, epoch: int, at_ms: int, span_s: float, counts: Counts, gauges: Gauges
) -> None:
    """`counts` are of the `span_s` before `at_ms`. Written twice it is there once."""
    await conn.execute(
        """
        insert into node_sample (at, epoch, span_s, requested, connected, ended, charged, requests,
                                 errors, live, ringing, sockets, users)
        values ('epoch'::timestamptz + $1::bigint * interval '1 ms', $2, $3, $4, $5, $6, $7, $8, $9,
                $10, $11, $12, $13)
            on conflict do nothing
        """,
        at_ms,
        epoch,
        span_s,
        *astuple(counts),
        *astuple(gauges),
    )


# A sample tells of the time before it: one at the very end of a step belongs to that step.
_POINTS = """
select bucket, sum(requested)::bigint, sum(connected)::bigint, sum(ended)::bigint,
       sum(charged)::bigint, sum(requests)::bigint, sum(errors)::bigint,
       round(sum(live))::bigint, round(sum(ringing))::bigint, round(sum(sockets))::bigint,
       round(sum(users))::bigint
  from (select date_bin($3, at - interval '1 ms', 'epoch') as bucket, epoch,
               sum(requested) as requested, sum(connected) as connected, sum(ended) as ended,
               sum(charged) as charged, sum(requests) as requests, sum(errors) as errors,
               avg(live) as live, avg(ringing) as ringing, avg(sockets) as sockets,
               avg(users) as users
          from node_sample where at > $1 and at <= $2
         group by bucket, epoch) each_node
 group by bucket order by bucket
"""


async def points(conn: Connection, since: datetime, until: datetime, step_s: int) -> list[Point]:
    """The steps from `since` (a multiple of the step) in which any node wrote, in order."""
    rows = await conn.fetch(_POINTS, since, until, timedelta(seconds=step_s))
    return [Point(row[0], Counts(*row[1:7]), Gauges(*row[7:11])) for row in rows]


_MINUTE = """
with latest as (
    select distinct on (epoch) s.epoch, s.live, s.ringing, s.sockets, s.users
      from node_sample s join node n on n.epoch = s.epoch and not n.fenced
     where s.at > now() - $2 * interval '1 s' and s.epoch <> $1
     order by s.epoch, s.at desc
)
select c.*, l.*
  from (select coalesce(sum(requested), 0)::bigint, coalesce(sum(connected), 0)::bigint,
               coalesce(sum(ended), 0)::bigint, coalesce(sum(charged), 0)::bigint,
               coalesce(sum(requests), 0)::bigint, coalesce(sum(errors), 0)::bigint
          from node_sample where at > now() - interval '60 s') c,
       (select coalesce(sum(live), 0)::bigint, coalesce(sum(ringing), 0)::bigint,
               coalesce(sum(sockets), 0)::bigint, coalesce(sum(users), 0)::bigint
          from latest) l
"""


async def last_minute(conn: Connection, epoch: int) -> Minute:
    """`epoch` is the node that knows itself what it is doing."""
    row = await conn.fetchrow(_MINUTE, epoch, FRESH_S)
    assert row is not None
    return Minute(Counts(*row[:6]), Gauges(*row[6:10]))


async def alive(conn: Connection) -> Sequence[str]:
    """The names of the nodes that are there."""
    rows = await conn.fetch(
        "select name from node where not fenced"
        " and beat_at > clock_timestamp() - $1 * interval '1 s' order by name limit 1000",
        ALIVE_S,
    )
    return [row[0] for row in rows]


async def sweep(conn: Connection, *, days: int, limit: int) -> int:
    """Forget what is older; returns how many rows."""
    done = await conn.execute(
        """
        delete from node_sample where (at, epoch) in (
            select at, epoch from node_sample
             where at < now() - $1 * interval '1 day' order by at limit $2
        )
        """,
        days,
        limit,
    )
    return int(done.split()[-1])
