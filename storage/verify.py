"""`ledger verify`: proves from the rows alone that the books are right.

Every rule is re-checked that the database enforces, and those that it cannot. All of it sees one
moment: a single read-only transaction, beside which the server may go on working.
"""

from collections.abc import Callable

import msgspec

from storage.pool import Connection
from storage.verify_adjustments import ADJUSTMENT_RULES
from storage.verify_earnings import EARNINGS_RULES
from storage.verify_payments import PAYMENT_RULES
from storage.verify_rule import Rule

FAULTS_MAX = 100
PREFETCH = 1_000

# An open meter of a fenced owner waits to be adopted or settled by a younger node. Only when the
# youngest has been running for longer than this has it been forgotten.
ADOPTED_WITHIN = "10 minutes"


class Check(msgspec.Struct, frozen=True):
    """One invariant: how many things were looked at, and what is wrong (the first 100)."""

    name: str
    checked: int
    faults: list[str]


RULES = (
    Rule(
        "transfers have two accounts of one currency and an operation",
        "select count(*) from transfer",
        """
        select format('transfer %s/%s from %s to %s', t.operation, t.seq, from_account, to_account)
          from transfer t
          left join account f on f.id = t.from_account
          left join account g on g.id = t.to_account
          left join operation o on o.id = t.operation
         where f.id is null or g.id is null or f.id = g.id or f.currency <> g.currency
            or o.id is null or t.amount <= 0
        """,
    ),
    Rule(
        "all accounts of a currency sum to zero",
        "select count(distinct currency) from account",
        """
        select format('%s: the sum is %s', currency, sum(posted))
          from account group by currency having sum(posted) <> 0
        """,
    ),
    Rule(
        "a balance is the sum of its transfers",
        "select count(*) from account",
        """
        with moved as (
            select account, sum(amount) as amount
              from (select from_account as account, -amount as amount from transfer
                    union all select to_account, amount from transfer) t
             group by account)
        select format('account %s: posted %s, transfers %s', a.id, a.posted, coalesce(m.amount, 0))
          from account a left join moved m on m.account = a.id
         where a.posted <> coalesce(m.amount, 0)
        """,
    ),
    Rule(
        "no account is below its floor",
        "select count(*) from account",
        """
        select format('account %s: posted %s, held %s, floor %s', id, posted, held, floor)
          from account where posted - held < floor or held < 0
        """,
    ),
    Rule(
        "held is the sum of the holds of open meters",
        "select count(*) from account",
        """
        with holds as (
            select account, sum(hold) as hold
              from (select payer as account, hold - bonus_hold as hold
                      from meter where state = 'open'
                    union all
                    select bonus, bonus_hold
                      from meter where state = 'open' and bonus is not null) m
             group by account)
        select format('account %s: held %s, meters %s', coalesce(a.id, h.account), a.held,
                      coalesce(h.hold, 0))
          from account a full join holds h on h.account = a.id
         where coalesce(a.held, -1) <> coalesce(h.hold, 0)
        """,
    ),
    Rule(
        "versions count every posting",
        "select count(*) from account",
        """
        with posted as (
            select account, count(distinct at) as times
              from (select from_account as account, at from transfer
                    union all select to_account, at from transfer) t
             group by account)
        select format('account %s: version %s after %s postings', a.id, a.version, p.times)
          from account a join posted p on p.account = a.id
         where a.version < p.times
        """,
    ),
    Rule(
        "operations moved something, and no key was used twice",
        "select count(*) from operation",
        """
        select format('operation %s (%s) has no transfers', o.id, o.key)
          from operation o
         where not exists (select from transfer t where t.operation = o.id and t.at = o.at)
        union all
        select format('key %s: %s operations', key, count(*))
          from operation group by key having count(*) > 1
        """,
    ),
    Rule(
        "a reversal mirrors its operation",
        "select count(*) from operation where reverses is not null",
        """
        with side as (
            select r.id, t.from_account, t.to_account, t.amount
              from operation r join transfer t on t.operation = r.id where r.reverses is not null
            union all
            select r.id, t.to_account, t.from_account, -t.amount
              from operation r join transfer t on t.operation = r.reverses)
        select distinct format('operation %s does not mirror what it reverses', id)
          from side group by id, from_account, to_account having sum(amount) <> 0
        """,
    ),
    Rule(
        "charged is what the call's transfers moved, earned and platform together",
        "select count(*) from meter",
        """
        with moved as (
            select o.ref, sum(t.amount) as amount,
                   coalesce(sum(t.amount) filter (where t.code = 'call_earning'), 0) as earned,
                   coalesce(sum(t.amount) filter (where t.code = 'platform_fee'), 0) as platform,
                   bool_and(t.from_account in (m.payer, coalesce(m.bonus, m.payer)))
                       as by_payer,
                   bool_and(t.to_account = m.payee) filter (where t.code = 'call_earning') as home
              from operation o
              join transfer t on t.operation = o.id
              left join meter m on m.call_id = o.ref
             where o.kind = 'call_charge' group by o.ref)
        select format('call %s: charged %s, earned %s; moved %s, %s of it to the payee',
                      coalesce(m.call_id, v.ref), m.charged, m.earned, v.amount, v.earned)
          from meter m full join moved v on v.ref = m.call_id
         where m.call_id is null or m.charged <> coalesce(v.amount, 0)
            or m.earned <> coalesce(v.earned, 0)
            or coalesce(v.earned + v.platform <> v.amount or not v.by_payer or not v.home, false)
        """,
    ),
    Rule(
        "the key of a posting is the call's total after it",
        "select count(*) from operation where kind = 'call_charge'",
        """
        with posting as (
            select o.id, o.key, o.ref, (select sum(amount) from transfer where operation = o.id
                                           and at = o.at) as amount
              from operation o where o.kind = 'call_charge')
        select format('operation %s: key %s at total %s', id, key, total)
          from (select *, sum(amount) over (partition by ref order by id) as total from posting) p
         where key is distinct from 'call:' || ref || ':' || total
        """,
    ),
    Rule(
        "a settled meter holds nothing, and its call ended with the same totals",
        "select count(*) from meter where state = 'settled'",
        """
        select format('call %s: hold %s, state %s; meter %s/%s/%s, call %s/%s/%s', m.call_id,
                      m.hold, c.state, m.charged, m.earned, m.billable_ms, c.charged_minor,
                      c.earned_minor, c.billable_ms)
          from meter m left join call c on c.id = m.call_id
         where m.state = 'settled'
           and (m.hold <> 0 or m.running or m.settled_at is null or c.state is distinct from 'ended'
                or (m.charged, m.earned, m.billable_ms)
                   is distinct from (c.charged_minor, c.earned_minor, c.billable_ms))
        """,
    ),
    Rule(
        "a live call has an open meter and both slots, an ended one neither",
        "select count(*) from call",
        """
        select format('call %s is %s: %s open meter, %s slots', c.id, c.state,
                      coalesce(m.open, 0), n.slots)
          from call c
          left join (select s.call_id, count(*) as slots, count(*) filter (
                            where s.user_id in (o.caller_id, o.callee_id)) as theirs
                       from call_slot s join call o on o.id = s.call_id
                      group by s.call_id) s on s.call_id = c.id
          left join (select call_id, count(*) as open from meter where state = 'open'
                      group by call_id) m on m.call_id = c.id
         cross join lateral (select coalesce(s.slots, 0) as slots) n
         where case when c.state = 'ended' then coalesce(m.open, 0) + n.slots <> 0
                    else coalesce(m.open, 0) <> 1 or n.slots <> 2 or s.theirs <> 2 end
        """,
    ),
    Rule(
        "a call has two people, and a meter a call",
        "select count(*) from call",
        """
        select format('call %s from %s to %s: no such user', c.id, c.caller_id, c.callee_id)
          from call c
          left join users caller on caller.id = c.caller_id
          left join users callee on callee.id = c.callee_id
         where caller.id is null or callee.id is null
        union all
        select format('meter %s: no such call', m.call_id)
          from meter m left join call c on c.id = m.call_id where c.id is null
        """,
    ),
    Rule(
        "a slot names a live call",
        "select count(*) from call_slot",
        """
        select format('user %s is in call %s: %s', s.user_id, s.call_id,
                      coalesce(c.state, 'no such call'))
          from call_slot s left join call c on c.id = s.call_id
         where c.state is null or c.state = 'ended'
        """,
    ),
    Rule(
        "an open meter has an owner",
        "select count(*) from meter where state = 'open'",
        f"""
        select format('call %s: owner %s is %s', m.call_id, m.owner_epoch,
                      case when n.epoch is null then 'unknown' else 'fenced' end)
          from meter m left join node n on n.epoch = m.owner_epoch
         where m.state = 'open'
           and (n.epoch is null
                or (n.fenced and (select max(started_at) from node)
                                 < now() - interval '{ADOPTED_WITHIN}'))
        """,
    ),
    Rule(
        "a fenced node posted nothing after its last beat",
        "select count(*) from meter m join node n on n.epoch = m.owner_epoch where n.fenced",
        """
        select format('call %s: operation %s at %s, owner %s last beat at %s', m.call_id, o.id,
                      o.at, n.epoch, n.beat_at)
          from node n
          join meter m on m.owner_epoch = n.epoch
          join operation o on o.ref = m.call_id and o.kind = 'call_charge'
         where n.fenced and o.at > n.beat_at
        union all
        select format('call %s settled at %s, owner %s last beat at %s', m.call_id, m.settled_at,
                      n.epoch, n.beat_at)
          from node n join meter m on m.owner_epoch = n.epoch
         where n.fenced and m.settled_at > n.beat_at
        """,
    ),
    Rule(
        "a bonus account got what its lots say",
        "select count(*) from bonus_lot",
        """
        with lots as (select account, sum(amount) as amount from bonus_lot group by account),
             came as (select to_account as account, sum(amount) as amount
                        from transfer where code = 'bonus' group by to_account)
        select format('account %s: lots %s, transfers %s', coalesce(l.account, c.account),
                      coalesce(l.amount, 0), coalesce(c.amount, 0))
          from lots l full join came c on c.account = l.account
         where coalesce(l.amount, 0) <> coalesce(c.amount, 0)
        """,
    ),
    *PAYMENT_RULES,
    *EARNINGS_RULES,
    *ADJUSTMENT_RULES,
)

PRICED = """
select m.call_id, m.state, m.charged, m.billable_ms, c.tariff::text
  from meter m join call c on c.id = m.call_id
"""


async def verify(conn: Connection, cost: Callable[[bytes, int], int]) -> list[Check]:
    """Check every invariant. `cost` is given a tariff (JSON) and billable milliseconds.

    `conn` must not be in a transaction. Takes as long as it takes: the statement timeout is off.
    """
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        await conn.execute("set local statement_timeout = 0")
        await conn.execute("set local idle_in_transaction_session_timeout = 0")
        checks = [await _check(conn, rule) for rule in RULES]
        checks.append(await _check_prices(conn, cost))
    return checks


async def _check(conn: Connection, rule: Rule) -> Check:
    checked: int = await conn.fetchval(rule.count)
    rows = await conn.fetch(f"select * from ({rule.faults}) f limit {FAULTS_MAX}")
    return Check(rule.name, checked, [row[0] for row in rows])


async def _check_prices(conn: Connection, cost: Callable[[bytes, int], int]) -> Check:
    """A settled call was charged exactly what its time costs, a live one not more."""
    checked = 0
    faults: list[str] = []
    async for call_id, state, charged, billable_ms, tariff in conn.cursor(
        PRICED, prefetch=PREFETCH
    ):
        checked += 1
        due = cost(tariff.encode(), billable_ms)
        wrong = charged != due if state == "settled" else charged > due
        if wrong and len(faults) < FAULTS_MAX:
            faults.append(
                f"call {call_id} ({state}): charged {charged}, {billable_ms} ms cost {due}"
            )
    return Check("charged is the cost of the billable time", checked, faults)
