"""Lists of a user's calls: history with its filters, and what calls have cost.

Two short index scans, one for each side, instead of one sort of everything a busy user ever did.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from storage.calls import CALL, CallRow, call_of
from storage.pool import Connection

# The words of `rest/calls/words.py: status_of`, in SQL; a test keeps them the same.
STATUS = """
case when c.id = $8 then $9
     when c.state in ('requested', 'ringing')
         then case c.state when 'requested' then 'initiated' else 'ringing' end
     when c.state <> 'ended' then 'answered'
     when c.connected_at is not null then 'completed'
     when c.reason in ('cancelled', 'hangup') then 'cancelled'
     else 'failed' end
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls, by when they were made: `since` counts, `until` does not. None is no condition.

    The row of a live call is written behind: `live` is the id of one whose status is known better.
    """

    side: Literal["caller", "callee"] | None = None
    statuses: tuple[str, ...] | None = None
    kind: str | None = None
    with_user: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    oldest_first: bool = False
    live: tuple[UUID, str] | None = None

    @property
    def plain(self) -> bool:
        """Nothing but side and time is asked for: the indexes alone can count that."""
        return self.statuses is None and self.kind is None and self.with_user is None


ALL = Wanted()


class Usage(msgspec.Struct, frozen=True):
    """What a caller paid for one ended call; `refunded_minor` of it came back."""

    call_id: UUID
    callee_id: UUID
    callee_name: str
    charged_minor: int
    refunded_minor: int
    talk_ms: int
    ended_at: datetime


def _side(mine: str, other: str) -> str:
    """The calls of $1 on one side. A side that is not asked for is not looked at."""
    return f"""
    from call c
   where c.{mine}_id = $1 and $2::text is distinct from '{other}'
     and c.created_at >= coalesce($3::timestamptz, '-infinity')
     and c.created_at < coalesce($4::timestamptz, 'infinity')
    """


def _filters(other: str) -> str:
    return f"""
     and ($5::text is null or c.kind = $5) and ($6::uuid is null or c.{other}_id = $6)
     and ($7::text[] is null or {STATUS} = any ($7))
    """


SIDES = (("caller", "callee"), ("callee", "caller"))
PLAIN_COUNT = "select " + " + ".join(
    f"(select count(*) {_side(mine, other)})" for mine, other in SIDES
)
COUNT = "select " + " + ".join(
    f"(select count(*) {_side(mine, other)} {_filters(other)})" for mine, other in SIDES
)


def _page(order: str) -> str:
    """A page of both sides; each side gives as much as the page may need of it."""
    both = " union all ".join(
        f"(select c.id, c.created_at {_side(mine, other)} {_filters(other)}"
        f" order by c.created_at {order}, c.id {order} limit $10::bigint + $11::bigint)"
        for mine, other in SIDES
    )
    return f"""
    {CALL}
      join (select * from ({both}) both_sides
             order by created_at {order}, id {order} limit $10::bigint offset $11::bigint) mine
        on mine.id = c.id
     order by mine.created_at {order}, mine.id {order}
    """


NEWEST, OLDEST = _page("desc"), _page("asc")


async def list_calls(
    conn: Connection, user_id: UUID, limit: int, offset: int, wanted: Wanted = ALL
) -> tuple[list[CallRow], int]:
    """A page of this user's calls, and how many there are of that kind in all."""
    span = (user_id, wanted.side, wanted.since, wanted.until)
    live_id, live_status = wanted.live or (None, None)
    filters = (wanted.kind, wanted.with_user, wanted.statuses, live_id, live_status)
    query = OLDEST if wanted.oldest_first else NEWEST
    rows = await conn.fetch(query, *span, *filters, limit, offset)
    total: int = await (
        conn.fetchval(PLAIN_COUNT, *span) if wanted.plain else conn.fetchval(COUNT, *span, *filters)
    )
    return [call_of(row) for row in rows], total


# A user is in one call at a time: calls that began in an order have ended in the same one.
PAID = """
  from call c
 where c.caller_id = $1 and c.state = 'ended' and c.charged_minor > 0
   and ($2::uuid is null or c.callee_id = $2)
"""


def _usage(order: str) -> str:
    return f"""
    select c.id, c.callee_id, u.name, c.charged_minor, coalesce(r.amount_minor, 0), c.talk_ms,
           c.ended_at
      from (select c.* {PAID} order by c.created_at {order}, c.id {order} limit $3 offset $4) c
      join users u on u.id = c.callee_id
      left join call_refund r on r.call_id = c.id
     order by c.created_at {order}, c.id {order}
    """


USAGE = {False: _usage("desc"), True: _usage("asc")}


async def list_usage(
    conn: Connection,
    user_id: UUID,
    *,
    with_user: UUID | None,
    oldest_first: bool,
    limit: int,
    offset: int,
) -> tuple[list[Usage], int]:
    """What this user paid for calls that have ended, one row for each, and how many in all."""
    rows = await conn.fetch(USAGE[oldest_first], user_id, with_user, limit, offset)
    total: int = await conn.fetchval(f"select count(*) {PAID}", user_id, with_user)
    return [Usage(*row) for row in rows], total
