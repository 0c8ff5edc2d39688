-- Who uses the product: accounts of people, their credentials, sessions, provider profiles, blocks.

create table users (
    id          uuid primary key,
    email       text unique check (email = lower(email)),
    phone       text unique check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    name        text not null check (char_length(name) between 1 and 50),
    avatar_url  text,
    bio         text check (char_length(bio) <= 500),
    gender      text,
    birthday    date,
    roles       text[] not null default '{customer}' check ('customer' = any (roles)),
    status      text not null default 'active' check (status in ('active', 'suspended', 'deleted')),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    deleted_at  timestamptz,
    check (email is not null or phone is not null or status = 'deleted')
);

create table credentials (
    user_id        uuid primary key references users (id),
    password_hash  text not null,
    changed_at     timestamptz not null default now()
);

-- One log-in on one device: the family of refresh tokens that descend from it.
create table session (
    id          uuid primary key,
    user_id     uuid not null references users (id),
    device      text,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    revoked_at  timestamptz,
    revoked_why text
);
create index session_of_user on session (user_id) where revoked_at is null;

-- Only hashes are kept. `used_at` marks a rotated token: seeing it again means theft.
create table refresh_token (
    hash        bytea primary key check (octet_length(hash) = 32),
    session_id  uuid not null references session (id),
    issued_at   timestamptz not null default now(),
    expires_at  timestamptz not null,
    used_at     timestamptz
);
create index refresh_token_of_session on refresh_token (session_id);

create table provider (
    user_id            uuid primary key references users (id),
    display_name       text not null check (char_length(display_name) between 1 and 50),
    introduction       text check (char_length(introduction) <= 2000),
    tariff             text not null default 'minute' check (tariff in ('minute', 'second')),
    price_audio_minor  bigint not null check (price_audio_minor between 0 and 1000000000),
    price_video_minor  bigint not null check (price_video_minor between 0 and 1000000000),
    share_bps          integer check (share_bps between 0 and 10000),
    availability       text not null default 'offline'
                       check (availability in ('online', 'break', 'offline')),
    status_message     text check (char_length(status_message) <= 140),
    status_updated_at  timestamptz not null default now(),
    genres             text[] not null default '{}',
    tags               text[] not null default '{}',
    rating_sum         bigint not null default 0,
    rating_count       bigint not null default 0,
    created_at         timestamptz not null default now()
);

create table block (
    user_id     uuid not null references users (id),
    blocked_id  uuid not null references users (id),
    created_at  timestamptz not null default now(),
    primary key (user_id, blocked_id),
    check (user_id <> blocked_id)
);
