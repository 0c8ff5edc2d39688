"""The pictures of accounts: each an object under a random name that is never used again."""

from __future__ import annotations

import re
import secrets
from uuid import UUID

from storage import objects
from storage.errors import NotFound
from storage.pool import Connection

CONTENT_TYPE = "image/webp"

_key = re.compile(r"avatars/([0-9a-f-]{36})/[0-9a-f]{32}\.webp", re.ASCII)


def new_key(user_id: UUID) -> str:
    return f"avatars/{user_id}/{secrets.token_hex(16)}.webp"


def is_key(text: str) -> bool:
    """Does it look like `new_key` made it?"""
    return _key.fullmatch(text) is not None


def key_in(url: str | None, user_id: UUID) -> str | None:
    """The key that an address of this user's picture ends in; None for pictures from elsewhere."""
    found = _key.search(url or "")
    if found is None or found.end() != len(found.string) or found[1] != str(user_id):
        return None
    return found[0]


async def set_avatar(conn: Connection, user_id: UUID, url: str | None) -> None:
    """Set the picture's address, or clear it; the picture before goes when this has committed.

    Raises:
        NotFound: no such account.
    """
    async with conn.transaction():
        # Locked first: of two new pictures at once, the loser is the other one's "before".
        row = await conn.fetchrow(
            "select avatar_url from users where id = $1 and status <> 'deleted' for no key update",
            user_id,
        )
        if row is None:
            raise NotFound("There is no such account.", code="user_not_found")
        await conn.execute(
            "update users set avatar_url = $2, updated_at = now() where id = $1", user_id, url
        )
        await forget(conn, user_id, row["avatar_url"])


async def forget(conn: Connection, user_id: UUID, url: str | None) -> None:
    """Promise the removal of a picture that nothing names any more, if it is one of ours."""
    key = key_in(url, user_id)
    if key is not None:
        await objects.promise_removal(conn, key)
