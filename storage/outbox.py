"""Promises made in a transaction and kept after it: tell a user, wake a call.

A row is told at least once, oldest first. Rows of one wallet are in the order of its commits,
because they are added while its account is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from storage.pool import Connection

# Any fixed number that no other advisory lock of ours uses.
RELAY_LOCK = 0x4F555442_4F58


class Promise(msgspec.Struct, frozen=True):
    """`body` holds JSON values in wire names."""

    id: int
    topic: str
    user_id: UUID
    body: dict[str, object]


ADD = """
insert into outbox (topic, user_id, body)
select $1, p.user_id, p.body
  from unnest($2::uuid[], $3::jsonb[]) with ordinality as p(user_id, body, n) order by p.n
"""


async def add(conn: Connection, *, topic: str, user_id: UUID, body: dict[str, object]) -> None:
    """Promise it, if and when the caller's transaction commits; call it after other locks."""
    await add_all(conn, topic=topic, promises=[(user_id, body)])


async def add_all(
    conn: Connection, *, topic: str, promises: Sequence[tuple[UUID, dict[str, object]]]
) -> None:
    """Promise many, in their order, as `add`; each is a user and a body."""
    if promises:
        await conn.execute(ADD, topic, *zip(*promises, strict=True))


async def take(conn: Connection, limit: int) -> list[Promise]:
    """The oldest promises, for the one relay that may tell them now.

    Needs a transaction: until it ends nobody else gets any (an empty list). Tell them, `forget`
    those that were told, and commit.
    """
    if not await conn.fetchval("select pg_try_advisory_xact_lock($1)", RELAY_LOCK):
        return []
    rows = await conn.fetch(
        "select id, topic, user_id, body from outbox order by id limit $1", limit
    )
    return [Promise(row["id"], row["topic"], row["user_id"], row["body"]) for row in rows]


async def count(conn: Connection) -> int:
    """How many promises are not kept yet; counted up to 10 000."""
    waiting: int = await conn.fetchval(
        "select count(*) from (select from outbox limit 10000) waiting"
    )
    return waiting


async def forget(conn: Connection, ids: list[int]) -> None:
    """They have been told."""
    await conn.execute("delete from outbox where id = any ($1::bigint[])", ids)
