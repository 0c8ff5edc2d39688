-- Webhooks: where operators want to be told of calls, and what became of telling them.

-- The last revision of an ended call; null when nobody knows it (its server was killed).
alter table ended_call add column rev bigint;

-- Secrets are kept as they are: what is sent is signed with them. The old one signs too, for a day.
-- Without events all of them are meant. Deleted endpoints stay while deliveries name them.
create table webhook_endpoint (
    id                uuid primary key,
    url               text not null check (char_length(url) between 1 and 2048),
    events            text[] not null default '{}' check (cardinality(events) <= 20),
    secret            text not null,
    old_secret        text,
    old_secret_until  timestamptz,
    disabled          text check (disabled in ('operator', 'gone')),
    created_at        timestamptz not null default now(),
    deleted_at        timestamptz,
    check ((old_secret is null) = (old_secret_until is null))
);

-- One event for one endpoint. `turn` is the number of the job that may deliver it: jobs of earlier
-- turns find nothing to do. `tries` counts since it was made or last resent.
create table webhook_delivery (
    id           uuid primary key,
    endpoint_id  uuid not null references webhook_endpoint (id),
    event_id     uuid not null,
    type         text not null,
    call_id      uuid,
    body         text not null check (octet_length(body) <= 65536),
    status       text not null default 'waiting'
                 check (status in ('waiting', 'delivered', 'failed')),
    turn         integer not null default 0,
    tries        integer not null default 0,
    created_at   timestamptz not null default now(),
    due_at       timestamptz not null default now(),
    done_at      timestamptz,
    unique (event_id, endpoint_id),
    check ((status = 'waiting') = (done_at is null))
);
create index webhook_delivery_of_endpoint on webhook_delivery (endpoint_id, id desc);
create index webhook_delivery_by_status on webhook_delivery (status, id desc);
create index webhook_delivery_of_call on webhook_delivery (call_id, id desc);
create index webhook_delivery_due on webhook_delivery (due_at) where status = 'waiting';
create index webhook_delivery_age on webhook_delivery (created_at);

create table webhook_attempt (
    id           bigint generated always as identity primary key,
    delivery_id  uuid not null references webhook_delivery (id) on delete cascade,
    at           timestamptz not null default now(),
    took_ms      integer not null check (took_ms >= 0),
    status       integer,
    error        text check (char_length(error) <= 200),
    answer       text check (char_length(answer) <= 1024)
);
create index webhook_attempt_of_delivery on webhook_attempt (delivery_id, id);
