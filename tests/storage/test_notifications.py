"""The inbox: told once, not against a toggle, and promised to the devices."""

from __future__ import annotations

from uuid import UUID

from storage import notifications
from storage.pool import Connection
from tests.storage.world import make_user


async def told(conn: Connection, user_id: UUID) -> list[str]:
    rows = await conn.fetch("select message from notification where user_id = $1", user_id)
    return [row["message"] for row in rows]


async def test_the_same_occasion_is_told_once(conn: Connection) -> None:
    user = await make_user(conn)
    for message in ("first", "second"):
        await notifications.add(
            conn, user_id=user.id, type="TEST", message=message, source="occasion:1"
        )
    assert await told(conn, user.id) == ["first"]


async def test_each_row_is_promised_to_the_devices(conn: Connection) -> None:
    user = await make_user(conn)
    await notifications.add(conn, user_id=user.id, type="TEST", message="hello", source="a")
    row = await conn.fetchrow("select topic, body from outbox where user_id = $1", user.id)
    assert row is not None
    assert row["topic"] == notifications.TOPIC
    assert row["body"]["message"] == "hello"


async def test_what_is_switched_off_is_not_told(conn: Connection) -> None:
    user = await make_user(conn)
    await conn.execute(
        "insert into notification_settings (user_id, wallet_alert) values ($1, false)", user.id
    )
    assert not await notifications.add(
        conn, user_id=user.id, type="TEST", message="x", source="a", category="wallet_alert"
    )
    assert not await notifications.add(
        conn, user_id=user.id, type="TEST", message="x", source="b", category="marketing"
    )
    assert await notifications.add(conn, user_id=user.id, type="TEST", message="y", source="c")
    assert await told(conn, user.id) == ["y"]
