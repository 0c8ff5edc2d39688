-- Calls, the two users' slots, the meter of each call, the nodes that own them, and chat.

-- One row for each life of a server process. The epoch is its claim on the calls it hosts.
create table node (
    epoch       bigint generated always as identity primary key,
    name        text not null,
    started_at  timestamptz not null default now(),
    beat_at     timestamptz not null default now(),
    -- The node's own monotonic clock at the last beat: what it saw before this is committed.
    beat_ms     bigint not null,
    fenced      boolean not null default false
) with (fillfactor = 50);
create index node_name on node (name);

create table call (
    id              uuid primary key,
    caller_id       uuid not null references users (id),
    callee_id       uuid not null references users (id),
    kind            text not null check (kind in ('audio', 'video')),
    connect_on      text not null check (connect_on in ('media', 'answer')),
    state           text not null check (state in ('requested', 'ringing', 'accepted', 'connected',
                        'reconnecting', 'ended')),
    reason          text check (reason in ('declined', 'busy', 'unavailable', 'cancelled', 'no_answer',
                        'unreachable', 'connect_failed', 'hangup', 'connection_lost', 'balance_exhausted',
                        'max_duration', 'admin', 'server_error')),
    ended_by        text check (ended_by in ('caller', 'callee', 'server', 'admin')),
    caller_device   text not null,
    callee_device   text,
    request_id      text,
    note            text check (char_length(note) <= 200),
    tariff          jsonb not null,
    created_at      timestamptz not null,
    ringing_at      timestamptz,
    accepted_at     timestamptz,
    connected_at    timestamptz,
    ended_at        timestamptz,
    talk_ms         bigint not null default 0,
    billable_ms     bigint not null default 0,
    units           bigint not null default 0,
    charged_minor   bigint not null default 0,
    earned_minor    bigint not null default 0,
    check ((state = 'ended') = (reason is not null)),
    check ((state = 'ended') = (ended_at is not null)),
    check (caller_id <> callee_id),
    unique (caller_id, caller_device, request_id)
) with (fillfactor = 70);
create index call_of_caller on call (caller_id, created_at desc);
create index call_of_callee on call (callee_id, created_at desc);
create trigger call_ended_for_good before update on call for each row
    when (old.state = 'ended')
    execute function refuse_change('an ended call is history');

-- A user is in at most one live call. (No foreign keys on the rows of the hot path beyond the call's
-- own: they cost a look-up each per call; `ledger verify` checks what they would.)
create table call_slot (
    user_id  uuid primary key,
    call_id  uuid not null
);
create index call_slot_of_call on call_slot (call_id);

create table meter (
    call_id       uuid primary key references call (id),
    state         text not null default 'open' check (state in ('open', 'settled')),
    owner_epoch   bigint not null,
    payer         bigint not null,
    payee         bigint,
    platform      bigint not null,
    -- Billable time at `asof_ms` of the owner's clock; it runs on from there while `running`.
    billable_ms   bigint not null default 0 check (billable_ms >= 0),
    asof_ms       bigint not null,
    running       boolean not null default false,
    charged       bigint not null default 0 check (charged >= 0),
    earned        bigint not null default 0 check (earned between 0 and charged),
    hold          bigint not null default 0 check (hold >= 0),
    settled_at    timestamptz,
    check (state = 'open' or (hold = 0 and not running))
) with (fillfactor = 50);
create index meter_open on meter (owner_epoch) where state = 'open';
create trigger meter_only_forward before update on meter for each row
    when (old.state = 'settled' or new.billable_ms < old.billable_ms or new.charged < old.charged
          or new.earned < old.earned or new.owner_epoch < old.owner_epoch
          or new.payer <> old.payer or new.payee is distinct from old.payee)
    execute function refuse_change('a meter only counts up, and a settled one is history');
create trigger meter_kept before delete on meter for each row
    execute function refuse_change('meters are never deleted');

create table conversation (
    id          uuid primary key,
    kind        text not null check (kind in ('call', 'direct', 'repair', 'run')),
    created_at  timestamptz not null default now()
);
create table conversation_member (
    conversation_id  uuid not null references conversation (id),
    user_id          uuid not null references users (id),
    read_up_to       uuid,
    primary key (conversation_id, user_id)
);
create table message (
    id               uuid primary key,
    conversation_id  uuid not null references conversation (id),
    sender_id        uuid not null references users (id),
    -- The sender's own id of the message: a repeated send is one message.
    client_id        text not null,
    text             text not null check (char_length(text) between 1 and 4000),
    created_at       timestamptz not null default now(),
    unique (conversation_id, sender_id, client_id)
);
create index message_of_conversation on message (conversation_id, id);
