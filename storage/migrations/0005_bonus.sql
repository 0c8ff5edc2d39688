-- Bonus: money of the house in an account of its own, spent on calls before the user's own money,
-- and taken back by the house when it has not been spent in time.

create table bonus_lot (
    key         text primary key check (char_length(key) <= 200),
    account     bigint not null,
    amount      bigint not null check (amount > 0),
    granted_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    -- When what was left of it went back to the house.
    expired_at  timestamptz,
    check (expires_at > granted_at)
);
create index bonus_lot_open on bonus_lot (account, expires_at) where expired_at is null;
create index bonus_lot_due on bonus_lot (expires_at) where expired_at is null;

-- A call's hold may stand in two accounts: `bonus_hold` of it in `bonus`, the rest in `payer`.
alter table meter
    add column bonus bigint,
    add column bonus_hold bigint not null default 0,
    add constraint meter_bonus_hold check (bonus_hold between 0 and hold);
drop trigger meter_only_forward on meter;
create trigger meter_only_forward before update on meter for each row
    when (old.state = 'settled' or new.billable_ms < old.billable_ms or new.charged < old.charged
          or new.earned < old.earned or new.owner_epoch < old.owner_epoch
          or new.payer <> old.payer or new.payee is distinct from old.payee
          or (old.bonus is not null and new.bonus is distinct from old.bonus))
    execute function refuse_change('a meter only counts up, and a settled one is history');
