-- Where a user's sleeping phones can be woken for a call.

create table push_device (
    id           uuid primary key,
    user_id      uuid not null references users (id),
    -- The log-in that registered it: without it the phone must stay silent.
    session_id   uuid not null references session (id) on delete cascade,
    -- The same id as the device's socket has.
    device_id    text not null check (device_id ~ '^[A-Za-z0-9._:@-]{1,64}$'),
    platform     text not null check (platform in ('ios', 'android', 'web')),
    provider     text not null check (provider in ('fcm', 'apns', 'webpush', 'webhook')),
    -- A token, or the endpoint of a web push subscription, with its keys.
    target       text not null check (char_length(target) between 1 and 4096),
    target_hash  bytea not null check (octet_length(target_hash) = 32),
    p256dh       bytea check (octet_length(p256dh) = 65),
    auth         bytea check (octet_length(auth) = 16),
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    check ((p256dh is not null) = (provider = 'webpush')),
    check ((auth is not null) = (provider = 'webpush')),
    -- Also what a call request asks: can the callee be woken?
    unique (user_id, device_id, provider),
    -- One phone wakes for one user.
    unique (provider, target_hash)
);
create index push_device_of_session on push_device (session_id);

-- A trigger, for it sees a registration that came in while the session's row was waited for.
create function silence_session() returns trigger language plpgsql as $$
begin
    delete from push_device where session_id = new.id;
    return null;
end $$;
create trigger session_silenced after update of revoked_at on session for each row
    when (new.revoked_at is not null) execute function silence_session();
