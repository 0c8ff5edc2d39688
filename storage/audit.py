"""What operators did, to what, and why: rows that are only ever added."""

from __future__ import annotations

from uuid import UUID

from storage.pool import Connection


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
    """Write it down in the transaction that does it; `action` is "<noun>.<verb>".

    `details` holds JSON values, never secrets.
    """
    await conn.execute(
        "insert into audit_log (actor, action, target_type, target_id, reason, details) "
        "values ($1, $2, $3, $4, $5, $6)",
        actor,
        action,
        target_type,
        target_id,
        reason,
        details,
    )
