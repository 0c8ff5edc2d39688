-- Calls go from node to node: a meter counts its owners, and a node that goes away leaves the whole
-- state of its calls for the next one.

-- An owner may have been started before or after the one it follows, so epochs say nothing of the
-- order; `claim` grows by one with every owner.
alter table meter add column claim integer not null default 0;
drop trigger meter_only_forward on meter;
create trigger meter_only_forward before update on meter for each row
    when (old.state = 'settled' or new.billable_ms < old.billable_ms or new.charged < old.charged
          or new.earned < old.earned or new.claim < old.claim
          or (new.owner_epoch <> old.owner_epoch and new.claim = old.claim)
          or new.payer <> old.payer or new.payee is distinct from old.payee
          or (old.bonus is not null and new.bonus is distinct from old.bonus))
    execute function refuse_change('a meter only counts up, and a settled one is history');

-- When a node ended in order; its devices were told to come back. Fenced nodes without it are dead.
alter table node add column left_at timestamptz;

create table call_handover (
    call_id  uuid primary key references call (id),
    -- Who left it. Only what the present owner left is taken over.
    epoch    bigint not null,
    -- The owner's clock at that moment; nodes' clocks may differ.
    now_ms   bigint not null,
    at       timestamptz not null default clock_timestamp(),
    state    bytea not null
);
