-- What users are told besides the socket: their inbox, and what they do not want to hear of.

create table notification_settings (
    user_id        uuid primary key references users (id),
    incoming_call  boolean not null default true,
    call_summary   boolean not null default true,
    wallet_alert   boolean not null default true,
    marketing      boolean not null default false,
    updated_at     timestamptz not null default now()
);

create table notification (
    id            uuid primary key,
    -- No foreign key: two rows for each call would lock their users' rows for it.
    user_id       uuid not null,
    type          text not null check (char_length(type) between 1 and 40),
    message       text not null check (char_length(message) between 1 and 500),
    related_type  text,
    related_id    uuid,
    -- What it tells of; the same thing is told once.
    source        text not null check (char_length(source) <= 200),
    read_at       timestamptz,
    created_at    timestamptz not null default clock_timestamp(),
    unique (user_id, source)
);
-- An inbox has an end (1000 rows), so its pages and its unread count are read by the unique index.
