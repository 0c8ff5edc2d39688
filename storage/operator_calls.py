"""Calls of everybody, as operators look for them; and what the books and the operators did to one.

Each question reads an index: open meters for live calls, one side after the other for a user's,
the time for all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from storage import audit, earnings, nodes
from storage.calls import CALL, CallRow, call_of
from storage.pool import Connection

# A list says that there are so many when there are more.
TOTAL_MAX = 10_000
# Where neither a user nor a time is asked for, so far back is looked.
DAYS_DEFAULT = 30
TRANSFERS_MAX = 2_000
AUDIT_MAX = 200
END_ACTION = "call.end"
REFUND_KINDS = (earnings.RECALL, earnings.COVER)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls, by when they were made: `since` counts, `until` does not. None is no condition.

    `live` calls have no `reason`.
    """

    live: bool | None = None
    user_id: UUID | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Owned(msgspec.Struct, frozen=True):
    """A call and who runs it, or ran it last; None for one that could not even ring."""

    row: CallRow
    node: str | None = None
    epoch: int | None = None
    claim: int = 0

    @property
    def address(self) -> str | None:
        """What its node is called between nodes."""
        if self.node is None or self.epoch is None:
            return None
        return nodes.address(self.node, self.epoch)


class Moved(msgspec.Struct, frozen=True):
    """One transfer of a call; owners are None for the house's accounts."""

    at_ms: int
    operation: str
    code: str
    amount_minor: int
    currency: str
    from_kind: str
    from_owner: UUID | None
    to_kind: str
    to_owner: UUID | None


class Audited(msgspec.Struct, frozen=True):
    at: datetime
    actor: UUID
    actor_name: str
    action: str
    reason: str


# The index `call_by_time` is on this expression, and nobody else uses it.
BY_TIME = "c.created_at at time zone 'UTC'"


def _times(column: str, utc: str = "") -> str:
    return f"""
     {column} >= coalesce($2::timestamptz{utc}, '-infinity')
     and {column} < coalesce($3::timestamptz{utc}, 'infinity')
    """


_ENDED = """
     and ($4::text is null or c.reason = $4)
     and ($5::boolean is null or (c.state <> 'ended') = $5)
"""
_LIVE = f"""
    select c.id, {BY_TIME} as at from meter m join call c on c.id = m.call_id
     where m.state = 'open' and ($1::uuid is null or $1 in (c.caller_id, c.callee_id))
       and {_times("c.created_at")} and $4::text is null and $5::boolean
"""
_ALL = f"""
    select c.id, {BY_TIME} as at from call c
     where $1::uuid is null and {_times(f"({BY_TIME})", " at time zone 'UTC'")} {_ENDED}
"""
_OF_USER = " union all ".join(
    f"(select c.id, {BY_TIME} as at from call c"
    f" where c.{side}_id = $1 and {_times('c.created_at')} {_ENDED}"
    " order by c.created_at desc, c.id desc limit $6)"
    for side in ("caller", "callee")
)
_OWNERS = """
select i.id, n.name, m.owner_epoch, coalesce(m.claim, 0)
  from unnest($1::uuid[]) with ordinality as i(id, place)
  left join meter m on m.call_id = i.id
  left join node n on n.epoch = m.owner_epoch
 order by i.place
"""
_ROWS = CALL + " where c.id = any ($1::uuid[])"


async def find(
    conn: Connection, wanted: Wanted, limit: int, offset: int
) -> tuple[list[Owned], int]:
    """A page of the calls, the newest first, and how many there are, 10 000 at most."""
    source = _ALL
    if wanted.user_id is not None:
        source = _OF_USER
    elif wanted.live:
        source = _LIVE
    values = (wanted.user_id, wanted.since, wanted.until, wanted.reason, wanted.live)
    # Each side of a user gives as much as may be needed of it.
    ids = await conn.fetch(
        f"select id from ({source}) found where $6::bigint is not null"
        " order by at desc, id desc limit $7 offset $8",
        *values,
        limit + offset,
        limit,
        offset,
    )
    total: int = await conn.fetchval(
        f"select count(*) from (select from ({source}) every limit $6::bigint) counted",
        *values,
        TOTAL_MAX,
    )
    return await _owned(conn, [row[0] for row in ids]), total


async def read(conn: Connection, call_id: UUID) -> Owned | None:
    found = await _owned(conn, [call_id])
    return found[0] if found else None


async def _owned(conn: Connection, ids: Sequence[UUID]) -> list[Owned]:
    rows = {row[0]: call_of(row) for row in await conn.fetch(_ROWS, ids)}
    owners = await conn.fetch(_OWNERS, ids)
    return [Owned(rows[row[0]], *row[1:]) for row in owners if row[0] in rows]


# Keys of operations: call:<id>:…, refund:call:<id>:…, recall and cover of its refund.
_TRANSFERS = """
with posted as materialized (
    select id, kind, at from operation where key >= $1 and key < $2
    union all
    select id, kind, at from operation where key >= $3 and key < $4
    union all
    select id, kind, at from operation where key = any ($5::text[])
    order by id limit $6
)
select (extract(epoch from o.at) * 1000)::bigint, o.kind, t.code, t.amount, f.currency,
       f.kind, f.owner, r.kind, r.owner
  from posted o
  join transfer t on t.operation = o.id and t.at = o.at
  join account f on f.id = t.from_account
  join account r on r.id = t.to_account
 order by o.id, t.seq limit $6
"""


async def transfers(conn: Connection, call_id: UUID) -> list[Moved]:
    """The money of a call in order, its refund included; the first 2000 transfers."""
    rows = await conn.fetch(
        _TRANSFERS,
        f"call:{call_id}:",
        f"call:{call_id};",
        f"refund:call:{call_id}:",
        f"refund:call:{call_id};",
        [f"{kind}:{call_id}" for kind in REFUND_KINDS],
        TRANSFERS_MAX,
    )
    return [Moved(*row) for row in rows]


async def audited(conn: Connection, call_id: UUID) -> list[Audited]:
    """What operators did about the call, in order."""
    rows = await conn.fetch(
        """
        select a.at, a.actor, u.name, a.action, a.reason
          from audit_log a join users u on u.id = a.actor
         where a.target_type = 'call' and a.target_id = $1 order by a.id limit $2
        """,
        call_id,
        AUDIT_MAX,
    )
    return [Audited(*row) for row in rows]


async def note_end(conn: Connection, call_id: UUID, *, actor: UUID, reason: str) -> None:
    """Write down, once, that an operator ends a live call; needs a transaction."""
    # Of two who end it at once the second finds the first one's line.
    await conn.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", f"end:{call_id}")
    known = await conn.fetchval(
        "select exists (select from audit_log where target_type = 'call' and target_id = $1"
        " and action = $2)",
        call_id,
        END_ACTION,
    )
    if not known:
        await audit.record(
            conn,
            actor=actor,
            action=END_ACTION,
            target_type="call",
            target_id=call_id,
            reason=reason,
        )
