"""Provider profiles: what a companion offers, at which price, and whether they are there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from storage.errors import NotFound
from storage.pool import Connection

_COLUMNS = """
    p.user_id, p.display_name, p.introduction, p.tariff, p.price_audio_minor, p.price_video_minor,
    p.availability, p.status_message, p.status_updated_at,
    p.genres, p.tags, p.rating_sum, p.rating_count, u.avatar_url, u.gender, u.birthday
"""


class Terms(msgspec.Struct, frozen=True):
    """What a provider sets: both prices are minor units per minute, whatever the tariff."""

    display_name: str
    introduction: str | None
    tariff: str
    price_audio_minor: int
    price_video_minor: int
    genres: list[str]
    tags: list[str]


class Provider(Terms, frozen=True):
    """A profile as the directory shows it. `availability` is the provider's own word: it stays
    while a call makes them busy."""

    user_id: UUID
    availability: str
    status_message: str | None
    status_updated_at: datetime
    rating_sum: int
    rating_count: int
    avatar_url: str | None
    gender: str | None
    birthday: date | None


class Own(Provider, frozen=True):
    """A profile as its owner sees it. `share_bps` None means the deployment's default."""

    share_bps: int | None


class Stats(msgspec.Struct, frozen=True):
    """What calls since a moment came to; only those in which somebody talked. `score_sum` and
    `score_count` are of the reviews written since then."""

    calls: int
    talk_ms: int
    earned_minor: int
    callers: int
    score_sum: int
    score_count: int


async def save_provider(conn: Connection, user_id: UUID, terms: Terms) -> bool:
    """Make or replace the profile. True if it is new."""
    # Only a new one takes the lock of its account, and before its own: see the table's trigger.
    created = await conn.fetchval(
        """
        with changed as (
            update provider
            set display_name = $2, introduction = $3, tariff = $4, price_audio_minor = $5,
                price_video_minor = $6, genres = $7, tags = $8
            where user_id = $1 returning user_id)
        insert into provider (user_id, display_name, introduction, tariff, price_audio_minor,
                              price_video_minor, genres, tags)
        select $1, $2, $3, $4, $5, $6, $7, $8 where not exists (select from changed)
        on conflict (user_id) do update
        set display_name = $2, introduction = $3, tariff = $4, price_audio_minor = $5,
            price_video_minor = $6, genres = $7, tags = $8
        returning xmax = 0
        """,
        user_id,
        terms.display_name,
        terms.introduction,
        terms.tariff,
        terms.price_audio_minor,
        terms.price_video_minor,
        terms.genres,
        terms.tags,
    )
    return created is True


async def read_terms_for_update(conn: Connection, user_id: UUID) -> Terms | None:
    """What the provider has set, locked until the caller's transaction ends."""
    row = await conn.fetchrow(
        """
        select display_name, introduction, tariff, price_audio_minor, price_video_minor, genres,
               tags
        from provider where user_id = $1 for update
        """,
        user_id,
    )
    return None if row is None else Terms(**dict(row))


async def read_provider(conn: Connection, user_id: UUID) -> Provider | None:
    found = await read_providers(conn, [user_id])
    return found[0] if found else None


async def read_providers(conn: Connection, user_ids: Sequence[UUID]) -> list[Provider]:
    """The profiles of those ids that are active, in the order of the ids."""
    rows = await conn.fetch(
        f"""
        select {_COLUMNS}
        from unnest($1::uuid[]) with ordinality as wanted (user_id, place)
        join provider p using (user_id)
        join users u on u.id = p.user_id
        where u.status = 'active'
        order by wanted.place
        """,
        user_ids,
    )
    return [Provider(**dict(row)) for row in rows]


async def read_own(conn: Connection, user_id: UUID) -> Own | None:
    row = await conn.fetchrow(
        f"""
        select {_COLUMNS}, p.share_bps from provider p join users u on u.id = p.user_id
        where p.user_id = $1 and u.status = 'active'
        """,
        user_id,
    )
    return None if row is None else Own(**dict(row))


async def read_stats(conn: Connection, user_id: UUID, since: datetime) -> Stats | None:
    """None without a provider profile."""
    row = await conn.fetchrow(
        """
        select c.*, r.*
        from provider p
        cross join lateral (
            select count(*) as calls, coalesce(sum(talk_ms), 0)::bigint as talk_ms,
                   coalesce(sum(earned_minor), 0)::bigint as earned_minor,
                   count(distinct caller_id) as callers
            from call
            where callee_id = p.user_id and created_at >= $2 and state = 'ended'
              and connected_at is not null) c
        cross join lateral (
            select coalesce(sum(score), 0) as score_sum, count(*) as score_count
            from review where provider_id = p.user_id and created_at >= $2) r
        where p.user_id = $1
        """,
        user_id,
        since,
    )
    return None if row is None else Stats(**dict(row))


async def set_availability(
    conn: Connection, user_id: UUID, availability: str, status_message: str | None = None
) -> Provider:
    """The provider's own word: online, break or offline. A message of None stays, '' clears.

    Raises:
        NotFound: no provider profile.
    """
    row = await conn.fetchrow(
        f"""
        with p as (
            update provider
            set availability = $2, status_updated_at = now(),
                status_message = case when $3::text is null then status_message
                                      else nullif($3, '') end
            where user_id = $1 returning *
        )
        select {_COLUMNS} from p join users u on u.id = p.user_id
        """,
        user_id,
        availability,
        status_message,
    )
    if row is None:
        raise NotFound("There is no such provider.", code="otomo_not_found")
    return Provider(**dict(row))
