"""What operators do to accounts: suspend them, restore them, end their log-ins and live calls.

Each is audited in the caller's transaction, once: what has been done already is not done again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from storage import audit, credentials, jobs, operator_calls
from storage.errors import Conflict, NotFound
from storage.pool import Connection

END_CALL_JOB = "end_suspended_call"


class Login(msgspec.Struct, frozen=True):
    """A log-in that can still be continued. `device` is what its client called itself."""

    id: UUID
    device: str | None
    created_at: datetime
    last_seen_at: datetime


async def set_standing(
    conn: Connection,
    user_id: UUID,
    status: Literal["active", "suspended"],
    *,
    operator: UUID,
    reason: str,
    now_ms: int,
) -> list[UUID]:
    """Let an account be used, or not; the sessions that this ended, for their sockets to be closed.

    Until the transaction ends, nobody logs in to it.

    Raises:
        NotFound: user_not_found. Conflict: wrong_state, it is deleted.
    """
    known = await conn.fetchval("select status from users where id = $1 for no key update", user_id)
    if known is None:
        raise _no_account()
    if known == "deleted":
        raise Conflict("The account is deleted.", code="wrong_state", status=known)
    if known == status:
        return []
    await conn.execute(
        "update users set status = $2, updated_at = now() where id = $1", user_id, status
    )
    ended: list[UUID] = []
    if status == "suspended":
        ended = await credentials.revoke_sessions_of(conn, user_id, why="suspended", now_ms=now_ms)
    await audit.record(
        conn,
        actor=operator,
        action="user.suspend" if status == "suspended" else "user.restore",
        target_type="user",
        target_id=user_id,
        reason=reason,
        details={"sessionsEnded": len(ended)} if status == "suspended" else None,
    )
    return ended


async def promise_end_of_call(conn: Connection, user_id: UUID) -> UUID | None:
    """The live call of an account that is being suspended, which a job then ends if nobody has.

    Needs the transaction that suspends it; None if there is no such call.
    """
    call_id: UUID | None = await conn.fetchval(
        "select call_id from call_slot where user_id = $1", user_id
    )
    if call_id is not None:
        await jobs.enqueue(conn, END_CALL_JOB, {"callId": str(call_id)})
    return call_id


async def end_call_of(
    conn: Connection, user_id: UUID, *, operator: UUID, reason: str
) -> UUID | None:
    """As `promise_end_of_call`; what an operator does to the call is written down, too."""
    call_id = await promise_end_of_call(conn, user_id)
    if call_id is not None:
        await operator_calls.note_end(conn, call_id, actor=operator, reason=reason)
    return call_id


async def list_logins(
    conn: Connection, user_id: UUID, *, now_ms: int, limit: int, offset: int
) -> tuple[list[Login], int]:
    """Where somebody is logged in, the latest log-in first, and how many there are.

    Raises:
        NotFound: user_not_found.
    """
    if not await conn.fetchval("select exists (select from users where id = $1)", user_id):
        raise _no_account()
    rows = await conn.fetch(
        """
        with live as (
            select s.id, s.device, s.created_at, t.issued_at as last_seen_at from session s
              join refresh_token t on t.session_id = s.id and t.used_at is null
             where s.user_id = $1 and s.revoked_at is null
               and t.expires_at > 'epoch'::timestamptz + $2::bigint * interval '1 ms'
        ),
        page as (select * from live order by created_at desc, id desc limit $3 offset $4)
        select (select count(*) from live) as total, page.*
          from (select) one left join page on true order by created_at desc, id desc
        """,
        user_id,
        now_ms,
        limit,
        offset,
    )
    logins = [
        Login(row["id"], row["device"], row["created_at"], row["last_seen_at"])
        for row in rows
        if row["id"] is not None
    ]
    return logins, rows[0]["total"]


async def end_login(
    conn: Connection, user_id: UUID, session_id: UUID, *, operator: UUID, reason: str, now_ms: int
) -> None:
    """End one session of somebody; one that has ended stays so.

    Raises:
        NotFound: session_not_found, they have no such session.
    """
    if await credentials.revoke_session(
        conn, session_id, why="ended_by_operator", now_ms=now_ms, user_id=user_id
    ):
        await _note_end(conn, user_id, [session_id], operator, reason)
    elif not await credentials.is_revoked(conn, session_id, user_id):
        raise NotFound("They have no such session.", code="session_not_found")


async def end_logins(
    conn: Connection, user_id: UUID, *, operator: UUID, reason: str, now_ms: int
) -> list[UUID]:
    """End all sessions of somebody; those that had not ended.

    Raises:
        NotFound: user_not_found.
    """
    if not await conn.fetchval("select true from users where id = $1 for no key update", user_id):
        raise _no_account()
    ended = await credentials.revoke_sessions_of(
        conn, user_id, why="ended_by_operator", now_ms=now_ms
    )
    if ended:
        await _note_end(conn, user_id, ended, operator, reason)
    return ended


async def _note_end(
    conn: Connection, user_id: UUID, ended: list[UUID], operator: UUID, reason: str
) -> None:
    await audit.record(
        conn,
        actor=operator,
        action="user.sessions_end",
        target_type="user",
        target_id=user_id,
        reason=reason,
        # As many as one can be shown; all of them have the same reason.
        details={"ended": len(ended), "sessions": [str(each) for each in ended[:100]]},
    )


def _no_account() -> NotFound:
    return NotFound("There is no such account.", code="user_not_found")
