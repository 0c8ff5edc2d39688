"""Passwords, sessions and refresh tokens. Secrets are known here by their hashes only."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from storage.errors import NotFound
from storage.pool import Connection

# Stands before every id.
FIRST = UUID(int=0)
# The first condition is for the planner: it proves that the index has all of them.
REVOKED_SINCE = """
select id, floor(extract(epoch from revoked_at) * 1000)::bigint as revoked_ms
from session
where revoked_at >= 'epoch'::timestamptz + $1::bigint * interval '1 ms'
  and (revoked_at, id) > ('epoch'::timestamptz + $1::bigint * interval '1 ms', $2::uuid)
order by revoked_at, id limit $3
"""


class Login(msgspec.Struct, frozen=True):
    """What a log-in needs of an account."""

    user_id: UUID
    status: str
    roles: list[str]
    password_hash: str


class Rotated(msgspec.Struct, frozen=True):
    """The refresh token was good: its successor is stored, now or by the same request before."""

    user_id: UUID
    session_id: UUID
    roles: list[str]


class Reused(msgspec.Struct, frozen=True):
    """A used token came back too late to be a repeat: its session has been revoked."""

    user_id: UUID
    session_id: UUID


class LiveSession(msgspec.Struct, frozen=True):
    """A log-in that can still be continued. `device` is what its client called itself."""

    id: UUID
    device: str | None
    created_at: datetime


async def set_password(conn: Connection, user_id: UUID, password_hash: str) -> None:
    await conn.execute(
        """
        insert into credentials (user_id, password_hash) values ($1, $2)
        on conflict (user_id) do update set password_hash = $2, changed_at = now()
        """,
        user_id,
        password_hash,
    )


async def replace_hash(conn: Connection, user_id: UUID, old: str, new: str) -> None:
    """Store a stronger hash of the same password, unless it was changed meanwhile."""
    await conn.execute(
        "update credentials set password_hash = $3 where user_id = $1 and password_hash = $2",
        user_id,
        old,
        new,
    )


async def read_hash(conn: Connection, user_id: UUID) -> str | None:
    """The hash of the account's password; None if it has no password, or is not active."""
    found: str | None = await conn.fetchval(
        """
        select c.password_hash from credentials c join users u on u.id = c.user_id
        where c.user_id = $1 and u.status = 'active'
        """,
        user_id,
    )
    return found


async def change_password(conn: Connection, user_id: UUID, old: str | None, new: str) -> bool:
    """Put the hash `new` in the place of `old`, or of nothing; False if that is not what was there.

    Needs a transaction: until its end nobody logs in to this account.
    """
    await conn.execute("select from users where id = $1 for no key update", user_id)
    if old is None:
        changed = await conn.fetchval(
            """
            insert into credentials (user_id, password_hash)
            select id, $2 from users where id = $1 and status = 'active'
            on conflict do nothing returning true
            """,
            user_id,
            new,
        )
    else:
        changed = await conn.fetchval(
            """
            update credentials set password_hash = $3, changed_at = now()
            where user_id = $1 and password_hash = $2 returning true
            """,
            user_id,
            old,
            new,
        )
    return changed is True


async def read_login(
    conn: Connection, *, email: str | None = None, phone: str | None = None
) -> Login | None:
    """By e-mail address (lower case) or phone (E.164); None without account or password."""
    row = await conn.fetchrow(
        """
        select u.id as user_id, u.status, u.roles, c.password_hash
        from users u join credentials c on c.user_id = u.id
        where u.email = $1 or u.phone = $2
        """,
        email,
        phone,
    )
    return None if row is None else Login(**dict(row))


async def open_session(
    conn: Connection,
    *,
    session_id: UUID,
    user_id: UUID,
    refresh_hash: bytes,
    now_ms: int,
    idle_ms: int,
    lifetime_ms: int,
    device: str | None = None,
) -> None:
    """One log-in: the session, for `lifetime_ms`, and its first refresh token, for `idle_ms`.

    Until the caller's transaction ends, the account's password is not changed and the account not
    deleted; both end all sessions, and must not miss this one.

    Raises:
        NotFound: there is no such account that is active.
    """
    opened = await conn.fetchval(
        """
        with owner as (
            select id from users where id = $2 and status = 'active' for share
        ),
        opened as (
            insert into session (id, user_id, device, created_at, expires_at)
            select $1, id, $3, 'epoch'::timestamptz + $5::bigint * interval '1 ms',
                   'epoch'::timestamptz + ($5::bigint + $7::bigint) * interval '1 ms'
            from owner
            returning id, created_at, expires_at
        )
        insert into refresh_token (hash, session_id, issued_at, expires_at)
        select $4, id, created_at, least(created_at + $6::bigint * interval '1 ms', expires_at)
        from opened
        returning true
        """,
        session_id,
        user_id,
        device,
        refresh_hash,
        now_ms,
        idle_ms,
        lifetime_ms,
    )
    if opened is None:
        raise NotFound("There is no such account.", code="user_not_found")


async def session_age_ms(
    conn: Connection, session_id: UUID, user_id: UUID, now_ms: int
) -> int | None:
    """How long ago the user logged in to this session; None if it is not there or revoked."""
    found: int | None = await conn.fetchval(
        """
        select $3::bigint - (extract(epoch from created_at) * 1000)::bigint from session
        where id = $1 and user_id = $2 and revoked_at is null
        """,
        session_id,
        user_id,
        now_ms,
    )
    return found


async def has_session(conn: Connection, user_id: UUID, now_ms: int) -> bool:
    """Is the user logged in anywhere?"""
    found: bool = await conn.fetchval(
        """
        select exists (select from session where user_id = $1 and revoked_at is null
                       and expires_at > 'epoch'::timestamptz + $2::bigint * interval '1 ms')
        """,
        user_id,
        now_ms,
    )
    return found


async def rotate(
    conn: Connection, *, old_hash: bytes, new_hash: bytes, now_ms: int, grace_ms: int, idle_ms: int
) -> Rotated | Reused | None:
    """Spend a refresh token for its successor. Needs a transaction, and that it commits.

    A token spent less than `grace_ms` ago is a repeated request and gets the same answer. Later,
    or once its successor was used, it means that two hold it, and the whole session goes. None:
    unknown, expired or revoked.
    """
    row = await conn.fetchrow(
        """
        select t.session_id, s.user_id, u.roles, u.status,
               (extract(epoch from t.used_at) * 1000)::bigint as used_ms,
               (extract(epoch from t.expires_at) * 1000)::bigint as expires_ms,
               (extract(epoch from s.expires_at) * 1000)::bigint as session_expires_ms,
               s.revoked_at is not null as revoked
        from refresh_token t
        join session s on s.id = t.session_id
        join users u on u.id = s.user_id
        where t.hash = $1
        for update of t, s
        """,
        old_hash,
    )
    if row is None or row["revoked"] or row["session_expires_ms"] <= now_ms:
        return None
    if row["status"] != "active":
        return None
    if row["used_ms"] is not None:
        # Asked only now: before the session was locked, the successor could have been spent still.
        arrived = await conn.fetchval(
            "select used_at is not null from refresh_token where hash = $1", new_hash
        )
        if now_ms - row["used_ms"] <= grace_ms and not arrived:
            return Rotated(row["user_id"], row["session_id"], row["roles"])
        await revoke_session(conn, row["session_id"], why="refresh_reuse", now_ms=now_ms)
        return Reused(row["user_id"], row["session_id"])
    if row["expires_ms"] <= now_ms:
        return None
    await conn.execute(
        """
        with spent as (
            update refresh_token set used_at = 'epoch'::timestamptz + $3::bigint * interval '1 ms'
            where hash = $1 returning session_id, used_at
        )
        insert into refresh_token (hash, session_id, issued_at, expires_at)
        select $2, s.id, spent.used_at,
               least(spent.used_at + $4::bigint * interval '1 ms', s.expires_at)
        from spent join session s on s.id = spent.session_id
        """,
        old_hash,
        new_hash,
        now_ms,
        idle_ms,
    )
    return Rotated(row["user_id"], row["session_id"], row["roles"])


async def list_sessions(
    conn: Connection, user_id: UUID, *, now_ms: int, limit: int
) -> list[LiveSession]:
    """The sessions of a user that hold a refresh token which is still good, latest first."""
    rows = await conn.fetch(
        """
        select s.id, s.device, s.created_at from session s
        where s.user_id = $1 and s.revoked_at is null
          and exists (
              select from refresh_token t
              where t.session_id = s.id and t.used_at is null
                and t.expires_at > 'epoch'::timestamptz + $2::bigint * interval '1 ms')
        order by s.created_at desc, s.id desc limit $3
        """,
        user_id,
        now_ms,
        limit,
    )
    return [LiveSession(**dict(row)) for row in rows]


async def revoke_session(
    conn: Connection, session_id: UUID, *, why: str, now_ms: int, user_id: UUID | None = None
) -> bool:
    """End a session, with `user_id` only if it is that user's; False if it had ended before."""
    found = await conn.fetchval(
        """
        update session set revoked_at = 'epoch'::timestamptz + $3::bigint * interval '1 ms',
                           revoked_why = $2
        where id = $1 and revoked_at is null and ($4::uuid is null or user_id = $4)
        returning true
        """,
        session_id,
        why,
        now_ms,
        user_id,
    )
    return found is True


async def revoke_sessions_of(
    conn: Connection, user_id: UUID, *, why: str, now_ms: int, but: UUID | None = None
) -> list[UUID]:
    """End all sessions of a user `but` one; the ids of those that had not ended."""
    rows = await conn.fetch(
        """
        update session set revoked_at = 'epoch'::timestamptz + $3::bigint * interval '1 ms',
                           revoked_why = $2
        where user_id = $1 and id is distinct from $4 and revoked_at is null returning id
        """,
        user_id,
        why,
        now_ms,
        but,
    )
    return [row["id"] for row in rows]


async def is_revoked(conn: Connection, session_id: UUID, user_id: UUID) -> bool:
    """Is this a session of the user that has been ended?"""
    found: bool = await conn.fetchval(
        """
        select exists (select from session
                       where id = $1 and user_id = $2 and revoked_at is not null)
        """,
        session_id,
        user_id,
    )
    return found


async def revoked_since(
    conn: Connection, since_ms: int, *, after: UUID = FIRST, limit: int | None = None
) -> list[tuple[UUID, int]]:
    """Sessions revoked since then, with the moment in Unix ms; the earliest first.

    With a `limit`, the next ones are those since the last one's moment, `after` its id.
    """
    rows = await conn.fetch(REVOKED_SINCE, since_ms, after, limit)
    return [(row["id"], row["revoked_ms"]) for row in rows]


async def delete_expired_sessions(conn: Connection, *, now_ms: int, rows_max: int = 1_000) -> int:
    """Forget sessions past their lifetime, with their tokens; the number of them."""
    async with conn.transaction():
        rows = await conn.fetch(
            """
            select id from session
            where expires_at < 'epoch'::timestamptz + $1::bigint * interval '1 ms'
            limit $2 for update skip locked
            """,
            now_ms,
            rows_max,
        )
        gone = [row["id"] for row in rows]
        await conn.execute("delete from refresh_token where session_id = any ($1)", gone)
        await conn.execute("delete from session where id = any ($1)", gone)
    return len(gone)
