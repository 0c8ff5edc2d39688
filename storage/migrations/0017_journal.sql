-- What operators look at: journals of calls, samples of what nodes are doing, calls by time.

-- One row for each owner that a call had, written after the end or the hand-over; an owner that was
-- killed has left none. `entries` is JSON. No foreign key: it must never stand in a call's way.
create table call_journal (
    call_id   uuid not null,
    claim     integer not null,
    epoch     bigint not null,
    entries   bytea not null check (octet_length(entries) <= 262144),
    left_out  integer not null default 0,
    reports   integer not null default 0,
    at        timestamptz not null default now(),
    primary key (call_id, claim)
);
create index call_journal_age on call_journal (at);

-- A node's gauges at `at`, and what it counted in the `span_s` seconds before; every 10 s.
create table node_sample (
    at         timestamptz not null,
    epoch      bigint not null,
    span_s     real not null check (span_s > 0),
    requested  integer not null,
    connected  integer not null,
    ended      integer not null,
    charged    bigint not null,
    requests   integer not null,
    errors     integer not null,
    live       integer not null,
    ringing    integer not null,
    sockets    integer not null,
    users      integer not null,
    primary key (at, epoch)
);

-- Calls of everybody, the newest first. By an expression, so that only who asks for all users' calls
-- can be given this index: on a small table it would look as good as a user's own to every plan that
-- sorts by time, and plans are kept while tables grow.
create index call_by_time on call ((created_at at time zone 'UTC') desc, id desc);
