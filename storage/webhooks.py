"""Endpoints that operators want to be told of calls at, and their secrets.

A secret is shown when it is made and never again. It is stored as it is, because it signs.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from storage.pool import Connection, Record

ENDPOINTS_MAX = 10
SECRET_BYTES = 32
# So long both secrets sign after a change.
OVERLAP = "24 hours"

Disabled = Literal["operator", "gone"]


class Endpoint(msgspec.Struct, frozen=True):
    """Without `events` all of them are meant. `disabled` tells by whom: an operator, or the
    endpoint itself (410 Gone)."""

    id: UUID
    url: str
    events: list[str]
    disabled: Disabled | None
    old_secret_until: datetime | None
    created_at: datetime


class Wants(msgspec.Struct, frozen=True):
    """An endpoint that is told of events; without `events` of all."""

    id: UUID
    events: list[str]

    def takes(self, kind: str) -> bool:
        return not self.events or kind in self.events


_COLUMNS = "id, url, events, disabled, old_secret_until, created_at"


def new_secret() -> str:
    """A key as standardwebhooks.com spells it: `whsec_` and 32 bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


async def create(
    conn: Connection, endpoint_id: UUID, *, url: str, events: Sequence[str], secret: str
) -> Endpoint | None:
    """Add an endpoint; None when there are 10 already. Needs a transaction."""
    await conn.execute("lock table webhook_endpoint in share row exclusive mode")
    row = await conn.fetchrow(
        f"""
        insert into webhook_endpoint (id, url, events, secret)
        select $1, $2, $3, $4
         where (select count(*) from webhook_endpoint where deleted_at is null) < $5
        returning {_COLUMNS}
        """,
        endpoint_id,
        url,
        list(events),
        secret,
        ENDPOINTS_MAX,
    )
    return None if row is None else _endpoint(row)


async def list_all(conn: Connection) -> list[Endpoint]:
    """The endpoints that are not deleted, the oldest first."""
    rows = await conn.fetch(
        f"""
        select {_COLUMNS} from webhook_endpoint where deleted_at is null
        order by created_at, id limit $1
        """,
        ENDPOINTS_MAX,
    )
    return [_endpoint(row) for row in rows]


async def read(conn: Connection, endpoint_id: UUID) -> Endpoint | None:
    row = await conn.fetchrow(
        f"select {_COLUMNS} from webhook_endpoint where id = $1 and deleted_at is null",
        endpoint_id,
    )
    return None if row is None else _endpoint(row)


async def change(
    conn: Connection,
    endpoint_id: UUID,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    disabled: bool | None = None,
) -> Endpoint | None:
    """Change what is not None; None when there is no such endpoint."""
    row = await conn.fetchrow(
        f"""
        update webhook_endpoint
           set url = coalesce($2, url), events = coalesce($3, events),
               disabled = case $4::boolean when true then coalesce(disabled, 'operator')
                                           when false then null else disabled end
         where id = $1 and deleted_at is null
        returning {_COLUMNS}
        """,
        endpoint_id,
        url,
        None if events is None else list(events),
        disabled,
    )
    return None if row is None else _endpoint(row)


async def rotate(conn: Connection, endpoint_id: UUID, secret: str) -> Endpoint | None:
    """Sign with a new secret, and for 24 h with the one before it too."""
    row = await conn.fetchrow(
        f"""
        update webhook_endpoint
           set old_secret = secret, old_secret_until = now() + interval '{OVERLAP}', secret = $2
         where id = $1 and deleted_at is null
        returning {_COLUMNS}
        """,
        endpoint_id,
        secret,
    )
    return None if row is None else _endpoint(row)


async def delete(conn: Connection, endpoint_id: UUID) -> bool:
    """Tell it nothing more, and forget its secrets; False when there is no such endpoint."""
    done = await conn.execute(
        """
        update webhook_endpoint
           set deleted_at = now(), secret = '', old_secret = null, old_secret_until = null
         where id = $1 and deleted_at is null
        """,
        endpoint_id,
    )
    return done == "UPDATE 1"


async def wanting(conn: Connection) -> list[Wants]:
    """The endpoints that are told of events."""
    rows = await conn.fetch(
        """
        select id, events from webhook_endpoint where deleted_at is null and disabled is null
        order by id limit $1
        """,
        ENDPOINTS_MAX,
    )
    return [Wants(*row) for row in rows]


async def shut(conn: Connection, endpoint_id: UUID) -> None:
    """The endpoint says that it is gone."""
    await conn.execute(
        "update webhook_endpoint set disabled = 'gone' where id = $1 and disabled is null",
        endpoint_id,
    )


def _endpoint(row: Record) -> Endpoint:
    return Endpoint(**dict(row.items()))
