"""The devices that a push can wake, by user: tokens of push services and web push subscriptions.

A registration ends with the log-in that made it, which the database sees to.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from uuid import UUID

import msgspec

from storage.errors import Refusal
from storage.ids import new_id
from storage.pool import Connection

DEVICES_MAX = 10
HINT_CHARS = 6
# Of a shorter one the hint would give away too much.
HINTED_MIN_CHARS = 24


class SessionEnded(Refusal):
    """The log-in that registers is over."""

    code = "unauthorized"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a device registers with. `target` is its token, or the endpoint of its subscription;
    the keys belong to the latter alone."""

    device_id: str
    platform: str
    provider: str
    target: str
    p256dh: bytes | None = None
    auth: bytes | None = None


class Listed(msgspec.Struct, frozen=True):
    """A registration as its owner sees it; `hint` is the end of a long token, else empty."""

    id: UUID
    device_id: str
    platform: str
    provider: str
    hint: str
    created_at: datetime
    updated_at: datetime


class Registered(msgspec.Struct, frozen=True):
    """A registration to push to."""

    id: UUID
    user_id: UUID
    device_id: str
    platform: str
    provider: str
    target: str
    p256dh: bytes | None = None
    auth: bytes | None = None


LISTED = f"""
id, device_id, platform, provider,
case when provider <> 'webpush' and char_length(target) >= {HINTED_MIN_CHARS}
     then right(target, {HINT_CHARS}) else '' end as hint,
created_at, updated_at
"""


async def register(conn: Connection, user_id: UUID, session_id: UUID, wish: Wish) -> Listed:
    """Remember where to push for this device of the user; the same once more changes nothing.

    A token that another user had is that user's no more. Beyond `DEVICES_MAX` the registration that
    was renewed longest ago goes.

    Raises:
        SessionEnded: the session is not the user's, or is over.
    """
    digest = sha256(wish.target.encode()).digest()
    async with conn.transaction():
        # One registration of a token at a time, and then one of the user.
        await conn.execute(
            "select pg_advisory_xact_lock($1)", int.from_bytes(digest[:8], signed=True)
        )
        await conn.execute("select from users where id = $1 for no key update", user_id)
        live = await conn.fetchval(
            "select true from session where id = $1 and user_id = $2 and revoked_at is null "
            "for share",
            session_id,
            user_id,
        )
        if live is None:
            raise SessionEnded("Log in again.")
        await conn.execute(
            """
            delete from push_device where provider = $1 and target_hash = $2
                                      and (user_id, device_id) <> ($3, $4)
            """,
            wish.provider,
            digest,
            user_id,
            wish.device_id,
        )
        row = await conn.fetchrow(
            f"""
            insert into push_device (id, user_id, session_id, device_id, platform, provider, target,
                                     target_hash, p256dh, auth)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            on conflict (user_id, device_id, provider) do update
                set session_id = excluded.session_id, platform = excluded.platform,
                    target = excluded.target, target_hash = excluded.target_hash,
                    p256dh = excluded.p256dh, auth = excluded.auth, updated_at = now()
            returning {LISTED}
            """,
            new_id(),
            user_id,
            session_id,
            wish.device_id,
            wish.platform,
            wish.provider,
            wish.target,
            digest,
            wish.p256dh,
            wish.auth,
        )
        assert row is not None
        await conn.execute(
            """
            delete from push_device where id = any (array(
                select id from push_device where user_id = $1 and id <> $2
                order by updated_at desc, id desc offset $3
            ))
            """,
            user_id,
            row["id"],
            DEVICES_MAX - 1,
        )
    return Listed(**dict(row))


async def list_of(conn: Connection, user_id: UUID) -> list[Listed]:
    """A user's registrations, the one renewed last first."""
    rows = await conn.fetch(
        f"""
        select {LISTED} from push_device where user_id = $1
        order by push_device.updated_at desc, id desc limit {DEVICES_MAX}
        """,
        user_id,
    )
    return [Listed(**dict(row)) for row in rows]


async def forget(conn: Connection, user_id: UUID, registration_id: UUID) -> bool:
    """False if the user has no such registration."""
    found = await conn.fetchval(
        "delete from push_device where id = $1 and user_id = $2 returning true",
        registration_id,
        user_id,
    )
    return found is True


async def to_wake(conn: Connection, user_id: UUID) -> list[Registered]:
    """Where the user can be woken."""
    rows = await conn.fetch(
        f"""
        select id, user_id, device_id, platform, provider, target, p256dh, auth from push_device
        where user_id = $1 order by updated_at desc limit {DEVICES_MAX}
        """,
        user_id,
    )
    return [Registered(**dict(row)) for row in rows]


async def gone(conn: Connection, registered: Registered) -> None:
    """The push service does not know this token any more. A newer one of the device stays."""
    await conn.execute(
        "delete from push_device where id = $1 and target_hash = $2",
        registered.id,
        sha256(registered.target.encode()).digest(),
    )
