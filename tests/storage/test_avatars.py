"""The address of an account's picture, and the way out of the one before."""

from __future__ import annotations

import asyncio

import pytest

from storage import avatars
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection, Pool
from tests.storage.world import make_user


async def promised(conn: Connection | Pool) -> list[str]:
    rows = await conn.fetch("select payload from pgqueuer where entrypoint = 'remove_object'")
    return sorted(row["payload"].decode() for row in rows)


async def test_the_picture_before_is_promised_away(conn: Connection) -> None:
    ann = await make_user(conn)
    one, other = avatars.new_key(ann.id), avatars.new_key(ann.id)
    await avatars.set_avatar(conn, ann.id, f"https://talk.example/media/{one}")
    assert await promised(conn) == []
    await avatars.set_avatar(conn, ann.id, f"/media/{other}")
    assert await promised(conn) == [f'{{"key":"{one}"}}']
    await avatars.set_avatar(conn, ann.id, None)
    await avatars.set_avatar(conn, ann.id, None)
    assert len(await promised(conn)) == 2


async def test_of_many_new_pictures_at_once_all_but_one_are_promised_away(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann = await make_user(conn)
    keys = [avatars.new_key(ann.id) for _ in range(6)]

    async def set_one(key: str) -> None:
        async with pool.acquire() as conn:
            await avatars.set_avatar(conn, ann.id, f"/media/{key}")

    await asyncio.gather(*(set_one(key) for key in keys))
    kept = await pool.fetchval("select avatar_url from users where id = $1", ann.id)
    gone = sorted(f'{{"key":"{key}"}}' for key in keys if not kept.endswith(key))
    assert len(gone) == 5
    assert await promised(pool) == gone


async def test_who_is_gone_gets_no_picture(conn: Connection) -> None:
    ann = await make_user(conn)
    await conn.execute("update users set status = 'deleted' where id = $1", ann.id)
    for user_id in (ann.id, new_id()):
        with pytest.raises(NotFound):
            await avatars.set_avatar(conn, user_id, "/media/x")


def test_only_our_own_names_are_keys() -> None:
    user_id = new_id()
    key = avatars.new_key(user_id)
    assert avatars.is_key(key)
    assert avatars.key_in(f"https://cdn.example/{key}", user_id) == key
    for url in (None, "", "https://elsewhere.example/me.png", f"/media/{key}?x", f"/media/{key}/"):
        assert avatars.key_in(url, user_id) is None
    assert avatars.key_in(f"/media/{key}", new_id()) is None, "another user's picture"
    for text in (f"{key}/..", f"../{key}", key.upper(), key.replace("webp", "svg"), f"{key}\n"):
        assert not avatars.is_key(text)
