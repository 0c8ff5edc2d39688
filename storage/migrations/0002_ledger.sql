-- The double-entry ledger. Balances are written only by operations; transfers are never changed.
--
-- `posted` is what came in minus what went out. `held` is set aside for running calls.
-- What an owner may spend is posted - held - floor. Amounts count the currency's smallest unit.

create table account (
    id        bigint generated always as identity primary key,
    kind      text not null check (kind in ('primary', 'call_credits', 'bonus', 'earnings_pending',
                  'earnings_available', 'clearing', 'promo', 'platform_fee', 'breakage', 'loss')),
    owner     uuid references users (id),
    label     text not null default '',
    currency  text not null check (currency ~ '^[A-Z]{3}$'),
    posted    bigint not null default 0,
    held      bigint not null default 0 check (held >= 0),
    floor     bigint not null default 0 check (floor <= 0),
    version   bigint not null default 0,
    check (posted - held >= floor),
    check ((owner is null) = (kind in ('clearing', 'promo', 'platform_fee', 'breakage', 'loss'))),
    unique nulls not distinct (kind, owner, label, currency)
) with (fillfactor = 50);
create index account_of_owner on account (owner) where owner is not null;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% of % is refused: %', tg_op, tg_table_name, tg_argv[0]
        using errcode = 'integrity_constraint_violation';
end $$;

create trigger account_version before update on account for each row
    when (new.version <> old.version + 1 or new.id <> old.id or new.kind <> old.kind
          or new.currency <> old.currency or new.owner is distinct from old.owner)
    execute function refuse_change('versions count up by one and an account keeps its identity');
create trigger account_kept before delete on account for each row
    execute function refuse_change('accounts are never deleted');

-- One business operation, once: the key says which. `result` is what its caller was told.
create table operation (
    id            bigint generated always as identity primary key,
    -- Byte order: the postings of one call are a range of keys.
    key           text collate "C" not null unique check (char_length(key) <= 200),
    request_hash  bytea,
    kind          text not null,
    ref           uuid,
    reverses      bigint unique references operation (id),
    result        jsonb,
    at            timestamptz not null default now()
);

create table transfer (
    operation     bigint not null,
    seq           smallint not null,
    from_account  bigint not null,
    to_account    bigint not null check (to_account <> from_account),
    amount        bigint not null check (amount > 0),
    code          text not null,
    at            timestamptz not null default now(),
    primary key (operation, seq, at)
) partition by range (at);
create index transfer_from on transfer (from_account, at);
-- Platform fees arrive in one account by the million and are read by operation only.
create index transfer_to on transfer (to_account, at) where code <> 'platform_fee';
create table transfer_other partition of transfer default;

-- Makes the month's partition ready ahead of time; the default one catches what nobody foresaw.
create function make_transfer_partition(month date) returns void language plpgsql as $$
declare
    first date := date_trunc('month', month)::date;
    next_first date := (date_trunc('month', month) + interval '1 month')::date;
begin
    execute format('create table if not exists %I partition of transfer for values from (%L) to (%L)',
                   'transfer_' || to_char(first, 'YYYY_MM'), first, next_first);
end $$;

create trigger transfer_append_only before update or delete on transfer for each row
    execute function refuse_change('a correction is another operation');
create trigger transfer_no_truncate before truncate on transfer
    execute function refuse_change('a correction is another operation');
create trigger operation_append_only before update or delete on operation for each row
    execute function refuse_change('an operation is history');
create trigger operation_no_truncate before truncate on operation
    execute function refuse_change('an operation is history');

-- Money in. Two keys: the same event twice, and two events about one payment.
create table payment (
    id            uuid primary key,
    user_id       uuid not null references users (id),
    purpose       text not null check (purpose in ('topup', 'quote', 'order', 'subscription')),
    target_id     uuid,
    gateway       text not null check (gateway in ('sandbox', 'stripe', 'monnify', 'wallet')),
    amount_minor  bigint not null check (amount_minor between 1 and 1000000000000),
    currency      text not null check (currency ~ '^[A-Z]{3}$'),
    status        text not null default 'pending'
                  check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled', 'refunded')),
    reference     text not null unique,
    gateway_ref   text,
    checkout_url  text,
    description   text check (char_length(description) <= 200),
    created_at    timestamptz not null default now(),
    completed_at  timestamptz,
    unique (gateway, gateway_ref)
);
create index payment_of_user on payment (user_id, created_at desc);

create table psp_event (
    gateway      text not null,
    event_id     text not null check (char_length(event_id) <= 200),
    kind         text not null,
    payment_id   uuid references payment (id),
    outcome      text not null,
    received_at  timestamptz not null default now(),
    primary key (gateway, event_id)
);

-- A kept answer for a repeated request.
create table idempotency (
    user_id     uuid not null references users (id),
    route       text not null,
    key         text not null check (char_length(key) between 1 and 255),
    body_hash   bytea not null,
    status      integer,
    answer      bytea,
    created_at  timestamptz not null default now(),
    primary key (user_id, route, key)
);
create index idempotency_age on idempotency (created_at);

-- Promised in the transaction, told after it.
create table outbox (
    id          bigint generated always as identity primary key,
    topic       text not null,
    user_id     uuid not null,
    body        jsonb not null,
    created_at  timestamptz not null default now()
);
