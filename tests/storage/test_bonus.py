"""Bonus lots: noted once, in an account of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from storage import bonus
from storage.pool import Connection
from tests.storage.world import make_user


async def test_a_lot_is_noted_once(conn: Connection) -> None:
    user = await make_user(conn)
    until = datetime.now(UTC) + timedelta(days=30)
    accounts = {
        await bonus.open_lot(
            conn, user_id=user.id, currency="PTS", amount_minor=100, expires_at=until, key="lot:1"
        )
        for _ in range(2)
    }
    assert len(accounts) == 1
    assert await conn.fetchval("select count(*) from bonus_lot") == 1
