"""Calls as operators see them: everybody's, the live ones first of all."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from storage.calls import CALL, CallRow, call_of
from storage.pool import Connection


class OwnedCall(msgspec.Struct, frozen=True):
    """A call, and the node that runs it; None when nobody does, as it has ended."""

    call: CallRow
    node: str | None


READ = f"{CALL} where c.id = $1"
LIVE = f"{CALL} where m.state = 'open' order by c.created_at, c.id limit $1 offset $2"
OWNERS = """
select m.call_id, n.name from meter m join node n on n.epoch = m.owner_epoch
 where m.call_id = any($1::uuid[]) and m.state = 'open'
"""


async def read_any(conn: Connection, call_id: UUID) -> OwnedCall | None:
    """Anybody's call: for operators alone."""
    row = await conn.fetchrow(READ, call_id)
    if row is None:
        return None
    [found] = await _owned(conn, [call_of(row)])
    return found


async def list_live(conn: Connection, limit: int, offset: int) -> tuple[list[OwnedCall], int]:
    """A page of the live calls of all nodes, the oldest first, and how many there are in all."""
    rows = await conn.fetch(LIVE, limit, offset)
    total: int = await conn.fetchval("select count(*) from meter where state = 'open'")
    return await _owned(conn, [call_of(row) for row in rows]), total


async def _owned(conn: Connection, calls: Sequence[CallRow]) -> list[OwnedCall]:
    rows = await conn.fetch(OWNERS, [call.call_id for call in calls])
    owners: dict[UUID, str] = {row["call_id"]: row["name"] for row in rows}
    return [OwnedCall(call, owners.get(call.call_id)) for call in calls]
