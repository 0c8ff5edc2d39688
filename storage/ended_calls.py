"""Calls that have ended and whose people have not been told yet: the queue behind the meter.

The statements that end a call (`meters.SETTLE`, `calls.RECORD`) queue its id in the same
transaction, so a crash loses none and repeats none.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from storage.pool import Connection


class EndedCall(msgspec.Struct, frozen=True):
    """What there is to tell of a call; amounts are minor units, `_ms` moments Unix milliseconds.

    `rang`: the callee's devices were told of it, or would have been had there been one.
    `rev` is its last revision: 0 when that is unknown, as it never rang or its server was killed.
    """

    call_id: UUID
    caller_id: UUID
    caller_name: str
    callee_id: UUID
    callee_name: str
    reason: str
    ended_by: str
    rang: bool
    answered: bool
    connected: bool
    talk_ms: int
    charged_minor: int
    earned_minor: int
    rev: int
    kind: str
    currency: str
    units: int
    created_ms: int
    accepted_ms: int | None
    connected_ms: int | None
    ended_ms: int


# Only a call that could ring was given a meter. It is asked for as a value: as `exists` it became a
# look at all the meters there are, for every batch.
TAKE = """
with taken as (
    delete from ended_call
     where ctid = any (array(select ctid from ended_call limit $1 for update skip locked))
 returning call_id, rev
)
select c.id, caller.id, caller.name, callee.id, callee.name, c.reason, c.ended_by,
       (select m.call_id from meter m where m.call_id = c.id) is not null,
       c.accepted_at is not null, c.connected_at is not null,
       c.talk_ms, c.charged_minor, c.earned_minor,
       coalesce(t.rev, 0), c.kind, coalesce(c.tariff ->> 'currency', ''), c.units,
       (extract(epoch from c.created_at) * 1000)::bigint,
       (extract(epoch from c.accepted_at) * 1000)::bigint,
       (extract(epoch from c.connected_at) * 1000)::bigint,
       (extract(epoch from c.ended_at) * 1000)::bigint
  from taken t
  join call c on c.id = t.call_id
  join users caller on caller.id = c.caller_id
  join users callee on callee.id = c.callee_id
"""


async def take(conn: Connection, limit: int) -> list[EndedCall]:
    """Take calls out of the queue, each for one taker only; at most `limit`, in no order.

    Needs a transaction, in which their people are told: a rollback puts them back.
    """
    rows = await conn.fetch(TAKE, limit)
    return [EndedCall(*row) for row in rows]
