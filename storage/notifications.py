"""The inbox: what users are told besides the events of the socket.

Each row is made in the transaction of what it tells of, once for each `source`, and goes out to the
user's devices through the outbox after the commit. An inbox has an end: see `sweep_old` and
`sweep_excess`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from storage import outbox
from storage.ids import first_id, new_id
from storage.pool import Connection

TOPIC = "notification"
# A promise of several `items`, each with a `userId` and a `notification`: with one for each the
# relay cost the server three times as much, 2 % of a call.
MANY_TOPIC = "notifications"
PROMISE_MAX = 50
INBOX_MAX = 1_000
SWEEP_MAX = 1_000
SWEEP_PAGE = 500

# The toggles; what has no category is always told.
Category = Literal["incoming_call", "call_summary", "wallet_alert", "marketing"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell a user.

    `type` is a word in capitals (PAYMENT_COMPLETED), `message` a sentence for people, `source`
    names the occasion ("payment:<id>").
    """

    user_id: UUID
    type: str
    message: str
    source: str
    category: Category | None = None
    related_type: str | None = None
    related_id: UUID | None = None


class Notification(msgspec.Struct, frozen=True):
    """A row of somebody's inbox."""

    id: UUID
    type: str
    message: str
    related_type: str | None
    related_id: UUID | None
    is_read: bool
    created_at: datetime


ADD = """
insert into notification (id, user_id, type, message, source, related_type, related_id)
select g.id, u.id, g.type, g.message, g.source, g.related_type, g.related_id
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::uuid[]) with ordinality
           as g(id, user_id, type, message, source, category, related_type, related_id, n)
  join users u on u.id = g.user_id
  left join notification_settings s on s.user_id = u.id
 where u.status = 'active'
   and case g.category when 'incoming_call' then coalesce(s.incoming_call, true)
                       when 'call_summary' then coalesce(s.call_summary, true)
                       when 'wallet_alert' then coalesce(s.wallet_alert, true)
                       when 'marketing' then coalesce(s.marketing, false)
                       else true end
 order by g.n
    on conflict (user_id, source) do nothing
returning id, floor(extract(epoch from created_at) * 1000)::bigint
"""


async def add(
    conn: Connection,
    *,
    user_id: UUID,
    type: str,
    message: str,
    source: str,
    category: Category | None = None,
    related_type: str | None = None,
    related_id: UUID | None = None,
) -> bool:
    """Tell a user, in the caller's transaction; False if it was told before or is not wanted.

    The arguments are those of `Notice`. Call it after other locks, as `outbox.add`.
    """
    notice = Notice(
        user_id=user_id,
        type=type,
        message=message,
        source=source,
        category=category,
        related_type=related_type,
        related_id=related_id,
    )
    return await add_all(conn, [notice]) == 1


async def add_all(conn: Connection, notices: Sequence[Notice]) -> int:
    """Tell many, as `add`, in two statements; returns how many were told.

    They share promises, of at most 50 each.
    """
    if not notices:
        return 0
    # By their bytes: the driver's UUIDs are of a class of its own, which is slow to compare.
    by_id = {id.bytes: (id, notice) for id, notice in ((new_id(), each) for each in notices)}
    columns = zip(*((id, *astuple(notice)) for id, notice in by_id.values()), strict=True)
    rows = await conn.fetch(ADD, *columns)
    told = [_body(*by_id[row[0].bytes], row[1]) for row in rows]
    if len(told) == 1:
        await outbox.add_all(conn, topic=TOPIC, promises=told)
        return 1
    promises: list[tuple[UUID, dict[str, object]]] = []
    for at in range(0, len(told), PROMISE_MAX):
        some = told[at : at + PROMISE_MAX]
        items = [{"userId": str(user_id), "notification": body} for user_id, body in some]
        # The row has to name somebody.
        promises.append((some[0][0], {"items": items}))
    await outbox.add_all(conn, topic=MANY_TOPIC, promises=promises)
    return len(rows)


def _body(id: UUID, notice: Notice, at_ms: int) -> tuple[UUID, dict[str, object]]:
    """Who is told, and what, as the event `notification` has it."""
    related_id = notice.related_id
    return notice.user_id, {
        "id": str(id),
        "type": notice.type,
        "message": notice.message,
        "relatedEntityType": notice.related_type,
        "relatedEntityId": None if related_id is None else str(related_id),
        "createdAt": at_ms,
    }


# -- reading

COLUMNS = "id, type, message, related_type, related_id, read_at is not null, created_at"

LIST = f"""
select {COLUMNS} from notification
 where user_id = $1 and (read_at is null or not $2) and ($3::text is null or type = $3)
 order by created_at desc, id desc limit $4 offset $5
"""
COUNTS = """
select count(*) filter (where (read_at is null or not $2) and ($3::text is null or type = $3)),
       count(*) filter (where read_at is null)
  from notification where user_id = $1
"""


async def list_of(
    conn: Connection,
    user_id: UUID,
    *,
    unread_only: bool,
    type: str | None,
    limit: int,
    offset: int,
) -> tuple[list[Notification], int, int]:
    """A page of an inbox, newest first; how many match in all, and how many are unread at all."""
    rows = await conn.fetch(LIST, user_id, unread_only, type, limit, offset)
    counts = await conn.fetchrow(COUNTS, user_id, unread_only, type)
    assert counts is not None
    return [Notification(*row) for row in rows], counts[0], counts[1]


async def count_unread(conn: Connection, user_id: UUID) -> int:
    counted: int = await conn.fetchval(
        "select count(*) from notification where user_id = $1 and read_at is null", user_id
    )
    return counted


# -- marking

MARK_READ = f"""
update notification set read_at = coalesce(read_at, now()) where id = $2 and user_id = $1
returning {COLUMNS}
"""
MARK_ALL_READ = """
with newest as (
    select created_at, id from notification where user_id = $1 and id = $2
),
marked as (
    update notification n set read_at = now()
     where user_id = $1 and read_at is null
       and ($2::uuid is null
            or (created_at, id) <= (select newest.created_at, newest.id from newest))
 returning 1
)
select (select count(*) from marked), $2::uuid is null or exists (select from newest)
"""


async def mark_read(conn: Connection, user_id: UUID, notification_id: UUID) -> Notification | None:
    """Mark one of the user's own; None if they have no such."""
    row = await conn.fetchrow(MARK_READ, user_id, notification_id)
    return None if row is None else Notification(*row)


async def mark_all_read(conn: Connection, user_id: UUID, up_to: UUID | None = None) -> int | None:
    """Mark all, or `up_to` and what is older; how many were unread. None: they have no `up_to`."""
    row = await conn.fetchrow(MARK_ALL_READ, user_id, up_to)
    assert row is not None
    return row[0] if row[1] else None


async def delete(conn: Connection, user_id: UUID, notification_id: UUID) -> bool:
    """Delete one of the user's own; False if they have no such."""
    deleted = await conn.fetchval(
        "delete from notification where id = $2 and user_id = $1 returning true",
        user_id,
        notification_id,
    )
    return deleted is not None


# -- an inbox has an end

# Ids grow with time, so the primary key finds the oldest.
SWEEP_OLD = """
delete from notification
 where id = any (array(select id from notification where id < $1 order by id limit $2))
"""
SWEEP_EXCESS = """
with page as (
    select id, user_id from notification where id > $1 order by id limit $2
),
swept as (
    delete from notification
     where id = any (array(
           select extra.id
             from (select distinct user_id from page) told
            cross join lateral (
                  select n.id from notification n where n.user_id = told.user_id
                   order by n.created_at desc, n.id desc limit $4 offset $3) extra))
)
select id from page order by id desc limit 1
"""


async def sweep_old(conn: Connection, before_ms: int) -> bool:
    """Delete some of what is older than that moment; True if there may be more."""
    done: str = await conn.execute(SWEEP_OLD, first_id(before_ms), SWEEP_MAX)
    return done == f"DELETE {SWEEP_MAX}"


async def sweep_excess(conn: Connection, after: UUID, keep: int = INBOX_MAX) -> UUID | None:
    """Delete what those have beyond their newest `keep` who were told the next rows after `after`.

    Returns the last of those rows, to go on after; None when there were no more. At most 1000 rows
    of one user are deleted; what is left has to wait for the next round.
    """
    last: UUID | None = await conn.fetchval(SWEEP_EXCESS, after, SWEEP_PAGE, keep, SWEEP_MAX)
    return last
