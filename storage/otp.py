"""One-time codes that are out. The code itself is not kept: `rest/auth/codes.py` derives it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from storage.ids import new_id
from storage.pool import Connection

Purpose = Literal["login", "attach"]


class Otp(msgspec.Struct, frozen=True):
    """A code for `phone`. `user_id` is who wants to attach the number; None for a log-in."""

    id: UUID
    phone: str
    purpose: Purpose
    user_id: UUID | None


async def replace(
    conn: Connection,
    *,
    phone: str,
    purpose: Purpose,
    user_id: UUID | None,
    tries: int,
    ttl_ms: int,
    now_ms: int,
) -> Otp:
    """A new code in place of the one that was out for the same phone and purpose."""
    otp = Otp(new_id(), phone, purpose, user_id)
    await conn.execute(
        """
        insert into otp (id, phone, purpose, user_id, tries_left, expires_at)
        values ($1, $2, $3, $4, $5, 'epoch'::timestamptz + $6::bigint * interval '1 ms')
        on conflict (phone, purpose, user_id) do update
            set id = excluded.id, tries_left = excluded.tries_left,
                expires_at = excluded.expires_at
        """,
        otp.id,
        phone,
        purpose,
        user_id,
        tries,
        now_ms + ttl_ms,
    )
    return otp


async def take_try(
    conn: Connection, *, phone: str, purpose: Purpose, user_id: UUID | None, now_ms: int
) -> Otp | None:
    """Spend one try; only then may the code be compared. None: no live code, or no try left."""
    row = await conn.fetchrow(
        """
        update otp set tries_left = tries_left - 1
        where phone = $1 and purpose = $2 and user_id is not distinct from $3 and tries_left > 0
          and expires_at > 'epoch'::timestamptz + $4::bigint * interval '1 ms'
        returning id
        """,
        phone,
        purpose,
        user_id,
        now_ms,
    )
    return None if row is None else Otp(row["id"], phone, purpose, user_id)


async def burn(conn: Connection, otp_id: UUID) -> bool:
    """The code was right and is used up; False if it had been used or replaced before."""
    return await conn.fetchval("delete from otp where id = $1 returning true", otp_id) is True


async def read_live(conn: Connection, otp_id: UUID, now_ms: int) -> Otp | None:
    """The code, if it could still be entered."""
    row = await conn.fetchrow(
        """
        select id, phone, purpose, user_id from otp
        where id = $1 and tries_left > 0
          and expires_at > 'epoch'::timestamptz + $2::bigint * interval '1 ms'
        """,
        otp_id,
        now_ms,
    )
    return None if row is None else Otp(**dict(row))


async def sweep(conn: Connection, *, limit: int = 1_000) -> int:
    """Forget up to `limit` codes that expired more than an hour ago; how many there were."""
    done = await conn.execute(
        """
        delete from otp where ctid = any (array(
            select ctid from otp where expires_at < now() - interval '1 hour'
            order by expires_at limit $1
        ))
        """,
        limit,
    )
    return int(done.split()[-1])
