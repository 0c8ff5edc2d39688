"""Reviews: what a caller says of a call, once, and what it does to the callee's rating."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from storage import notifications
from storage.errors import Conflict, NotFound, Refusal
from storage.ids import new_id
from storage.pool import Connection, Record

SCORES = range(1, 6)
EDITABLE = timedelta(hours=24)

Sort = Literal["newest", "highest", "lowest"]

_ORDERS: dict[Sort, str] = {
    "newest": "r.created_at desc, r.id desc",
    "highest": "r.score desc, r.created_at desc, r.id desc",
    "lowest": "r.score, r.created_at, r.id",
}
_COLUMNS = """r.id, r.call_id, r.provider_id, u.name as author_name, r.score, r.comment,
              r.created_at, r.edited_at"""


class Review(msgspec.Struct, frozen=True):
    """`author_name` is the account's name of today: a deleted account shows what replaced it."""

    id: UUID
    call_id: UUID
    provider_id: UUID
    author_name: str
    score: int
    comment: str
    created_at: datetime
    edited_at: datetime | None


async def post(
    conn: Connection, *, call_id: UUID, author_id: UUID, score: int, comment: str
) -> Review:
    """Write the review, count it in the provider's rating and tell the provider.

    All of it or nothing: needs the caller's transaction.

    Raises:
        NotFound: call_not_found, no call of theirs; otomo_not_found, the callee is no provider.
        Refusal: forbidden, the author was the one who was called.
        Conflict: call_not_finished, it has not ended or nobody came to talk;
            review_already_posted.
    """
    provider_id = await _reviewed(conn, call_id, author_id)
    await _lock_provider(conn, provider_id)
    review_id = await conn.fetchval(
        """
        insert into review (id, call_id, provider_id, author_id, score, comment)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (call_id) do nothing returning id
        """,
        new_id(),
        call_id,
        provider_id,
        author_id,
        score,
        comment,
    )
    if review_id is None:
        raise Conflict("This call has its review.", code="review_already_posted")
    await _count(conn, provider_id, score=score, reviews=1)
    await notifications.add(
        conn,
        user_id=provider_id,
        type="REVIEW_RECEIVED",
        message=f"You have a new review: {score} of {SCORES[-1]}.",
        source=f"review:{call_id}",
        related_type="review",
        related_id=review_id,
    )
    posted = await read(conn, author_id, call_id)
    assert posted is not None
    return posted


async def edit(
    conn: Connection, *, call_id: UUID, author_id: UUID, score: int, comment: str
) -> Review:
    """Replace the author's review of the call, and its part of the rating. Needs a transaction.

    Raises:
        NotFound: call_not_found; review_not_found, there is none by this author.
        Conflict: review_closed, it is older than 24 hours.
    """
    provider_id = await conn.fetchval(
        "select callee_id from call where id = $1 and $2 in (caller_id, callee_id)",
        call_id,
        author_id,
    )
    if provider_id is None:
        raise NotFound("You have no such call.", code="call_not_found")
    await _lock_provider(conn, provider_id)
    row = await conn.fetchrow(
        """
        select score, created_at > now() - $3::interval as is_open
        from review where call_id = $1 and author_id = $2
        """,
        call_id,
        author_id,
        EDITABLE,
    )
    if row is None:
        raise NotFound("You have not reviewed this call.", code="review_not_found")
    if not row["is_open"]:
        raise Conflict("A review can be changed for 24 hours.", code="review_closed")
    await conn.execute(
        """
        update review set score = $2, comment = $3, edited_at = clock_timestamp()
        where call_id = $1
        """,
        call_id,
        score,
        comment,
    )
    await _count(conn, provider_id, score=score - row["score"], reviews=0)
    edited = await read(conn, author_id, call_id)
    assert edited is not None
    return edited


async def _reviewed(conn: Connection, call_id: UUID, author_id: UUID) -> UUID:
    """The callee, if the author may review this call. An ended call never changes again."""
    row = await conn.fetchrow(
        """
        select callee_id, state = 'ended' and connected_at is not null as is_finished
        from call where id = $1 and $2 in (caller_id, callee_id)
        """,
        call_id,
        author_id,
    )
    if row is None:
        raise NotFound("You have no such call.", code="call_not_found")
    provider_id: UUID = row["callee_id"]
    if provider_id == author_id:
        raise Refusal("Only the caller reviews a call.", code="forbidden")
    if not row["is_finished"]:
        raise Conflict(
            "Only a call in which you talked, and which has ended, can be reviewed.",
            code="call_not_finished",
        )
    return provider_id


async def _lock_provider(conn: Connection, provider_id: UUID) -> None:
    """Reviews of one provider are written one after the other. The account comes first, as with
    whoever suspends or deletes it."""
    found = await conn.fetchval(
        """
        select true from users u join provider p on p.user_id = u.id where u.id = $1
        for key share of u for no key update of p
        """,
        provider_id,
    )
    if found is None:
        raise NotFound("There is no such provider.", code="otomo_not_found")


async def _count(conn: Connection, provider_id: UUID, *, score: int, reviews: int) -> None:
    await conn.execute(
        """
        update provider set rating_sum = rating_sum + $2, rating_count = rating_count + $3
        where user_id = $1
        """,
        provider_id,
        score,
        reviews,
    )


async def read(conn: Connection, user_id: UUID, call_id: UUID) -> Review | None:
    """The review of a call, for its two users.

    Raises:
        NotFound: call_not_found, it is no call of theirs.
    """
    row = await conn.fetchrow(
        f"""
        select {_COLUMNS} from call c
        left join review r on r.call_id = c.id left join users u on u.id = r.author_id
        where c.id = $2 and $1 in (c.caller_id, c.callee_id)
        """,
        user_id,
        call_id,
    )
    if row is None:
        raise NotFound("You have no such call.", code="call_not_found")
    return None if row["id"] is None else _review(row)


async def list_of(
    conn: Connection, provider_id: UUID, *, sort: Sort = "newest", limit: int, offset: int = 0
) -> list[Review]:
    """A page of a provider's reviews."""
    rows = await conn.fetch(
        f"""
        select {_COLUMNS} from review r join users u on u.id = r.author_id
        where r.provider_id = $1 order by {_ORDERS[sort]} limit $2 offset $3
        """,
        provider_id,
        limit,
        offset,
    )
    return [_review(row) for row in rows]


async def count_of(conn: Connection, provider_id: UUID) -> int | None:
    """How many reviews there are; None without an active provider profile."""
    total: int | None = await conn.fetchval(
        "select rating_count from provider where user_id = $1 and active", provider_id
    )
    return total


async def histogram(conn: Connection, provider_id: UUID) -> dict[int, int] | None:
    """How many reviews gave each score, 5 first; None without an active provider profile."""
    rows = await conn.fetch(
        """
        select s.score, (select count(*) from review r
                          where r.provider_id = p.user_id and r.score = s.score) as reviews
        from provider p cross join unnest($2::smallint[]) s (score)
        where p.user_id = $1 and p.active
        """,
        provider_id,
        list(reversed(SCORES)),
    )
    return {row["score"]: row["reviews"] for row in rows} or None


def _review(row: Record) -> Review:
    return Review(**dict(row))
