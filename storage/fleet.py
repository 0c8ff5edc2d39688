"""The nodes as operators see them: which live, and what each of them owns."""

from __future__ import annotations

from datetime import datetime

import msgspec

from storage.pool import Connection


class NodeLife(msgspec.Struct, frozen=True):
    """One life of a server process. `alive`: it may own calls, and has told of itself within its
    lease. `left_at` is when it ended in order; a fenced one without is dead. `calls` are the open
    meters it owns."""

    epoch: int
    name: str
    started_at: datetime
    beat_at: datetime
    alive: bool
    fenced: bool
    left_at: datetime | None
    calls: int


async def list_of(
    conn: Connection, *, lease_ms: int, limit: int, offset: int
) -> tuple[list[NodeLife], int]:
    """The lives of nodes, the youngest first, and how many there have been."""
    rows = await conn.fetch(
        """
        select n.epoch, n.name, n.started_at, n.beat_at,
               not n.fenced and n.beat_at > clock_timestamp() - $1::bigint * interval '1 ms'
                   as alive,
               n.fenced, n.left_at,
               (select count(*) from meter m where m.owner_epoch = n.epoch and m.state = 'open')
                   as calls
          from node n order by n.epoch desc limit $2 offset $3
        """,
        lease_ms,
        limit,
        offset,
    )
    total = await conn.fetchval("select count(*) from node")
    return [NodeLife(**dict(row)) for row in rows], total
