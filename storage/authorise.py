"""The statement that opens calls: rows, slots and the first hold, together or not at all."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import astuple

from storage.errors import Unavailable
from storage.pool import Connection
from storage.works import Authorise, Authorised, Failed, Known, Outcome, Short, SlotTaken

# `(x in (select ...)) is true` is a hashed look-up; a join here would be a loop in a loop, because
# the planner expects next to no rows.
AUTHORISE = """
with work as (
    select w.*, a.posted - a.held - a.floor as own_free,
           coalesce(b.posted - b.held, 0) as bonus_free,
           a.posted - a.held - a.floor + coalesce(b.posted - b.held, 0) as free,
           least(coalesce(b.posted - b.held, 0), w.hold) as bonus_hold, k.id as known, k.again,
           s.user_id as busy_user, s.call_id as busy_call
      from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                  $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[],
                  $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[]) with ordinality
           as w(call_id, caller_id, callee_id, caller_device, request_id, kind, connect_on, note,
                tariff, hold, payer, bonus, payee, platform, created_ms, n)
      left join account a on a.id = w.payer
      left join account b on b.id = w.bonus
      left join lateral (
           select c.id, c.id = w.call_id and c.caller_id = w.caller_id and c.state <> 'ended'
                      and m.owner_epoch = $1 and m.asof_ms = w.created_ms as again
             from call c left join meter m on m.call_id = c.id and m.state = 'open'
            where c.id = w.call_id
            union all
           select c.id, false from call c
            where c.caller_id = w.caller_id and c.caller_device = w.caller_device
              and c.request_id = w.request_id and c.id <> w.call_id
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
    select s.user_id, w.call_id
      from wish w cross join lateral (values (w.caller_id), (w.callee_id)) as s(user_id)
     order by s.user_id
        on conflict do nothing
 returning user_id, call_id
),
got as (
    select call_id, count(*) as slots, array_agg(user_id) as users from slot group by call_id
),
opened as (
    insert into call (id, caller_id, callee_id, caller_device, request_id, kind, connect_on, note,
                      tariff, state, created_at)
    select w.call_id, caller_id, callee_id, caller_device, request_id, kind, connect_on, note,
           tariff::jsonb, 'requested', 'epoch'::timestamptz + created_ms * interval '1 ms'
      from wish w
     where (w.call_id in (select call_id from got where slots = 2)) is true
        on conflict do nothing
 returning id
),
won as (
    select * from wish where (call_id in (select id from opened)) is true
),
metered as (
    insert into meter (call_id, owner_epoch, payer, bonus, payee, platform, asof_ms, hold,
                       bonus_hold)
    select call_id, $1, payer, bonus, payee, platform, created_ms, hold, bonus_hold from won
),
change as (
    select account, sum(held)::bigint as hold
      from won cross join lateral (values (payer, hold - bonus_hold), (bonus, bonus_hold))
           as s(account, held)
     group by account having sum(held) > 0
),
paid as (
    update account a set held = a.held + c.hold, version = a.version + 1
      from change c
     where a.id = c.account
 returning a.id, a.posted - a.held - a.floor as free
)
select won.n is not null as won, wish.n is not null as tried, w.known, w.again, w.busy_user,
       w.busy_call,
       coalesce(own.free, w.own_free, 0) + coalesce(extra.free, w.bonus_free) as available,
       got.users as slots
  from work w
  left join wish on wish.n = w.n
  left join got on got.call_id = w.call_id
  left join won on won.n = w.n
  left join paid own on own.id = w.payer
  left join paid extra on extra.id = w.bonus
 order by w.n
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
    rows = await conn.fetch(AUTHORISE, epoch, *columns)
    outcomes = [_outcome(work, row) for work, row in zip(works, rows, strict=True)]
    beaten = [n for n, row in enumerate(rows) if row["tried"] and not row["won"]]
    if beaten:
        slots = [(user_id, works[n].call_id) for n in beaten for user_id in rows[n]["slots"] or ()]
        if slots:
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
