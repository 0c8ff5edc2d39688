"""Call rows: what a call's states leave behind, and one call's history.

Moments are the node clock's Unix milliseconds, amounts minor units.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from storage.pool import Connection
from storage.pool import Record as Row
from storage.works import Note, Noted, NoteLegs, Record, Recorded

RECENT_MAX = 10
UNITS_MAX = 10_000


class Person(msgspec.Struct, frozen=True):
    user_id: UUID
    name: str
    avatar_url: str | None
    status: str = "active"


class CallRow(msgspec.Struct, frozen=True):
    """A call as stored. Of a live call the money and time are the meter's; `hold_minor` is 0 once
    it has ended, and for a call that never had a meter. `tariff` is JSON. What was refunded is all
    of it or nothing."""

    call_id: UUID
    caller: Person
    callee: Person
    kind: str
    connect_on: str
    state: str
    reason: str | None
    ended_by: str | None
    caller_device: str
    callee_device: str | None
    request_id: str | None
    note: str | None
    tariff: bytes
    created_ms: int
    ringing_ms: int | None
    accepted_ms: int | None
    connected_ms: int | None
    ended_ms: int | None
    talk_ms: int
    billable_ms: int
    units: int
    charged_minor: int
    earned_minor: int
    hold_minor: int
    refunded_minor: int = 0
    refunded_ms: int | None = None


class UnitRow(msgspec.Struct, frozen=True):
    """The `n`th posting of a call, from 1: its amount, and the call's total after it."""

    n: int
    charged_minor: int
    total_minor: int
    at_ms: int


NOTE = """
update call c
   set state = w.state,
       ringing_at = coalesce(c.ringing_at, 'epoch'::timestamptz + w.ringing * interval '1 ms'),
       accepted_at = coalesce(c.accepted_at, 'epoch'::timestamptz + w.accepted * interval '1 ms'),
       callee_device = coalesce(w.callee_device, c.callee_device)
  from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
           as w(call_id, state, ringing, accepted, callee_device)
  join meter m on m.call_id = w.call_id and m.owner_epoch = $1 and m.state = 'open'
 where c.id = w.call_id and c.state <> 'ended'
"""

NOTE_LEGS = """
update call c
   set caller_leg = nullif(w.caller_device, c.caller_device), callee_device = w.callee_device
  from unnest($2::uuid[], $3::text[], $4::text[]) as w(call_id, caller_device, callee_device)
  join meter m on m.call_id = w.call_id and m.owner_epoch = $1 and m.state = 'open'
 where c.id = w.call_id and c.state <> 'ended'
"""

RECORD = """
with recorded as (
    insert into call (id, caller_id, callee_id, caller_device, request_id, kind, connect_on, note,
                      tariff, state, reason, ended_by, created_at, ended_at)
    select w.call_id, w.caller_id, w.callee_id, w.caller_device, w.request_id, w.kind, w.connect_on,
           w.note, w.tariff::jsonb, 'ended', w.reason, w.ended_by, t.at, t.at
      from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                  $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[])
               as w(call_id, caller_id, callee_id, caller_device, request_id, kind, connect_on,
                    note, tariff, reason, ended_by, created_ms)
     cross join lateral (select 'epoch'::timestamptz + w.created_ms * interval '1 ms' as at) t
        on conflict do nothing
 returning id
)
insert into ended_call (call_id) select id from recorded
"""


async def note(conn: Connection, epoch: int, works: Sequence[Note]) -> list[Noted]:
    """Write states down, of this epoch's live calls; others are left alone. One call once."""
    columns = zip(*map(astuple, works), strict=True)
    await conn.execute(NOTE, epoch, *columns)
    return [Noted()] * len(works)


async def note_legs(conn: Connection, epoch: int, works: Sequence[NoteLegs]) -> list[Noted]:
    """As `note`, for the devices that are the legs."""
    await conn.execute(NOTE_LEGS, epoch, *zip(*map(astuple, works), strict=True))
    return [Noted()] * len(works)


async def record(conn: Connection, works: Sequence[Record]) -> list[Recorded]:
    """Store calls that ended before they could ring; a call stored before is left as it is."""
    columns = [list(column) for column in zip(*map(astuple, works), strict=True)]
    columns[8] = [tariff.decode() for tariff in columns[8]]
    await conn.execute(RECORD, *columns)
    return [Recorded()] * len(works)


CALL = """
select c.id, caller.id, caller.name, caller.avatar_url, caller.status,
       callee.id, callee.name, callee.avatar_url, callee.status,
       c.kind, c.connect_on, c.state, c.reason, c.ended_by, c.caller_device, c.callee_device,
       c.request_id, c.note, c.tariff::text,
       (extract(epoch from c.created_at) * 1000)::bigint,
       (extract(epoch from c.ringing_at) * 1000)::bigint,
       (extract(epoch from c.accepted_at) * 1000)::bigint,
       (extract(epoch from c.connected_at) * 1000)::bigint,
       (extract(epoch from c.ended_at) * 1000)::bigint,
       c.talk_ms, coalesce(m.billable_ms, c.billable_ms), c.units,
       coalesce(m.charged, c.charged_minor), coalesce(m.earned, c.earned_minor),
       coalesce(m.hold, 0), coalesce(r.amount_minor, 0),
       (extract(epoch from r.refunded_at) * 1000)::bigint
  from call c
  join users caller on caller.id = c.caller_id
  join users callee on callee.id = c.callee_id
  left join meter m on m.call_id = c.id
  left join call_refund r on r.call_id = c.id
"""

READ = CALL + " where c.id = $2 and $1 in (c.caller_id, c.callee_id)"
LIVE = CALL + " join call_slot s on s.call_id = c.id where s.user_id = $1"

RECENT = (
    CALL
    + """
 where (c.caller_id = $1 or c.callee_id = $1) and c.state = 'ended'
   and c.ended_at >= 'epoch'::timestamptz + $2::bigint * interval '1 ms'
   and c.created_at >= 'epoch'::timestamptz + ($2::bigint - $4::bigint) * interval '1 ms'
 order by c.ended_at desc, c.id limit $3
"""
)
# No call is longer than that, so the index on created_at can serve a question about ended_at.
CALL_MAX_MS = 86_400_000

# The operations of a call have the keys call:<id>:<total after>, ';' is what comes after ':'.
# Found by key before they are put in order, or the order's index would be read from end to end.
UNITS = """
with posted as materialized (
    select id, at from operation
     where key >= $1 and key < $2 and kind = 'call_charge' order by key limit $3
)
select t.amount, (extract(epoch from o.at) * 1000)::bigint
  from posted o
 cross join lateral (
       select sum(amount)::bigint as amount from transfer where operation = o.id and at = o.at) t
 order by o.id
"""


def call_of(row: Row) -> CallRow:
    """A row of `CALL`."""
    rest = (*row[9:18], row[18].encode(), *row[19:32])
    return CallRow(row[0], Person(*row[1:5]), Person(*row[5:9]), *rest)


async def read_call(conn: Connection, user_id: UUID, call_id: UUID) -> CallRow | None:
    """A call of this user's, on either side; None also when it is somebody else's."""
    row = await conn.fetchrow(READ, user_id, call_id)
    return None if row is None else call_of(row)


async def live_call(conn: Connection, user_id: UUID) -> CallRow | None:
    """The call this user's slot names."""
    row = await conn.fetchrow(LIVE, user_id)
    return None if row is None else call_of(row)


async def live_among(conn: Connection, call_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the calls that have not ended. One that is not known has ended."""
    rows = await conn.fetch(
        "select id from call where id = any($1::uuid[]) and state <> 'ended'", call_ids
    )
    return {row[0] for row in rows}


async def recent_calls(conn: Connection, user_id: UUID, since_ms: int) -> list[CallRow]:
    """This user's calls that ended at or after `since_ms`, newest first, at most 10."""
    rows = await conn.fetch(RECENT, user_id, since_ms, RECENT_MAX, CALL_MAX_MS)
    return [call_of(row) for row in rows]


async def read_units(conn: Connection, call_id: UUID) -> list[UnitRow]:
    """The postings of a call in order; ask `read_call` first whether the asker may know."""
    rows = await conn.fetch(UNITS, f"call:{call_id}:", f"call:{call_id};", UNITS_MAX)
    units: list[UnitRow] = []
    total_minor = 0
    for n, (amount_minor, at_ms) in enumerate(rows, start=1):
        total_minor += amount_minor
        units.append(UnitRow(n, amount_minor, total_minor, at_ms))
    return units
