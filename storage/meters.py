"""The statements of one slice that post money: begin, charge, settle.

Each takes everything of its kind that waits and is one round trip; each runs inside the slice's
transaction, after `begin` has locked every account it touches. Three rules keep them exact:
locks are taken one statement earlier, so that figures are read as they now are; what happens to an
account is summed over the whole statement, because two updates of a row in one statement lose one;
and sums are cast back to bigint before anything is divided.

A statement may get several works with one payer, but only one for each call.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from msgspec.structs import astuple

from storage.errors import Conflict, Fenced
from storage.pool import Connection
from storage.works import Charge, Charged, Failed, Outcome, Settle, Settled

W = TypeVar("W", Charge, Settle)

_LOCKED_AND_BEAT = """
with locked as (
    select id from account where id = any ($3::bigint[]) order by id for no key update skip locked
),
beat as (
    update node set beat_at = clock_timestamp(), beat_ms = greatest(beat_ms, $2)
     where epoch = $1 and not fenced
 returning epoch
)
"""
BEGIN = f"""
{_LOCKED_AND_BEAT}
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


# One row if the epoch is ours and every account is locked, as nearly always; only their number is
# told. `case` keeps the order: an account is locked when the node's row has been waited for; and
# `offset 0` keeps the planner from asking for the second before the first.
BEGIN_ALL = f"""
{_LOCKED_AND_BEAT}
select from (select exists (select from beat) as ours offset 0) b
 where case when ours then (select count(*) from locked) = cardinality($3) end
"""


async def begin_all(
    conn: Connection, prepared: str, epoch: int, beat_ms: int, accounts: Collection[int]
) -> bool:
    """Start a transaction and `begin` in it, in one round trip.

    At 200 calls a second that took 6 to 16 % off the median ring, measured on a busy machine, where
    a trip is long, and 10 to 27 % off p99; a tick is 3 % cheaper. What is sent as one text can have
    neither parameters nor an answer but the number of rows, so there are only numbers in it, and no
    more is asked. (Nothing that comes late can do harm: the commit is sent when this is answered.)

    `prepared` is the name that BEGIN_ALL has on this connection. False: `begin` will say what was
    in the way; the transaction is started, and goes on.
    """
    numbers = ",".join(map(str, sorted(accounts)))
    done = await conn.execute(
        f"begin; execute {prepared} ({epoch:d}, {beat_ms:d}, '{{{numbers}}}')"
    )
    return done == "SELECT 1"


# The double entry of the rows of `plan`: what each call's payer, bonus, payee and platform give and
# get, `operation` being the id of the posting, null if there is none. A call's transfers are
# written one after the other: the index grows at its end, and a unit is read from one page.
# (`values` in a lateral would be the plain way, but it is compiled again for every row.)
POST = """
posted as (
    insert into operation (id, key, kind, ref) overriding system value
    select operation, 'call:' || call_id || ':' || new_charged, 'call_charge', call_id
      from plan where operation is not null
),
moved as (
    insert into transfer (operation, seq, from_account, to_account, amount, code)
    select operation, seq, case when seq <= 2 then payer else bonus end,
           case when seq in (1, 3) then payee else platform end, amount,
           case when seq in (1, 3) then 'call_earning' else 'platform_fee' end
      from (select *, case seq when 1 then own_earning when 2 then own_fee
                               when 3 then bonus_earning else bonus_fee end as amount
              from (select operation, payer, bonus, payee, platform, own_earning, own_fee,
                           bonus_earning, bonus_fee,
                           generate_series(1, case when bonus_earning + bonus_fee = 0 then 2
                                                   else 4 end)::smallint as seq
                      from plan where operation is not null) s offset 0) s
     where amount <> 0
),
change as (
    select account, sum(posted)::bigint as posted, sum(held)::bigint as held
      from (select payer as account, -own_earning - own_fee as posted, own_held as held from plan
             union all
            select bonus, -bonus_earning - bonus_fee, bonus_held from plan where bonus is not null
             union all
            select payee, own_earning + bonus_earning, 0 from plan where payee is not null
             union all
            select platform, own_fee + bonus_fee, 0 from plan) s
     group by account
    having sum(posted) <> 0 or sum(held) <> 0
),
paid as (
    update account a
       set posted = a.posted + c.posted, held = a.held + c.held, version = a.version + 1
      from change c
     where a.id = c.account
)
"""
# Last columns of `plan`, of rows with delta, earned_delta, bonus_delta (the part of delta that is
# bonus money), held_delta and bonus_held_delta.
SHARES = """
case when delta > 0 then nextval('operation_id_seq') end as operation,
           earned_delta - least(bonus_delta, earned_delta) as own_earning,
           delta - bonus_delta - earned_delta + least(bonus_delta, earned_delta) as own_fee,
           least(bonus_delta, earned_delta) as bonus_earning,
           bonus_delta - least(bonus_delta, earned_delta) as bonus_fee,
           held_delta - bonus_held_delta as own_held, bonus_held_delta as bonus_held,
           own_free + bonus_free - delta - held_delta as available
"""

# A hold never shrinks below what is left of it unless less is wanted: it was promised. Bonus money
# is held and posted before the payer's own; of a hold that shrinks the own part is freed first.
# Each `offset 0` keeps the planner from writing one step's expressions into the next one's, where
# they would be evaluated again and again: without them a tick costs a third more. The limit leaves
# no work out: it makes the planner expect few of them, and look each of them up.
CHARGE = f"""
with work as (
    select w.*, coalesce(a.posted - a.held - a.floor, 0) as own_free,
           coalesce(b.posted - b.held, 0) as bonus_free,
           coalesce(m.charged, 0) as old_charged, coalesce(m.earned, 0) as old_earned,
           coalesce(m.hold, 0) as old_hold, coalesce(m.bonus_hold, 0) as old_bonus_hold,
           (m.state = 'open' and m.owner_epoch = $1 and m.payer = w.payer
               and m.payee is not distinct from w.payee
               and (m.bonus is null or m.bonus = w.bonus) is true
               and w.target <= m.charged + m.hold) is true as allowed
      from (select * from unnest(
                  $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                  $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::bigint[],
                  $13::bigint[]) with ordinality
           as w(call_id, payer, bonus, payee, platform, target, earned, billable_ms, asof_ms,
                running, cover, quantum, n) limit $14) w
      left join meter m on m.call_id = w.call_id
      left join account a on a.id = w.payer
      left join account b on b.id = w.bonus
    offset 0
),
due as (
    select *, case when allowed then greatest(target - old_charged, 0) else 0 end as delta,
           case when allowed and target > old_charged then greatest(earned - old_earned, 0)
                else 0 end as earned_delta
      from work
    offset 0
),
held as (
    select *, least(delta, old_bonus_hold) as bonus_delta, old_hold - delta as rest,
           case when not allowed then old_hold
                when greatest(own_free + bonus_free, 0) + old_hold - delta
                     >= greatest(cover - old_charged - delta, 0)
                then greatest(cover - old_charged - delta, 0)
                else greatest((greatest(own_free + bonus_free, 0) + old_hold - delta)
                              / quantum * quantum, old_hold - delta) end as new_hold
      from due
    offset 0
),
split as (
    select *, new_hold - old_hold as held_delta,
           case when not allowed then 0
                when new_hold >= rest
                then least(new_hold - rest, greatest(bonus_free, 0)) - bonus_delta
                else least(old_bonus_hold - bonus_delta, new_hold) - old_bonus_hold end
               as bonus_held_delta
      from held
    offset 0
),
plan as (
    select n, call_id, payer, bonus, payee, platform, allowed, old_charged + delta as new_charged,
           old_earned + earned_delta as new_earned, new_hold,
           old_bonus_hold + bonus_held_delta as new_bonus_hold, billable_ms, asof_ms, running,
           {SHARES}
      from split
),
counted as (
    update meter m
       set charged = p.new_charged, earned = p.new_earned, hold = p.new_hold,
           bonus = p.bonus, bonus_hold = p.new_bonus_hold,
           billable_ms = greatest(p.billable_ms, m.billable_ms), asof_ms = p.asof_ms,
           running = p.running
      from plan p
     where m.call_id = p.call_id and p.allowed
),
connected as (
    update call c
       set state = w.state, connected_at = 'epoch'::timestamptz + w.connected_ms * interval '1 ms',
           ringing_at = coalesce('epoch'::timestamptz + w.ringing_ms * interval '1 ms',
                                 c.ringing_at),
           accepted_at = coalesce('epoch'::timestamptz + w.accepted_ms * interval '1 ms',
                                  c.accepted_at),
           callee_device = coalesce(w.callee_device, c.callee_device)
      from unnest($15::uuid[], $16::bigint[], $17::text[], $18::bigint[], $19::bigint[],
                  $20::text[])
           as w(call_id, connected_ms, state, ringing_ms, accepted_ms, callee_device)
     where c.id = w.call_id and (w.call_id in (select call_id from plan where allowed)) is true
),
{POST}
select new_charged, new_earned, new_hold, available, not allowed from plan order by n
"""


async def charge(conn: Connection, epoch: int, works: Sequence[Charge]) -> list[Outcome]:
    """Post, hold ahead and count, as `Charge` says; with nothing to post, only hold and count.

    What several meters of one payer are given is never more than there is, and may be less than
    the last of them could have had.
    """

    async def ask(some: Sequence[Charge]) -> Sequence[Any]:
        columns = list(zip(*map(astuple, some), strict=True))[:12]
        connected = [
            (w.call_id, w.connected_ms, w.state, w.ringing_ms, w.accepted_ms, w.callee_device)
            for w in some
            if w.connected_ms is not None
        ]
        moments = zip(*connected, strict=True) if connected else [()] * 6
        return await conn.fetch(CHARGE, epoch, *columns, len(some), *moments)

    return [Charged(*row) for row in await _each_payer_once(works, ask)]


SETTLE = f"""
with work as (
    select w.*, m.call_id is not null as found, m.state as meter_state, m.owner_epoch,
           coalesce(a.posted - a.held - a.floor, 0) as own_free,
           coalesce(b.posted - b.held, 0) as bonus_free,
           coalesce(m.charged, 0) as old_charged, coalesce(m.earned, 0) as old_earned,
           coalesce(m.hold, 0) as old_hold, coalesce(m.bonus_hold, 0) as old_bonus_hold,
           coalesce(m.billable_ms, 0) as old_billable_ms, coalesce(c.units, 0) as old_units,
           c.caller_id, c.callee_id,
           (m.state = 'open' and m.owner_epoch = $1 and m.payer = w.payer
               and m.payee is not distinct from w.payee
               and (m.bonus is null or m.bonus = w.bonus) is true) is true as allowed
      from (select * from unnest(
                  $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                  $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[],
                  $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
                  $18::text[], $19::bigint[]) with ordinality
           as w(call_id, payer, bonus, payee, platform, target, earned, billable_ms, talk_ms, units,
                reason, ended_by, ended_ms, ringing_ms, accepted_ms, connected_ms, callee_device,
                rev, n) limit $20) w
      left join meter m on m.call_id = w.call_id
      left join call c on c.id = w.call_id
      left join account a on a.id = w.payer
      left join account b on b.id = w.bonus
    offset 0
),
due as (
    select *, case when allowed then least(greatest(target - old_charged, 0), old_hold) else 0 end
               as delta
      from work
    offset 0
),
closing as (
    select *, least(delta, old_bonus_hold) as bonus_delta,
           case when allowed then -old_hold else 0 end as held_delta,
           case when allowed then -old_bonus_hold else 0 end as bonus_held_delta,
           case when payee is null or not allowed then 0
                else greatest(least(earned - old_earned, delta), 0) end as earned_delta
      from due
    offset 0
),
plan as (
    select n, call_id, payer, bonus, payee, platform, allowed, found, meter_state, owner_epoch,
           caller_id, callee_id, old_charged + delta as new_charged,
           old_earned + earned_delta as new_earned,
           case when allowed then greatest(billable_ms, old_billable_ms) else old_billable_ms end
               as new_billable_ms,
           case when allowed then units else old_units end as new_units,
           talk_ms, reason, ended_by, ended_ms, ringing_ms, accepted_ms, connected_ms,
           callee_device, rev, {SHARES}
      from closing
),
closed as (
    update meter m
       set state = 'settled', running = false, hold = 0, bonus_hold = 0, charged = p.new_charged,
           earned = p.new_earned, billable_ms = p.new_billable_ms, asof_ms = p.ended_ms,
           settled_at = now()
      from plan p
     where m.call_id = p.call_id and p.allowed
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
           talk_ms = p.talk_ms, billable_ms = p.new_billable_ms, units = p.new_units,
           charged_minor = p.new_charged, earned_minor = p.new_earned
      from plan p
     where c.id = p.call_id and p.allowed and c.state <> 'ended'
),
freed as (
    delete from call_slot s
     using (select caller_id as user_id, call_id from plan where allowed
             union all
            select callee_id, call_id from plan where allowed) u
     where s.user_id = u.user_id and s.call_id = u.call_id
),
queued as (
    insert into ended_call (call_id, rev) select call_id, rev from plan where allowed
),
{POST}
select allowed, new_charged, new_earned, new_billable_ms, new_units, available, found, meter_state,
       owner_epoch
  from plan order by n
"""


async def settle(conn: Connection, epoch: int, works: Sequence[Settle]) -> list[Outcome]:
    """Close meters and calls, once each.

    A target beyond what is charged and held is posted as far as the hold goes. Failed(Fenced) when
    the meter is another node's, Failed(Conflict) when the work names other accounts.
    """

    async def ask(some: Sequence[Settle]) -> Sequence[Any]:
        columns = zip(*map(astuple, some), strict=True)
        return await conn.fetch(SETTLE, epoch, *columns, len(some))

    return [_settled(row, epoch) for row in await _each_payer_once(works, ask)]


async def _each_payer_once(
    works: Sequence[W], ask: Callable[[Sequence[W]], Awaitable[Sequence[Any]]]
) -> Sequence[Any]:
    """The answers to works in their order. A statement knows what a payer has left because it has
    one work of each: payers' second ones are asked of the next one, as a rule none."""
    if len({work.payer for work in works}) == len(works):
        return await ask(works)
    first = {work.payer: n for n, work in reversed(list(enumerate(works)))}
    now = sorted(first.values())
    later = sorted(set(range(len(works))).difference(now))
    answers = dict(zip(now, await ask([works[n] for n in now]), strict=True))
    rest = await _each_payer_once([works[n] for n in later], ask)
    answers.update(zip(later, rest, strict=True))
    return [answers[n] for n in range(len(works))]


def _settled(row: Any, epoch: int) -> Outcome:
    if row[7] == "open" and not row[0]:
        if row[8] != epoch:
            return Failed(Fenced("the call belongs to another node"))
        return Failed(Conflict("the meter was opened for other accounts"))
    return Settled(*row[:7])
