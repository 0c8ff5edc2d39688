"""The directory: providers by what they offer, who they are, and whether they are there.

Who is there is known to the sockets and not to the database, so whoever asks brings it along: the
ids of those who are present, the small part. A page walks an index and stops; only its total
looks at every provider that matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal
from uuid import UUID

import msgspec

from storage.pool import Connection

Sort = Literal["recommended", "rating", "price_low", "price_high", "newest"]

# What each sort goes by, and its order: that of an index, walked one way or the other.
_ORDERS: dict[Sort, tuple[str, str]] = {
    "recommended": ("rating", "rating desc, user_id"),
    "rating": ("rating", "rating desc, user_id"),
    "price_low": ("price_audio_minor", "price_audio_minor, user_id"),
    "price_high": ("price_audio_minor", "price_audio_minor desc, user_id desc"),
    "newest": ("created_at", "created_at desc, user_id"),
}

# Only what is asked for becomes part of the statement, so that it can use an index. The text is
# looked for as it stands: no sign in it means anything but itself.
_CONDITIONS = {
    "genre": "genres @> array[{}::text]",
    "tag": "tags @> array[{}::text]",
    "gender": "gender = {}::text",
    "born_after": "birthday > {}::date",
    "born_until": "birthday <= {}::date",
    "price_min": "price_audio_minor >= {}::bigint",
    "price_max": "price_audio_minor <= {}::bigint",
    "text": "strpos(lower(display_name), lower({}::text)) > 0",
}


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What providers must be; None is no condition. Prices are those of audio, in minor units."""

    genre: str | None = None
    tag: str | None = None
    gender: str | None = None
    born_after: date | None = None
    born_until: date | None = None
    price_min: int | None = None
    price_max: int | None = None
    text: str | None = None


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """Who is there. `present`: all of them; `wanted`: those of them to list; `absent`: whether to
    list the others as well."""

    present: Sequence[UUID] = ()
    wanted: Sequence[UUID] = ()
    absent: bool = True

    @property
    def leaves_out(self) -> bool:
        """Whether presence is a condition at all."""
        return not self.absent or len(self.wanted) < len(self.present)


async def list_page(
    conn: Connection, filter: Filter, presence: Presence, *, sort: Sort, limit: int, offset: int
) -> list[UUID]:
    """A page of ids. "recommended" has those who are there first, then the others, each by rating;
    among equals the id decides."""
    where, given = _where(filter, first=6)
    key, order = _ORDERS[sort]
    rows = await conn.fetch(
        f"""
        (select user_id, {key}, 1 as section from provider
          where user_id = any ($3::uuid[]) and {where}
          order by {order} limit $1::bigint + $2::bigint)
        union all
        (select user_id, {key}, 2 from provider
          where user_id not in (select unnest($4::uuid[])) and {where}
          order by {order}
          limit case when $5::boolean then $1::bigint + $2::bigint else 0 end)
        order by {"section, " if sort == "recommended" else ""}{order}
        limit $1::bigint offset $2::bigint
        """,
        limit,
        offset,
        presence.wanted,
        presence.present,
        presence.absent,
        *given,
    )
    return [row["user_id"] for row in rows]


async def count(conn: Connection, filter: Filter, presence: Presence) -> int:
    """How many there are on all pages."""
    if not presence.leaves_out:
        where, given = _where(filter, first=1)
        everybody: int = await conn.fetchval(f"select count(*) from provider where {where}", *given)
        return everybody
    where, given = _where(filter, first=4)
    found: int = await conn.fetchval(
        f"""
        select (select count(*) from provider where user_id = any ($1::uuid[]) and {where})
             + (select count(*) from provider
                 where $3::boolean and user_id not in (select unnest($2::uuid[])) and {where})
        """,
        presence.wanted,
        presence.present,
        presence.absent,
        *given,
    )
    return found


def _where(filter: Filter, *, first: int) -> tuple[str, list[object]]:
    """The conditions with parameters from `first` on, and their values."""
    given = {name: value for name in _CONDITIONS if (value := getattr(filter, name)) is not None}
    fragments = [_CONDITIONS[name].format(f"${n}") for n, name in enumerate(given, start=first)]
    return " and ".join(["active", *fragments]), list(given.values())
