from __future__ import annotations

import asyncio

import pytest

from storage import settings
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.settings import Toggles
from tests.storage.world import make_user


async def test_everybody_begins_with_all_but_marketing(conn: Connection) -> None:
    user = await make_user(conn)
    assert await settings.read_toggles(conn, user.id) == Toggles(True, True, True, False)
    # The first change stores the rest as it was told to be.
    changed = await settings.change_toggles(conn, user.id, call_summary=False)
    assert changed == Toggles(True, False, True, False)
    assert await settings.read_toggles(conn, user.id) == changed


async def test_changes_at_once_are_merged(pool: Pool) -> None:
    async with pool.acquire() as conn:
        user = await make_user(conn)

    async def change(**switch: bool) -> None:
        async with pool.acquire() as conn:
            await settings.change_toggles(conn, user.id, **switch)

    await asyncio.gather(
        change(incoming_call=False),
        change(call_summary=False),
        change(wallet_alert=False),
        change(marketing=True),
    )
    async with pool.acquire() as conn:
        assert await settings.read_toggles(conn, user.id) == Toggles(False, False, False, True)


async def test_settings_are_of_somebody(conn: Connection) -> None:
    with pytest.raises(NotFound):
        await settings.change_toggles(conn, new_id(), marketing=True)
    user = await make_user(conn)
    await conn.execute("update users set status = 'deleted' where id = $1", user.id)
    with pytest.raises(NotFound):
        await settings.change_toggles(conn, user.id, marketing=True)
