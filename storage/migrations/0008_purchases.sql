-- What payments buy: plans that give more than they cost, and targets that others sell. And an
-- account of what operators did.

create table plan (
    id            uuid primary key,
    title         text not null check (char_length(title) between 1 and 60),
    price_minor   bigint not null check (price_minor between 1 and 1000000000),
    -- What comes into the wallet, the price included; and what comes on top of it as bonus.
    points_minor  bigint not null check (points_minor between 1 and 2000000000),
    bonus_minor   bigint not null default 0 check (bonus_minor between 0 and 1000000000),
    bonus_days    integer not null default 180 check (bonus_days between 1 and 3650),
    description   text check (char_length(description) <= 200),
    active        boolean not null default true,
    sort          integer not null default 0,
    created_at    timestamptz not null default now(),
    check (points_minor >= price_minor)
);
insert into plan (id, title, price_minor, points_minor, bonus_minor) values
    ('01970000-0000-7000-8000-000000000500', '500 points', 500, 500, 0),
    ('01970000-0000-7000-8000-000000001000', '1000 points', 1000, 1000, 100),
    ('01970000-0000-7000-8000-000000003000', '3000 points', 3000, 3000, 500);

-- Null: the money is kept for what was sold. A top-up fills a wallet; so does money for something
-- that could no longer be sold when it arrived.
alter table payment
    add column wallet text default 'call_credits' check (wallet in ('call_credits', 'primary')),
    -- When its gateway is to be asked, because no webhook has told anything yet.
    add column ask_at timestamptz,
    add constraint payment_fills check (purpose <> 'topup' or wallet is not null),
    add constraint payment_target check ((purpose = 'topup') = (target_id is null));

create index payment_to_ask on payment (ask_at) where ask_at is not null;

-- The plan of a top-up, on the terms of the moment when it was chosen: at the order, or when a
-- completed top-up was redeemed. One for each payment.
create table plan_purchase (
    payment_id    uuid primary key references payment (id),
    plan_id       uuid not null references plan (id),
    points_minor  bigint not null check (points_minor >= 1),
    bonus_minor   bigint not null check (bonus_minor >= 0),
    bonus_days    integer not null check (bonus_days >= 1),
    redeemed_at   timestamptz
);

create table audit_log (
    id           bigint generated always as identity primary key,
    at           timestamptz not null default now(),
    actor        uuid not null references users (id),
    action       text not null check (char_length(action) between 1 and 40),
    target_type  text not null check (char_length(target_type) between 1 and 40),
    target_id    uuid not null,
    reason       text not null check (char_length(reason) <= 500),
    details      jsonb
);
create index audit_of_target on audit_log (target_type, target_id, id);
create trigger audit_append_only before update or delete on audit_log for each row
    execute function refuse_change('what was done stays written');
create trigger audit_no_truncate before truncate on audit_log
    execute function refuse_change('what was done stays written');
