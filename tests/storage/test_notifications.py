"""The inbox: told once, not against a toggle, promised to the devices, and never endless."""

from __future__ import annotations

import asyncio
import time
from typing import get_args
from uuid import UUID

import pytest

from storage import notifications, settings
from storage.ids import first_id, new_id
from storage.notifications import Category, Notice
from storage.pool import Connection, Pool
from tests.storage.world import User, make_user


def notice(
    user: User, message: str, *, source: str = "", category: Category | None = None
) -> Notice:
    return Notice(
        user_id=user.id,
        type="TEST",
        message=message,
        source=source or message,
        category=category,
    )


async def told(conn: Connection, user_id: UUID) -> list[str]:
    """The messages of an inbox, newest first."""
    found, total, _ = await notifications.list_of(
        conn, user_id, unread_only=False, type=None, limit=100, offset=0
    )
    assert total == len(found)
    return [each.message for each in found]


async def promised(conn: Connection) -> list[tuple[str, dict[str, str]]]:
    """Who is to be told what, of several that were told together."""
    rows = await conn.fetch("select body from outbox where topic = 'notifications' order by id")
    items = [item for row in rows for item in row["body"]["items"]]
    return [(item["userId"], item["notification"]) for item in items]


async def test_the_same_occasion_is_told_once(conn: Connection) -> None:
    user = await make_user(conn)
    for message in ("first", "second"):
        await notifications.add(
            conn, user_id=user.id, type="TEST", message=message, source="occasion:1"
        )
    assert await told(conn, user.id) == ["first"]


async def test_the_same_occasion_told_by_several_at_once_is_told_once(pool: Pool) -> None:
    async with pool.acquire() as conn:
        user = await make_user(conn)

    async def tell() -> int:
        async with pool.acquire() as conn, conn.transaction():
            return await notifications.add_all(conn, [notice(user, "once"), notice(user, "once")])

    assert sorted(await asyncio.gather(*(tell() for _ in range(4)))) == [0, 0, 0, 1]
    assert await pool.fetchval("select count(*) from outbox") == 1


async def test_each_row_is_promised_to_the_devices(conn: Connection) -> None:
    user, call_id = await make_user(conn), new_id()
    await notifications.add(
        conn,
        user_id=user.id,
        type="TEST",
        message="hello",
        source="a",
        related_type="call",
        related_id=call_id,
    )
    row = await conn.fetchrow("select topic, body from outbox where user_id = $1", user.id)
    inbox = await conn.fetchrow("select id, created_at from notification")
    assert row is not None
    assert inbox is not None
    assert row["topic"] == notifications.TOPIC
    assert row["body"] == {
        "id": str(inbox["id"]),
        "type": "TEST",
        "message": "hello",
        "relatedEntityType": "call",
        "relatedEntityId": str(call_id),
        "createdAt": int(inbox["created_at"].timestamp() * 1000),
    }


@pytest.mark.parametrize("category", get_args(Category))
async def test_each_toggle_filters_its_own_category_and_no_other(
    conn: Connection, category: Category
) -> None:
    switched_off, switched_on = await make_user(conn), await make_user(conn)
    await settings.change_toggles(conn, switched_off.id, marketing=True)
    await settings.change_toggles(conn, switched_off.id, **{category: False})
    await settings.change_toggles(conn, switched_on.id, **{category: True})
    notices = [
        notice(user, str(each), category=each)
        for user in (switched_off, switched_on)
        for each in get_args(Category)
    ]
    await notifications.add_all(conn, notices)
    assert set(await told(conn, switched_off.id)) == set(get_args(Category)) - {category}
    assert category in await told(conn, switched_on.id)
    assert category not in {
        told["message"] for user_id, told in await promised(conn) if user_id == str(switched_off.id)
    }


async def test_nobody_is_told_who_is_gone_and_many_are_told_in_order(conn: Connection) -> None:
    gone, user = await make_user(conn), await make_user(conn)
    await conn.execute("update users set status = 'deleted' where id = $1", gone.id)
    notices = [notice(user, str(n)) for n in range(5)]
    assert await notifications.add_all(conn, [notice(gone, "x"), *notices]) == 5
    assert await notifications.add_all(conn, []) == 0
    assert await told(conn, user.id) == ["4", "3", "2", "1", "0"]
    assert [told["message"] for _, told in await promised(conn)] == ["0", "1", "2", "3", "4"]


async def test_many_share_promises_of_some_length(conn: Connection) -> None:
    users = [await make_user(conn) for _ in range(3)]
    notices = [notice(user, str(n)) for n in range(40) for user in users]
    assert await notifications.add_all(conn, notices) == 120
    sizes = await conn.fetch("select topic, jsonb_array_length(body -> 'items') n from outbox")
    assert [tuple(row) for row in sizes] == [
        (notifications.MANY_TOPIC, count) for count in (50, 50, 20)
    ]
    assert [(user_id, told["message"]) for user_id, told in await promised(conn)] == [
        (str(each.user_id), each.message) for each in notices
    ]


async def test_rows_of_one_moment_keep_their_order_over_pages(conn: Connection) -> None:
    user = await make_user(conn)
    await notifications.add_all(conn, [notice(user, str(n)) for n in range(6)])
    await conn.execute("update notification set created_at = now()")
    pages = [
        (
            await notifications.list_of(
                conn, user.id, unread_only=False, type=None, limit=2, offset=offset
            )
        )[0]
        for offset in (0, 2, 4)
    ]
    assert [each.message for page in pages for each in page] == ["5", "4", "3", "2", "1", "0"]


async def test_reading_up_to_one_leaves_what_came_later(conn: Connection) -> None:
    user, other = await make_user(conn), await make_user(conn)
    await notifications.add_all(conn, [notice(user, str(n)) for n in range(4)])
    await notifications.add(conn, user_id=other.id, type="TEST", message="x", source="x")
    newest_first, _, _ = await notifications.list_of(
        conn, user.id, unread_only=True, type=None, limit=10, offset=0
    )
    shown = newest_first[1].id
    # Another's row is no place to read up to, and not mine to mark.
    assert await notifications.mark_all_read(conn, other.id, shown) is None
    assert await notifications.mark_read(conn, other.id, shown) is None
    assert not await notifications.delete(conn, other.id, shown)
    assert await notifications.count_unread(conn, user.id) == 4
    assert await notifications.mark_all_read(conn, user.id, shown) == 3
    assert await notifications.mark_all_read(conn, user.id, shown) == 0
    assert await notifications.count_unread(conn, user.id) == 1
    assert await notifications.mark_all_read(conn, user.id) == 1
    assert await notifications.count_unread(conn, other.id) == 1


async def test_old_rows_are_swept_and_young_ones_stay(conn: Connection) -> None:
    user = await make_user(conn)
    await notifications.add_all(conn, [notice(user, str(n)) for n in range(3)])
    now_ms = int(time.time() * 1000)
    for n in range(2):
        old = UUID(int=first_id(now_ms - 60_000).int + n)
        await conn.execute("update notification set id = $1 where message = $2", old, str(n))
    assert not await notifications.sweep_old(conn, now_ms - 30_000)
    assert await told(conn, user.id) == ["2"]


async def test_an_inbox_keeps_its_newest_rows(conn: Connection) -> None:
    quiet, full, modest = [await make_user(conn) for _ in range(3)]
    await notifications.add_all(conn, [notice(quiet, str(n)) for n in range(5)])
    before = await conn.fetchval("select max(id::text)::uuid from notification")
    await notifications.add_all(conn, [notice(full, str(n)) for n in range(7)])
    await notifications.add_all(conn, [notice(modest, str(n)) for n in range(3)])
    last = await notifications.sweep_excess(conn, before, keep=3)
    assert last is not None
    assert await notifications.sweep_excess(conn, last, keep=3) is None
    # Who was told nothing since then is not looked at.
    assert len(await told(conn, quiet.id)) == 5
    assert await told(conn, full.id) == ["6", "5", "4"]
    assert await told(conn, modest.id) == ["2", "1", "0"]
