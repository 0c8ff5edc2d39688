"""Calls as they stand in the books afterwards, without anybody who made them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from storage.ids import new_id
from storage.pool import Connection

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)


async def past_call(
    conn: Connection,
    caller_id: UUID,
    callee_id: UUID,
    *,
    at: datetime = AT,
    talk_ms: int | None = 60_000,
    earned: int = 0,
    ended: bool = True,
    tariff: object = None,
) -> UUID:
    """A call requested at `at`; nobody came to talk if `talk_ms` is None."""
    call_id = new_id()
    connected_at = None if talk_ms is None else at + timedelta(seconds=5)
    await conn.execute(
        """
        insert into call (id, caller_id, callee_id, kind, connect_on, state, reason, ended_by,
                          caller_device, tariff, created_at, connected_at, ended_at, talk_ms,
                          earned_minor)
        values ($1, $2, $3, 'audio', 'media', case when $6 then 'ended' else 'connected' end,
                case when $6 then 'hangup' end, case when $6 then 'caller' end, 'phone', $9,
                $4, $5, case when $6 then $4::timestamptz + interval '1 hour' end, $7, $8)
        """,
        call_id,
        caller_id,
        callee_id,
        at,
        connected_at,
        ended,
        talk_ms or 0,
        earned,
        tariff or {},
    )
    return call_id
