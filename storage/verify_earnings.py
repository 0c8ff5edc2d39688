"""The invariants of money that leaves: releases, payouts and refunds of calls."""

from storage.verify_rule import Rule

EARNINGS_RULES = (
    Rule(
        "earnings are released and recalled between one provider's own accounts",
        "select count(*) from operation where kind in ('earnings_release', 'earnings_recall')",
        """
        select format('operation %s (%s): %s of %s to %s of %s', o.id, o.kind, f.kind, f.owner,
                      g.kind, g.owner)
          from operation o
          join transfer t on t.operation = o.id
          join account f on f.id = t.from_account
          join account g on g.id = t.to_account
         where o.kind in ('earnings_release', 'earnings_recall')
           and (f.owner is distinct from g.owner
                or f.kind || ' ' || g.kind <> case o.kind
                       when 'earnings_release' then 'earnings_pending earnings_available'
                       else 'earnings_available earnings_pending' end)
        """,
    ),
    Rule(
        "a payout took its sum from its owner once, and gave it back exactly when it was refused",
        "select count(*) from payout",
        """
        with taken as (
            select o.id, o.key, o.ref, sum(t.amount) as amount,
                   bool_and(f.kind = 'earnings_available' and g.kind = 'clearing') as right_way,
                   min(f.owner::text) as owner, min(f.currency) as currency,
                   exists (select from operation r where r.reverses = o.id) as back
              from operation o
              join transfer t on t.operation = o.id
              join account f on f.id = t.from_account
              join account g on g.id = t.to_account
             where o.kind = 'payout' group by o.id)
        select format('payout %s is %s over %s %s; operation %s took %s %s of %s, back: %s',
                      coalesce(p.id, t.ref), p.status, p.amount_minor, p.currency, t.id, t.amount,
                      t.currency, t.owner, t.back)
          from payout p full join taken t on t.key = 'payout:' || p.id
         where (t.right_way and t.amount = p.amount_minor and t.currency = p.currency
                and t.owner = p.user_id::text and t.ref = p.id
                and t.back = (p.status in ('rejected', 'cancelled'))) is not true
        """,
    ),
    Rule(
        "a refunded call is given back whole, and no other call in part",
        "select count(*) from call_refund",
        """
        with charge as (
            select o.ref, sum(t.amount) as amount,
                   coalesce(sum(t.amount) filter (where r.id is not null), 0) as returned
              from operation o
              join transfer t on t.operation = o.id
              left join operation r on r.reverses = o.id
             where o.kind = 'call_charge' group by o.ref)
        select format('call %s: charged %s, given back %s; its refund says %s',
                      coalesce(f.call_id, c.ref), c.amount, c.returned, f.amount_minor)
          from call_refund f full join charge c on c.ref = f.call_id
         where case when f.call_id is null then c.returned <> 0
                    else (c.amount = f.amount_minor and c.returned = f.amount_minor) is not true end
        union all
        select format('call %s: the house bore %s, operations say %s', coalesce(f.call_id, o.ref),
                      f.borne_minor, o.amount)
          from (select * from call_refund where borne_minor > 0) f
          full join (select o.ref, sum(t.amount) as amount
                       from operation o join transfer t on t.operation = o.id
                      where o.kind = 'refund_cover' group by o.ref) o on o.ref = f.call_id
         where f.borne_minor is distinct from o.amount
        """,
    ),
)
