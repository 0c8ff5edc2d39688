"""The statements of one slice that post money: begin, charge, settle.

Each takes everything of its kind that waits and is one round trip; each runs inside the slice's
transaction, after `begin` has locked every account it touches. Three rules keep them exact:
locks are taken one statement earlier, so that figures are read as they now are; what happens to an
account is summed over the whole statement, because two updates of a row in one statement lose one;
and sums are cast back to bigint before anything is divided.

A statement may get several works with one payer, but only one for each call.
"""

from collections.abc import Collection, Sequence
from typing import Any

from msgspec.structs import astuple

from storage.errors import Conflict, Fenced
from storage.pool import Connection
from storage.works import Charge, Charged, Failed, Outcome, Settle, Settled

BEGIN = """
with locked as (
    select id from account where id = any ($3::bigint[]) order by id for no key update skip locked
),
beat as (
    update node set beat_at = clock_timestamp(), beat_ms = greatest(beat_ms, $2)
     where epoch = $1 and not fenced
 returning epoch
)
select exists (select from beat), array(select id from locked)
"""


async def begin(
    conn: Connection, epoch: int, beat_ms: int, accounts: Collection[int]
) -> frozenset[int]:
    """Prove that the epoch is still ours, beat, and lock accounts; first statement of a slice.

    The node's row stays locked until the commit, so nobody can fence us in between, and a slice
    whose connection broke is over before the next one passes here. `beat_ms` is the node clock's
    time before which everything is committed with this slice.

    Returns:
        The accounts that were locked; those missing are locked by others, or do not exist.

    Raises:
        Fenced: the epoch is no longer ours.
    """
    row = await conn.fetchrow(BEGIN, epoch, beat_ms, sorted(accounts))
    assert row is not None
    if not row[0]:
        raise Fenced("this node was fenced")
    return frozenset(row[1])


# The double entry of the rows of `plan`: (call_id, payer, bonus, payee, platform, new_charged,
# delta, earned_delta, held_delta, bonus_delta, bonus_held_delta). The last two are the parts of
# delta and held_delta that are bonus money. Gives `paid`: what may be spent from each account
# afterwards.
POST = """
posted as (
    insert into operation (key, kind, ref)
    select 'call:' || call_id || ':' || new_charged, 'call_charge', call_id
      from plan where delta > 0
 returning id, ref
),
moved as (
    insert into transfer (operation, seq, from_account, to_account, amount, code)
    select o.id, s.seq, s.sender, s.receiver, s.amount, s.code
      from posted o join plan p on p.call_id = o.ref
     cross join lateral (select least(p.bonus_delta, p.earned_delta)) as e(by_bonus)
     cross join lateral (values
               (1::smallint, p.payer, p.payee, p.earned_delta - e.by_bonus, 'call_earning'),
               (2::smallint, p.payer, p.platform,
                p.delta - p.bonus_delta - p.earned_delta + e.by_bonus, 'platform_fee'),
               (3::smallint, p.bonus, p.payee, e.by_bonus, 'call_earning'),
               (4::smallint, p.bonus, p.platform, p.bonus_delta - e.by_bonus, 'platform_fee'))
           as s(seq, sender, receiver, amount, code)
     where s.amount <> 0
),
change as (
    select account, sum(posted)::bigint as posted, sum(held)::bigint as held
      from plan p
     cross join lateral (values
               (p.payer, p.bonus_delta - p.delta, p.held_delta - p.bonus_held_delta),
               (p.bonus, -p.bonus_delta, p.bonus_held_delta), (p.payee, p.earned_delta, 0),
               (p.platform, p.delta - p.earned_delta, 0))
           as s(account, posted, held)
     group by account
    having sum(posted) <> 0 or sum(held) <> 0
),
paid as (
    update account a
       set posted = a.posted + c.posted, held = a.held + c.held, version = a.version + 1
      from change c
     where a.id = c.account
 returning a.id, a.posted - a.held - a.floor as free
)
"""

# A hold never shrinks below what is left of it unless less is wanted: it was promised. Bonus money
# is held and posted before the payer's own; of a hold that shrinks the own part is freed first.
CHARGE = f"""
with work as (
    select w.*, m.call_id as metered, a.posted - a.held - a.floor as own_free,
           coalesce(b.posted - b.held, 0) as bonus_free,
           m.charged as old_charged, m.earned as old_earned, m.hold as old_hold,
           m.bonus_hold as old_bonus_hold,
           m.state = 'open' and m.owner_epoch = $1 and m.payer = w.payer
               and m.payee is not distinct from w.payee
               and (m.bonus is null or m.bonus = w.bonus) is true
               and w.target <= m.charged + m.hold as allowed
      from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                  $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::bigint[],
                  $13::bigint[], $14::bigint[], $15::text[], $16::bigint[], $17::bigint[],
                  $18::bigint[], $19::text[]) with ordinality
           as w(call_id, payer, bonus, payee, platform, target, earned, billable_ms, asof_ms,
                running, cover, quantum, connected_ms, state, units, ringing_ms, accepted_ms,
                callee_device, n)
      left join meter m on m.call_id = w.call_id
      left join account a on a.id = w.payer
      left join account b on b.id = w.bonus
),
due as (
    select w.*, greatest(target, old_charged) as new_charged,
           greatest(target, old_charged) - old_charged as delta,
           case when target > old_charged then greatest(earned, old_earned) else old_earned end
               as new_earned
      from work w
     where allowed
),
wish as (
    select d.*, old_hold - delta as rest, greatest(cover - new_charged, 0) as wanted,
           least(delta, old_bonus_hold) as bonus_delta,
           coalesce(sum(greatest(cover - new_charged - (old_hold - delta), 0)) over (
               partition by payer order by n rows between unbounded preceding and 1 preceding), 0
           )::bigint as taken
      from due d
),
held as (
    select w.*, greatest(own_free + bonus_free - taken, 0) + rest as room from wish w
),
plan as (
    select h.*, new_earned - old_earned as earned_delta, new_hold,
           new_hold - old_hold as held_delta, new_bonus_hold,
           new_bonus_hold - old_bonus_hold as bonus_held_delta
      from held h
     cross join lateral (select case when room >= wanted then wanted
                                     else greatest(room / quantum * quantum, rest) end) s(new_hold)
     cross join lateral (
           select case when new_hold >= rest
                       then old_bonus_hold - bonus_delta
                            + least(new_hold - rest, greatest(bonus_free - taken, 0))
                       else least(old_bonus_hold - bonus_delta, new_hold) end) b(new_bonus_hold)
),
counted as (
    update meter m
       set charged = p.new_charged, earned = p.new_earned, hold = p.new_hold,
           bonus = p.bonus, bonus_hold = p.new_bonus_hold,
           billable_ms = greatest(p.billable_ms, m.billable_ms), asof_ms = p.asof_ms,
           running = p.running
      from plan p
     where m.call_id = p.call_id
),
connected as (
    update call c
       set state = p.state, connected_at = 'epoch'::timestamptz + p.connected_ms * interval '1 ms',
           ringing_at = coalesce('epoch'::timestamptz + p.ringing_ms * interval '1 ms',
                                 c.ringing_at),
           accepted_at = coalesce('epoch'::timestamptz + p.accepted_ms * interval '1 ms',
                                  c.accepted_at),
           callee_device = coalesce(p.callee_device, c.callee_device)
      from plan p
     where c.id = p.call_id and p.connected_ms is not null
),
{POST}
select coalesce(p.new_charged, w.old_charged, 0), coalesce(p.new_earned, w.old_earned, 0),
       coalesce(p.new_hold, w.old_hold, 0),
       coalesce(own.free, w.own_free, 0) + coalesce(extra.free, w.bonus_free), p.n is null
  from work w
  left join plan p on p.n = w.n
  left join paid own on own.id = w.payer
  left join paid extra on extra.id = w.bonus
 order by w.n
"""


async def charge(conn: Connection, epoch: int, works: Sequence[Charge]) -> list[Outcome]:
    """Post, hold ahead and count, as `Charge` says; with nothing to post, only hold and count.

    What several meters of one payer are given is never more than there is, and may be less than
    the last of them could have had.
    """
    rows = await conn.fetch(CHARGE, epoch, *zip(*map(astuple, works), strict=True))
    return [Charged(*row) for row in rows]


SETTLE = f"""
with work as (
    select w.*, m.call_id as metered, m.state as meter_state, m.owner_epoch,
           a.posted - a.held - a.floor as own_free, coalesce(b.posted - b.held, 0) as bonus_free,
           m.charged as old_charged, m.earned as old_earned, m.hold as old_hold,
           m.bonus_hold as old_bonus_hold,
           m.billable_ms as old_billable_ms, c.units as old_units, c.caller_id, c.callee_id,
           m.state = 'open' and m.owner_epoch = $1 and m.payer = w.payer
               and m.payee is not distinct from w.payee
               and (m.bonus is null or m.bonus = w.bonus) is true as allowed
      from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                  $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[],
                  $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
                  $18::text[], $19::bigint[]) with ordinality
           as w(call_id, payer, bonus, payee, platform, target, earned, billable_ms, talk_ms, units,
                reason, ended_by, ended_ms, ringing_ms, accepted_ms, connected_ms, callee_device,
                rev, n)
      left join meter m on m.call_id = w.call_id
      left join call c on c.id = w.call_id
      left join account a on a.id = w.payer
      left join account b on b.id = w.bonus
),
due as (
    select w.*, least(greatest(target, old_charged), old_charged + old_hold) as new_charged
      from work w
     where allowed
),
plan as (
    select d.*, new_charged - old_charged as delta, -old_hold as held_delta,
           least(new_charged - old_charged, old_bonus_hold) as bonus_delta,
           -old_bonus_hold as bonus_held_delta, new_earned, new_earned - old_earned as earned_delta,
           greatest(billable_ms, old_billable_ms) as new_billable_ms
      from due d
     cross join lateral (
           select case when payee is null then old_earned else greatest(
                       old_earned, least(earned, old_earned + new_charged - old_charged)) end
           ) s(new_earned)
),
closed as (
    update meter m
       set state = 'settled', running = false, hold = 0, bonus_hold = 0, charged = p.new_charged,
           earned = p.new_earned, billable_ms = p.new_billable_ms, asof_ms = p.ended_ms,
           settled_at = now()
      from plan p
     where m.call_id = p.call_id
),
ended as (
    update call c
       set state = 'ended', reason = p.reason, ended_by = p.ended_by,
           ended_at = 'epoch'::timestamptz + p.ended_ms * interval '1 ms',
           ringing_at = coalesce('epoch'::timestamptz + p.ringing_ms * interval '1 ms',
                                 c.ringing_at),
           accepted_at = coalesce('epoch'::timestamptz + p.accepted_ms * interval '1 ms',
                                  c.accepted_at),
           connected_at = coalesce('epoch'::timestamptz + p.connected_ms * interval '1 ms',
                                   c.connected_at),
           callee_device = coalesce(p.callee_device, c.callee_device),
           talk_ms = p.talk_ms, billable_ms = p.new_billable_ms, units = p.units,
           charged_minor = p.new_charged, earned_minor = p.new_earned
      from plan p
     where c.id = p.call_id and c.state <> 'ended'
),
freed as (
    delete from call_slot s
     using plan p cross join lateral (values (p.caller_id), (p.callee_id)) as u(user_id)
     where s.user_id = u.user_id and s.call_id = p.call_id
),
queued as (
    insert into ended_call (call_id, rev) select call_id, rev from plan
),
{POST}
select p.n is not null as first, coalesce(p.new_charged, w.old_charged, 0) as charged,
       coalesce(p.new_earned, w.old_earned, 0) as earned,
       coalesce(p.new_billable_ms, w.old_billable_ms, 0) as billable_ms,
       coalesce(p.units, w.old_units, 0) as units,
       coalesce(own.free, w.own_free, 0) + coalesce(extra.free, w.bonus_free) as available,
       w.metered is not null as found, w.meter_state, w.owner_epoch
  from work w
  left join plan p on p.n = w.n
  left join paid own on own.id = w.payer
  left join paid extra on extra.id = w.bonus
 order by w.n
"""


async def settle(conn: Connection, epoch: int, works: Sequence[Settle]) -> list[Outcome]:
    """Close meters and calls, once each.

    A target beyond what is charged and held is posted as far as the hold goes. Failed(Fenced) when
    the meter is another node's, Failed(Conflict) when the work names other accounts.
    """
    rows = await conn.fetch(SETTLE, epoch, *zip(*map(astuple, works), strict=True))
    return [_settled(row, epoch) for row in rows]


def _settled(row: Any, epoch: int) -> Outcome:
    if row[7] == "open" and not row[0]:
        if row[8] != epoch:
            return Failed(Fenced("the call belongs to another node"))
        return Failed(Conflict("the meter was opened for other accounts"))
    return Settled(*row[:7])
