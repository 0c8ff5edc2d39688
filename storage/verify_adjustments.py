"""What `ledger verify` proves of adjustments by hand."""

from storage.verify_rule import Rule

ADJUSTMENT_RULES = (
    Rule(
        "an adjustment is approved exactly when its one operation is posted, as it says",
        "select count(*) from adjustment",
        """
        with posted as (
            select o.id, o.key, o.kind, o.ref, count(*) as moves, min(t.from_account) as source,
                   min(t.to_account) as target, sum(t.amount) as amount,
                   exists (select from operation r where r.reverses = o.id) as reversed
              from operation o join transfer t on t.operation = o.id and t.at = o.at
             where o.key like 'adjustment:%' group by o.id)
        select format('adjustment %s is %s over %s; posted %s by operation %s',
                      coalesce(a.id::text, o.key), a.status, a.amount_minor, o.amount, o.id)
          from adjustment a
          full join posted o on o.key = 'adjustment:' || a.id
          left join account own on own.id = case when a.amount_minor > 0 then o.target
                                                 else o.source end
          left join account house on house.id = case when a.amount_minor > 0 then o.source
                                                     else o.target end
         where a.id is null
            or (a.status = 'approved') <> (o.id is not null)
            or (o.id is not null
                and ((o.kind, o.ref, o.moves, o.amount)
                         = ('adjustment', a.id, 1, abs(a.amount_minor))
                     and (own.owner, own.kind, own.currency) = (a.user_id, a.wallet, a.currency)
                     and house.kind = case a.wallet when 'earnings_available' then 'loss'
                                                    else 'promo' end
                     and not o.reversed) is not true)
        """,
    ),
    Rule(
        "nobody has approved an adjustment of their own",
        "select count(*) from adjustment where status = 'approved'",
        """
        select format('adjustment %s for %s: asked for by %s, decided by %s', id, user_id,
                      requested_by, decided_by)
          from adjustment
         where user_id in (requested_by, decided_by)
            or (status = 'approved' and decided_by = requested_by)
        """,
    ),
)
