-- The operators' console: finding people, payments and decisions, and correcting wallets by hand.

-- Prefixes are compared byte by byte, whatever the database's own order of letters is.
create index users_by_email on users (email collate "C");
create index users_by_name on users (lower(name) collate "C");
create index users_by_age on users (created_at desc, id desc);
create index users_by_status on users (status, created_at desc, id desc);
create index users_by_role on users using gin (roles);
create index block_of_blocked on block (blocked_id);

-- When somebody was last seen: the newest token of each of their log-ins.
create index session_of_user_by_age on session (user_id, created_at desc);
create index refresh_token_by_age on refresh_token (session_id, issued_at desc);
drop index refresh_token_of_session;

create index payment_by_age on payment (created_at desc, id desc);
create index payment_by_status on payment (status, created_at desc, id desc);
create index payment_by_gateway on payment (gateway, created_at desc, id desc);

create index audit_of_actor on audit_log (actor, id desc);
create index audit_of_action on audit_log (action, id desc);
create index audit_of_target_id on audit_log (target_id, id desc);

-- A correction of a wallet by hand. Small ones are approved as they are asked for, by nobody else
-- (`decided_by` is null); larger ones wait for a second operator. Approved ones have posted one
-- operation, `adjustment:<id>`.
create table adjustment (
    id            uuid primary key,
    user_id       uuid not null references users (id),
    wallet        text not null check (wallet in ('call_credits', 'primary', 'earnings_available')),
    amount_minor  bigint not null
                  check (amount_minor <> 0 and amount_minor between -1000000000 and 1000000000),
    currency      text not null check (currency ~ '^[A-Z]{3}$'),
    reason        text not null check (char_length(reason) between 1 and 200),
    status        text not null default 'pending'
                  check (status in ('pending', 'approved', 'rejected')),
    requested_by  uuid not null references users (id),
    requested_at  timestamptz not null default clock_timestamp(),
    decided_by    uuid references users (id),
    decided_at    timestamptz,
    -- Why it was approved or rejected.
    decision      text check (char_length(decision) <= 200),
    check (requested_by <> user_id and decided_by <> user_id),
    check (status <> 'approved' or decided_by <> requested_by),
    check ((status = 'pending') = (decided_at is null)),
    check (status = 'approved' or (status = 'rejected') = (decided_by is not null))
);
create index adjustment_by_age on adjustment (requested_at desc, id desc);
create index adjustment_in_line on adjustment (status, requested_at desc, id desc);
-- What an operator has adjusted alone lately.
create index adjustment_alone on adjustment (requested_by, requested_at)
    where status = 'approved' and decided_by is null;
create trigger adjustment_kept before update on adjustment for each row
    when (old.status <> 'pending' or new.id <> old.id or new.user_id <> old.user_id
          or new.wallet <> old.wallet or new.amount_minor <> old.amount_minor
          or new.currency <> old.currency or new.requested_by <> old.requested_by
          or new.requested_at <> old.requested_at)
    execute function refuse_change('what was asked for stays, and a decision is history');
create trigger adjustment_never_deleted before delete on adjustment for each row
    execute function refuse_change('adjustments are history');
