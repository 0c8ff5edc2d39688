"""The statement that opens calls: rows, slots and the first hold, together or not at all."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple

from storage.errors import Unavailable
from storage.pool import Connection
from storage.works import Authorise, Authorised, Failed, Known, Outcome, Short, SlotTaken

# The limit leaves none out: it makes the planner expect few works, and look each of them up. The
# order, and `between`, name the index to use: a caller's own would be read from end to end.
# `(x in (select ...)) is true` is a hashed look-up; a join there would be a loop in a loop.
AUTHORISE = """
with work as (
    select w.*, a.posted - a.held - a.floor + coalesce(b.posted - b.held, 0) as free,
           least(coalesce(b.posted - b.held, 0), w.hold) as bonus_hold, k.id as known, k.again,
           s.user_id as busy_user, s.call_id as busy_call
      from (select * from unnest(
                  $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                  $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[],
                  $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[]) with ordinality
           as w(call_id, caller_id, callee_id, caller_device, request_id, kind, connect_on, note,
                tariff, hold, payer, bonus, payee, platform, created_ms, n) limit $17) w
      left join account a on a.id = w.payer
      left join account b on b.id = w.bonus
      left join lateral (
           select c.id, c.id = w.call_id and c.caller_id = w.caller_id and c.state <> 'ended'
                      and m.owner_epoch = $1 and m.asof_ms = w.created_ms as again
             from call c left join meter m on m.call_id = c.id and m.state = 'open'
            where c.id = w.call_id
            union all
           (select c.id, false from call c
             where c.caller_id = w.caller_id and c.caller_device = w.caller_device
               and c.request_id between w.request_id and w.request_id and c.id <> w.call_id
             order by c.request_id limit 1)
            limit 1) k on true
      left join lateral (
           select s.user_id, s.call_id from call_slot s
            where s.user_id in (w.caller_id, w.callee_id)
            order by s.user_id = w.caller_id desc
            limit 1) s on k.id is null
),
wish as (
    select * from work where known is null and busy_user is null and free >= hold
),
slot as (
    insert into call_slot (user_id, call_id)
    select user_id, call_id
      from (select caller_id as user_id, call_id from wish
             union all
            select callee_id, call_id from wish) s
     order by user_id
        on conflict do nothing
 returning call_id
),
opened as (
    insert into call (id, caller_id, callee_id, caller_device, request_id, kind, connect_on, note,
                      tariff, state, created_at)
    select w.call_id, caller_id, callee_id, caller_device, request_id, kind, connect_on, note,
           tariff::jsonb, 'requested', 'epoch'::timestamptz + created_ms * interval '1 ms'
      from wish w
     where (w.call_id in (select call_id from slot group by call_id having count(*) = 2)) is true
        on conflict do nothing
 returning id
),
won as (
    select call_id, payer, bonus, payee, platform, created_ms, hold, bonus_hold from wish
     where (call_id in (select id from opened)) is true
),
metered as (
    insert into meter (call_id, owner_epoch, payer, bonus, payee, platform, asof_ms, hold,
                       bonus_hold)
    select call_id, $1, payer, bonus, payee, platform, created_ms, hold, bonus_hold from won
),
change as (
    select account, sum(hold)::bigint as hold
      from (select payer as account, hold - bonus_hold as hold from won where hold > bonus_hold
             union all
            select bonus, bonus_hold from won where bonus_hold > 0) s
     group by account
),
paid as (
    update account a set held = a.held + c.hold, version = a.version + 1
      from change c
     where a.id = c.account
)
select won, known is null and busy_user is null and free >= hold as tried, known, again, busy_user,
       busy_call, coalesce(free, 0) - case when won then hold else 0 end as available
  from (select *, (call_id in (select call_id from won)) is true as won from work offset 0) w
 order by n
"""

# Two nodes wanted the same users in the same moment, and we came second: our statement could not
# see the other's rows, and may have left one slot behind.
GIVE_BACK = """
delete from call_slot s using unnest($1::uuid[], $2::uuid[]) as w(user_id, call_id)
 where s.user_id = w.user_id and s.call_id = w.call_id
"""
RIVAL = """
select c.id, s.user_id, s.call_id
  from (values ($1::uuid, $2::uuid, $3::text, $4::text, $5::uuid))
           as w(caller_id, callee_id, device, request_id, call_id)
  left join call c on c.id = w.call_id
                   or (c.caller_id = w.caller_id and c.caller_device = w.device
                       and c.request_id = w.request_id)
  left join call_slot s on s.user_id in (w.caller_id, w.callee_id)
 order by s.user_id = w.caller_id desc
 limit 1
"""


async def authorise(conn: Connection, epoch: int, works: Sequence[Authorise]) -> list[Outcome]:
    """Open calls, in order; `Authorise` sent again after it was committed is Authorised again.

    Runs inside a slice's transaction that has locked the payers. At most one work for each call,
    user and payer: the combiner sees to that.
    """
    columns: list[Any] = list(zip(*map(astuple, works), strict=True))
    columns[8] = [tariff.decode() for tariff in columns[8]]
    rows = await conn.fetch(AUTHORISE, epoch, *columns, len(works))
    outcomes = [_outcome(work, row) for work, row in zip(works, rows, strict=True)]
    beaten = [n for n, row in enumerate(rows) if row["tried"] and not row["won"]]
    if beaten:
        slots = [
            (user_id, works[n].call_id)
            for n in beaten
            for user_id in (works[n].caller_id, works[n].callee_id)
        ]
        await conn.execute(GIVE_BACK, *zip(*slots, strict=True))
        for n in beaten:
            outcomes[n] = await _rival(conn, works[n])
    return outcomes


def _outcome(work: Authorise, row: Any) -> Outcome:
    if row["won"] or row["again"]:
        return Authorised(row["available"])
    if row["known"] is not None:
        return Known(row["known"])
    if row["busy_user"] is not None:
        return SlotTaken(row["busy_user"], row["busy_call"])
    return Short(work.hold_minor, row["available"])


async def _rival(conn: Connection, work: Authorise) -> Outcome:
    """What stood in the way of a work that saw nothing in its way."""
    row = await conn.fetchrow(
        RIVAL, work.caller_id, work.callee_id, work.caller_device, work.request_id, work.call_id
    )
    assert row is not None
    if row[0] is not None:
        return Known(row[0])
    if row[1] is not None:
        return SlotTaken(row[1], row[2])
    return Failed(Unavailable("another call of these users was opened and closed; ask again"))
