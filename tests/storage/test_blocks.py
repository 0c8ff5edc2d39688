"""Block lists: pages, their limit, and that a block counts in both directions."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from storage import blocks, users
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection, Pool


async def made(conn: Connection, name: str = "Ann") -> UUID:
    email = f"{new_id().hex}@example.org"
    return await users.create_user(conn, name=name, email=email, currency="PTS")


async def fill(conn: Connection, user_id: UUID, rows: int) -> None:
    """Let `user_id` block so many others."""
    await conn.execute(
        """
        with others as (
            insert into users (id, email, name)
            select gen_random_uuid(), 'other' || n || '@example.org', 'Other'
            from generate_series(1, $2::int) n returning id
        )
        insert into block (user_id, blocked_id) select $1, id from others
        """,
        user_id,
        rows,
    )


async def test_blocking_is_idempotent_and_paged(conn: Connection) -> None:
    ann = await made(conn)
    others = [await made(conn, f"Bo{n}") for n in range(3)]
    for other in others:
        await blocks.block(conn, ann, other)
        await blocks.block(conn, ann, other)
    page, total = await blocks.list_blocked(conn, ann, limit=2, offset=0)
    rest, _ = await blocks.list_blocked(conn, ann, limit=2, offset=2)
    assert total == 3
    assert {each.user_id for each in page + rest} == set(others)
    await blocks.unblock(conn, ann, others[0])
    await blocks.unblock(conn, ann, others[0])
    assert (await blocks.list_blocked(conn, ann, limit=9, offset=0))[1] == 2
    assert await blocks.list_blocked(conn, others[0], limit=9, offset=0) == ([], 0)


async def test_nobody_can_be_blocked_who_is_not_there(conn: Connection) -> None:
    ann, gone = await made(conn), await made(conn)
    await conn.execute("update users set status = 'deleted' where id = $1", gone)
    for other in (new_id(), gone):
        with pytest.raises(NotFound):
            await blocks.block(conn, ann, other)


async def test_a_block_counts_in_both_directions_and_for_nobody_else(conn: Connection) -> None:
    ann, bo, cy = [await made(conn) for _ in range(3)]
    await blocks.block(conn, ann, bo)
    assert await blocks.is_between(conn, ann, bo)
    assert await blocks.is_between(conn, bo, ann)
    assert not await blocks.is_between(conn, ann, cy)
    assert not await blocks.is_between(conn, bo, cy)


async def test_a_full_list_takes_nobody_new(conn: Connection) -> None:
    ann, bo = await made(conn), await made(conn)
    await fill(conn, ann, blocks.BLOCKS_MAX)
    with pytest.raises(blocks.ListFull):
        await blocks.block(conn, ann, bo)
    page, total = await blocks.list_blocked(conn, ann, limit=1, offset=0)
    assert total == blocks.BLOCKS_MAX
    await blocks.block(conn, ann, page[0].user_id)
    await blocks.unblock(conn, ann, page[0].user_id)
    await blocks.block(conn, ann, bo)


async def test_of_many_at_once_only_as_many_as_fit_get_in(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann = await made(conn)
        others = [await made(conn) for _ in range(6)]
        await fill(conn, ann, blocks.BLOCKS_MAX - 2)

    async def block(other: UUID) -> None:
        async with pool.acquire() as conn:
            await blocks.block(conn, ann, other)

    done = await asyncio.gather(*(block(other) for other in others), return_exceptions=True)
    assert sum(each is None for each in done) == 2
    assert sum(isinstance(each, blocks.ListFull) for each in done) == 4
