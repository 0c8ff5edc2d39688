"""Whom users have blocked. A block counts in both directions: neither reaches the other."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from storage.errors import Conflict, NotFound
from storage.pool import Connection

BLOCKS_MAX = 1_000


class ListFull(Conflict):
    """The user blocks as many as one may."""

    code = "block_list_full"


class Blocked(msgspec.Struct, frozen=True):
    """One line of a block list."""

    user_id: UUID
    name: str
    avatar_url: str | None
    blocked_at: datetime


async def block(conn: Connection, user_id: UUID, other: UUID) -> None:
    """`user_id` blocks `other`; blocking twice is blocking once.

    Raises:
        NotFound: `other` is no account.
        ListFull: `user_id` blocks 1,000 already.
    """
    async with conn.transaction():
        # One block of a user at a time, so that none slips in while the others are counted.
        await conn.execute("select from users where id = $1 for no key update", user_id)
        row = await conn.fetchrow(
            """
            select exists (select from users where id = $2 and status <> 'deleted') as there,
                   exists (select from block where user_id = $1 and blocked_id = $2) as done,
                   (select count(*) from block where user_id = $1) as total
            """,
            user_id,
            other,
        )
        assert row is not None
        if not row["there"]:
            raise NotFound("There is no such account.", code="user_not_found")
        if row["done"]:
            return
        if row["total"] >= BLOCKS_MAX:
            raise ListFull(f"At most {BLOCKS_MAX} accounts can be blocked.", max=BLOCKS_MAX)
        await conn.execute(
            "insert into block (user_id, blocked_id) values ($1, $2)", user_id, other
        )


async def unblock(conn: Connection, user_id: UUID, other: UUID) -> None:
    """Not having blocked `other` is no fault."""
    await conn.execute("delete from block where user_id = $1 and blocked_id = $2", user_id, other)


async def is_between(conn: Connection, one: UUID, other: UUID) -> bool:
    """Has one of the two blocked the other?"""
    found: bool = await conn.fetchval(
        """
        select exists (select from block where user_id = $1 and blocked_id = $2)
            or exists (select from block where user_id = $2 and blocked_id = $1)
        """,
        one,
        other,
    )
    return found


async def list_blocked(
    conn: Connection, user_id: UUID, *, limit: int, offset: int
) -> tuple[list[Blocked], int]:
    """A page of whom `user_id` blocks, latest first, and how many there are."""
    rows = await conn.fetch(
        """
        select u.id as user_id, u.name, u.avatar_url, b.created_at as blocked_at
        from block b join users u on u.id = b.blocked_id
        where b.user_id = $1
        order by b.created_at desc, b.blocked_id limit $2 offset $3
        """,
        user_id,
        limit,
        offset,
    )
    total = await conn.fetchval("select count(*) from block where user_id = $1", user_id)
    return [Blocked(**dict(row)) for row in rows], total
