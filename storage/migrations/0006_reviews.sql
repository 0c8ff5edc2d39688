-- Reviews of calls, the hours of providers, and what lets the directory be read a page at a time.

-- One for each call: by its caller, about its callee.
create table review (
    id           uuid primary key,
    call_id      uuid not null unique references call (id),
    provider_id  uuid not null references provider (user_id),
    author_id    uuid not null references users (id),
    score        smallint not null check (score between 1 and 5),
    comment      text not null default '' check (char_length(comment) <= 500),
    created_at   timestamptz not null default clock_timestamp(),
    edited_at    timestamptz,
    check (author_id <> provider_id)
);
create index review_of_provider on review (provider_id, created_at desc, id desc);
create index review_by_score on review (provider_id, score desc, created_at desc, id desc);

-- The week of a provider, in minutes since the day's midnight; 1440 is the midnight that ends it.
create table provider_hours (
    user_id       uuid not null references provider (user_id),
    day_of_week   smallint not null check (day_of_week between 0 and 6),
    start_minute  smallint not null check (start_minute >= 0),
    end_minute    smallint not null check (end_minute <= 1440),
    primary key (user_id, day_of_week, start_minute),
    check (start_minute < end_minute)
);

-- What the directory finds and sorts by stands in one table: a page, and above all its total, must
-- not join every account. `rating` is 0 without reviews, so that the unrated come last.
alter table provider
    add column active boolean not null default true,
    add column gender text,
    add column birthday date,
    add column rating float8 not null
        generated always as (coalesce(rating_sum::float8 / nullif(rating_count, 0), 0)) stored;
update provider p set active = u.status = 'active', gender = u.gender, birthday = u.birthday
  from users u where u.id = p.user_id;

-- Whoever changes an account need not know that some of it is copied. A new profile locks its account
-- as a change of the account does: of the two, one waits and then sees what the other wrote.
create function provider_copies_user() returns trigger language plpgsql as $$
begin
    select u.status = 'active', u.gender, u.birthday into new.active, new.gender, new.birthday
      from users u where u.id = new.user_id for no key update;
    return new;
end $$;
create trigger provider_of_user before insert on provider for each row
    execute function provider_copies_user();

create function user_changes_provider() returns trigger language plpgsql as $$
begin
    update provider set active = new.status = 'active', gender = new.gender, birthday = new.birthday
     where user_id = new.id;
    return null;
end $$;
create trigger user_of_provider after update on users for each row
    when (new.status <> old.status or new.gender is distinct from old.gender
          or new.birthday is distinct from old.birthday)
    execute function user_changes_provider();

create index provider_by_rating on provider (rating desc, user_id) where active;
create index provider_by_price on provider (price_audio_minor, user_id) where active;
create index provider_by_newness on provider (created_at desc, user_id) where active;
create index provider_of_genre on provider using gin (genres) where active;
create index provider_of_tag on provider using gin (tags) where active;
