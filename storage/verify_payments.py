"""What `ledger verify` proves of payments, plans and their refunds."""

from storage.verify_rule import Rule

# A payment posts one operation, `payment:<id>`; its plan, if it gives more than was paid, another,
# `redeem:<id>`; a refund reverses both under their keys with `refund:` before them.
PAYMENT_RULES = (
    Rule(
        "a payment is completed exactly when its one operation is posted, as it says",
        "select count(*) from payment",
        """
        with posted as (
            select o.id, o.key, o.kind, o.ref, count(*) as moves, min(t.from_account) as source,
                   min(t.to_account) as target, sum(t.amount) as amount
              from operation o join transfer t on t.operation = o.id and t.at = o.at
             where o.key like 'payment:%' group by o.id)
        select format('payment %s is %s over %s; posted %s by operation %s',
                      coalesce(p.id::text, o.key), p.status, p.amount_minor, o.amount, o.id)
          from payment p
          full join posted o on o.key = 'payment:' || p.id
          left join account s on s.id = o.source
          left join account t on t.id = o.target
         where p.id is null
            or (p.status in ('completed', 'refunded')) <> (o.id is not null)
            or (o.id is not null
                and ((o.moves, o.amount, o.ref) <> (1, p.amount_minor, p.id)
                     or o.kind <> case when p.wallet is null then 'purchase' else 'topup' end
                     or (s.kind, s.currency) <> (case when p.gateway = 'wallet' then 'primary'
                                                      else 'clearing' end, p.currency)
                     or case when p.gateway = 'wallet' then s.owner is distinct from p.user_id
                             else s.label <> p.gateway end
                     or (t.kind, t.currency) <> (coalesce(p.wallet, 'clearing'), p.currency)
                     or case when p.wallet is null then t.label <> 'escrow:' || p.purpose
                             else t.owner is distinct from p.user_id end))
        """,
    ),
    Rule(
        "a plan is redeemed exactly when its payment is completed, for what it promised",
        "select count(*) from plan_purchase",
        """
        with given as (
            select o.id, o.key, o.ref,
                   coalesce(sum(t.amount) filter (where a.kind = 'call_credits'), 0) as points,
                   coalesce(sum(t.amount) filter (where a.kind = 'bonus'), 0) as bonus,
                   sum(t.amount) as amount, bool_and(f.kind = 'promo') as by_house,
                   array_agg(distinct a.owner) as owners
              from operation o join transfer t on t.operation = o.id and t.at = o.at
              join account f on f.id = t.from_account
              join account a on a.id = t.to_account
             where o.key like 'redeem:%' group by o.id)
        select format('payment %s is %s, promised %s and %s; given %s and %s by operation %s',
                      coalesce(p.id::text, g.key), p.status, u.points_minor, u.bonus_minor,
                      g.points, g.bonus, g.id)
          from plan_purchase u
          join payment p on p.id = u.payment_id
          full join given g on g.key = 'redeem:' || u.payment_id
          left join bonus_lot l on l.key = g.key
         where p.id is null or p.wallet is distinct from 'call_credits'
            or (p.status in ('completed', 'refunded')) <> (u.redeemed_at is not null)
            or (u.redeemed_at is not null
                and (coalesce(g.points, 0), coalesce(g.bonus, 0), coalesce(g.amount, 0))
                    <> (u.points_minor - p.amount_minor, u.bonus_minor,
                        u.points_minor - p.amount_minor + u.bonus_minor))
            or (g.id is not null and (u.redeemed_at is null or g.ref <> p.id or not g.by_house
                                      or g.owners <> array[p.user_id]
                                      or coalesce(l.amount, 0) <> u.bonus_minor))
        """,
    ),
    Rule(
        "a payment is refunded exactly when all that it posted is reversed",
        "select count(*) from payment where status = 'refunded'",
        """
        select format('payment %s is %s; operation %s is reversed by %s', p.id, p.status, o.key,
                      r.key)
          from payment p
          join operation o on o.key in ('payment:' || p.id, 'redeem:' || p.id)
          left join operation r on r.reverses = o.id
         where (p.status = 'refunded') <> (r.id is not null)
            or r.key <> 'refund:' || o.key
        """,
    ),
)
