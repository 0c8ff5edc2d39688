-- Money that leaves: payouts of earnings, refunds of calls, and who decided.

-- The sum leaves `earnings_available` with the request and comes back with a refusal.
create table payout (
    id              uuid primary key,
    user_id         uuid not null references users (id),
    amount_minor    bigint not null check (amount_minor > 0),
    currency        text not null check (currency ~ '^[A-Z]{3}$'),
    status          text not null default 'requested'
                    check (status in ('requested', 'approved', 'paid', 'rejected', 'cancelled')),
    destination     text not null check (char_length(destination) between 1 and 100),
    note            text check (char_length(note) <= 200),
    requested_at    timestamptz not null default now(),
    decided_at      timestamptz,
    decided_by      uuid references users (id),
    reason          text check (char_length(reason) <= 500),
    paid_reference  text check (char_length(paid_reference) <= 100),
    check (decided_by <> user_id),
    check ((status in ('approved', 'paid', 'rejected')) = (decided_by is not null)),
    check ((status = 'requested') = (decided_at is null)),
    check ((status = 'paid') = (paid_reference is not null))
);
create index payout_of_user on payout (user_id, requested_at desc, id desc);
create index payout_in_line on payout (status, requested_at desc, id desc);
create trigger payout_kept before update on payout for each row
    when (old.status in ('paid', 'rejected', 'cancelled')
          or new.user_id <> old.user_id or new.amount_minor <> old.amount_minor
          or new.currency <> old.currency or new.destination <> old.destination)
    execute function refuse_change('what was asked for stays, and a closed payout is history');

-- An ended call that was given back, whole: the reversals are the ledger's, this row says "once".
create table call_refund (
    call_id       uuid primary key references call (id),
    amount_minor  bigint not null check (amount_minor > 0),
    -- What the provider had been paid out already, and the house stood in for.
    borne_minor   bigint not null default 0 check (borne_minor between 0 and amount_minor),
    refunded_by   uuid not null references users (id),
    refunded_at   timestamptz not null default now()
);
create trigger call_refund_append_only before update or delete on call_refund for each row
    execute function refuse_change('a refund is history');
