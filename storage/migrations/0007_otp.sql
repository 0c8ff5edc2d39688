-- Log-in by phone: the one-time codes that are out, and how much of what may be done so often.

-- Neither the code nor its hash is here: the code follows from the row and a key of the server.
create table otp (
    id          uuid primary key,
    phone       text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    purpose     text not null check (purpose in ('login', 'attach')),
    -- Who wants the number for an account that is there; a log-in has nobody yet.
    user_id     uuid references users (id),
    tries_left  smallint not null check (tries_left >= 0),
    expires_at  timestamptz not null,
    check ((user_id is not null) = (purpose = 'attach')),
    unique nulls not distinct (phone, purpose, user_id)
);
create index otp_due on otp (expires_at);

-- Limits that hold across nodes and restarts: `used` of a key in the window that ends at that time,
-- in Unix ms.
create table quota (
    key      text primary key check (char_length(key) between 1 and 200),
    used     integer not null check (used >= 0),
    ends_ms  bigint not null
);
create index quota_due on quota (ends_ms);
