"""What operators did, to whom and why: written in the transaction that did it, for ever."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from storage.found import FOUND_MAX, where
from storage.pool import Connection


class Line(msgspec.Struct, frozen=True):
    """`details` holds JSON values."""

    id: int
    at: datetime
    actor: UUID
    actor_name: str
    action: str
    target_type: str
    target_id: UUID
    reason: str
    details: dict[str, Any] | None


async def record(
    conn: Connection,
    *,
    actor: UUID,
    action: str,
    target_type: str,
    target_id: UUID,
    reason: str,
    details: dict[str, object] | None = None,
) -> None:
    """Add a line, in the caller's transaction; `details` holds JSON values, never secrets."""
    await conn.execute(
        """
        insert into audit_log (actor, action, target_type, target_id, reason, details)
        values ($1, $2, $3, $4, $5, $6)
        """,
        actor,
        action,
        target_type,
        target_id,
        reason,
        details,
    )


async def search(
    conn: Connection,
    *,
    actor: UUID | None = None,
    action: str | None = None,
    target_id: UUID | None = None,
    limit: int,
    offset: int,
) -> tuple[list[Line], int]:
    """The lines that have all of what is not None, the newest first, and how many, `FOUND_MAX` at
    most."""
    asked, values = where(3, actor=actor, action=action, target_id=target_id)
    rows = await conn.fetch(
        f"""
        with found as materialized (
            select id from audit_log {asked} order by id desc limit {FOUND_MAX}
        ),
        page as (select id from found order by id desc limit $1 offset $2)
        select (select count(*) from found) as total, l.id, l.at, l.actor, u.name as actor_name,
               l.action, l.target_type, l.target_id, l.reason, l.details
          from (select) one
          left join (page join audit_log l using (id) join users u on u.id = l.actor) on true
         order by l.id desc
        """,
        limit,
        offset,
        *values,
    )
    lines = [
        Line(**{name: row[name] for name in Line.__struct_fields__})
        for row in rows
        if row["id"] is not None
    ]
    return lines, rows[0]["total"]
