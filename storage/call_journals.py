"""Journals of calls: what each owner of a call noted, kept for 30 days. Nothing depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from storage.pool import Connection

# The owners that a call can have had and be read of.
OWNERS_MAX = 50


class Noted(msgspec.Struct, frozen=True):
    """The journal of the owner that `claim` others were before. `entries` is JSON."""

    call_id: UUID
    claim: int
    entries: bytes
    left_out: int
    reports: int


class Kept(msgspec.Struct, frozen=True):
    """A stored journal and the name of its node."""

    claim: int
    node: str
    entries: bytes
    left_out: int
    reports: int
    at: datetime


async def add(conn: Connection, epoch: int, journals: Sequence[Noted]) -> None:
    """Write them down; one that is there already stays as it is."""
    columns = zip(*map(astuple, journals), strict=True)
    await conn.execute(
        """
        insert into call_journal (epoch, call_id, claim, entries, left_out, reports)
        select $1, * from unnest($2::uuid[], $3::integer[], $4::bytea[], $5::integer[],
                                 $6::integer[])
            on conflict do nothing
        """,
        epoch,
        *columns,
    )


async def of_call(conn: Connection, call_id: UUID) -> list[Kept]:
    """The journals of a call's owners in their order; those of killed ones are missing."""
    rows = await conn.fetch(
        """
        select j.claim, coalesce(n.name, ''), j.entries, j.left_out, j.reports, j.at
          from call_journal j left join node n on n.epoch = j.epoch
         where j.call_id = $1 order by j.claim limit $2
        """,
        call_id,
        OWNERS_MAX,
    )
    return [Kept(*row) for row in rows]


async def sweep(conn: Connection, *, days: int, limit: int) -> int:
    """Forget what is older; returns how many rows."""
    done = await conn.execute(
        """
        delete from call_journal where (call_id, claim) in (
            select call_id, claim from call_journal
             where at < now() - $1 * interval '1 day' order by at limit $2
        )
        """,
        days,
        limit,
    )
    return int(done.split()[-1])
