"""Reviews: one for each call, by its caller, and the rating that they make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from storage import reviews
from storage.errors import Conflict, NotFound, Refusal
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.reviews import Review
from tests.storage.past import past_call
from tests.storage.world import make_user


async def people(conn: Connection) -> tuple[UUID, UUID]:
    """A customer and a provider."""
    return (await make_user(conn)).id, (await make_user(conn, provider=True)).id


async def post(
    conn: Connection, author: UUID, call: UUID, score: int = 5, says: str = ""
) -> Review:
    return await reviews.post(conn, call_id=call, author_id=author, score=score, comment=says)


async def rating(conn: Connection, provider_id: UUID) -> tuple[int, int, float]:
    row = await conn.fetchrow(
        "select rating_sum, rating_count, rating from provider where user_id = $1", provider_id
    )
    assert row is not None
    return tuple(row)


@asynccontextmanager
async def refused(kind: type[Refusal], code: str) -> AsyncIterator[None]:
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code


async def test_a_review_counts_in_the_rating_and_is_told(conn: Connection) -> None:
    ann, kai = await people(conn)
    for score in (5, 2):
        call = await past_call(conn, ann, kai)
        posted = await post(conn, ann, call, score, "good")
        assert (posted.call_id, posted.provider_id, posted.score) == (call, kai, score)
        assert (posted.comment, posted.edited_at) == ("good", None)
    assert await rating(conn, kai) == (7, 2, 3.5)
    rows = await conn.fetch("select type, message, related_type, related_id from notification")
    assert [row["message"] for row in rows] == [
        "You have a new review: 5 of 5.",
        "You have a new review: 2 of 5.",
    ]
    assert (rows[1]["type"], rows[1]["related_id"]) == ("REVIEW_RECEIVED", posted.id)


async def test_a_call_is_reviewed_once_however_many_try_at_once(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann, kai = await people(conn)
        call = await past_call(conn, ann, kai)

    async def attempt(score: int) -> Review:
        async with pool.acquire() as conn, conn.transaction():
            return await post(conn, ann, call, score)

    answers = await asyncio.gather(*(attempt(1 + n % 5) for n in range(50)), return_exceptions=True)
    posted = [answer for answer in answers if isinstance(answer, Review)]
    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    assert (len(posted), len(lost)) == (1, 49)
    assert {answer.code for answer in lost} == {"review_already_posted"}
    async with pool.acquire() as conn:
        assert await rating(conn, kai) == (posted[0].score, 1, posted[0].score)
        assert await conn.fetchval("select count(*) from review") == 1
        assert await conn.fetchval("select count(*) from notification") == 1


async def test_many_callers_at_once_are_all_counted(pool: Pool) -> None:
    async with pool.acquire() as conn:
        _, kai = await people(conn)
        callers = [(await make_user(conn)).id for _ in range(20)]
        calls = [await past_call(conn, caller, kai) for caller in callers]

    async def say(caller: UUID, call: UUID, score: int) -> None:
        async with pool.acquire() as conn, conn.transaction():
            await post(conn, caller, call, score)

    pairs = zip(callers, calls, strict=True)
    await asyncio.gather(*(say(*pair, 1 + n % 5) for n, pair in enumerate(pairs)))
    async with pool.acquire() as conn:
        assert await rating(conn, kai) == (60, 20, 3.0)
        summed = await conn.fetchval("select sum(score) from review")
        assert summed == 60


async def test_the_database_itself_keeps_it_to_one_review_a_call(conn: Connection) -> None:
    ann, kai = await people(conn)
    call = await past_call(conn, ann, kai)
    await post(conn, ann, call)
    with pytest.raises(asyncpg.UniqueViolationError):
        await conn.execute(
            "insert into review (id, call_id, provider_id, author_id, score) "
            "values ($1, $2, $3, $4, 1)",
            new_id(),
            call,
            kai,
            ann,
        )


async def test_who_may_not_review(conn: Connection) -> None:
    ann, kai = await people(conn)
    eve, customer = (await make_user(conn)).id, (await make_user(conn)).id
    call = await past_call(conn, ann, kai)
    async with refused(NotFound, "call_not_found"):
        await post(conn, eve, call)
    async with refused(NotFound, "call_not_found"):
        await post(conn, ann, new_id())
    async with refused(Refusal, "forbidden"):
        await post(conn, kai, call)
    async with refused(NotFound, "otomo_not_found"):
        await post(conn, ann, await past_call(conn, ann, customer))
    async with refused(Conflict, "call_not_finished"):
        await post(conn, ann, await past_call(conn, ann, kai, ended=False))
    async with refused(Conflict, "call_not_finished"):
        await post(conn, ann, await past_call(conn, ann, kai, talk_ms=None))
    assert await rating(conn, kai) == (0, 0, 0)


async def test_an_edit_replaces_the_score_in_the_rating(conn: Connection) -> None:
    ann, kai = await people(conn)
    call = await past_call(conn, ann, kai)
    await post(conn, ann, await past_call(conn, ann, kai), 3)
    async with refused(NotFound, "review_not_found"):
        await reviews.edit(conn, call_id=call, author_id=ann, score=1, comment="")
    await post(conn, ann, call, 5, "fine")
    edited = await reviews.edit(conn, call_id=call, author_id=ann, score=1, comment="not so")
    assert (edited.score, edited.comment) == (1, "not so")
    assert edited.edited_at is not None
    assert await rating(conn, kai) == (4, 2, 2.0)
    async with refused(NotFound, "review_not_found"):
        await reviews.edit(conn, call_id=call, author_id=kai, score=5, comment="")
    async with refused(NotFound, "call_not_found"):
        eve = (await make_user(conn)).id
        await reviews.edit(conn, call_id=call, author_id=eve, score=5, comment="")
    await conn.execute("update review set created_at = now() - $1::interval", timedelta(hours=24))
    async with refused(Conflict, "review_closed"):
        await reviews.edit(conn, call_id=call, author_id=ann, score=5, comment="")
    assert await rating(conn, kai) == (4, 2, 2.0)


async def test_edits_at_once_leave_the_rating_of_the_last(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        ann, kai = await people(conn)
        call = await past_call(conn, ann, kai)
        await post(conn, ann, call, 3)

    async def change(score: int) -> None:
        async with pool.acquire() as conn, conn.transaction():
            await reviews.edit(conn, call_id=call, author_id=ann, score=score, comment="")

    await asyncio.gather(*(change(1 + n % 5) for n in range(20)))
    async with pool.acquire() as conn:
        left = await reviews.read(conn, ann, call)
        assert left is not None
        assert await rating(conn, kai) == (left.score, 1, left.score)


async def test_a_review_is_read_by_both_sides_and_nobody_else(conn: Connection) -> None:
    ann, kai = await people(conn)
    call = await past_call(conn, ann, kai)
    assert await reviews.read(conn, ann, call) is None
    posted = await post(conn, ann, call)
    assert await reviews.read(conn, ann, call) == await reviews.read(conn, kai, call) == posted
    async with refused(NotFound, "call_not_found"):
        await reviews.read(conn, (await make_user(conn)).id, call)


async def test_the_list_of_a_provider_is_sorted_and_paged(conn: Connection) -> None:
    ann, kai = await people(conn)
    _, other = await people(conn)
    for score in (3, 5, 1, 5):
        await post(conn, ann, await past_call(conn, ann, kai), score)
    await post(conn, ann, await past_call(conn, ann, other), 4)

    async def scores(sort: reviews.Sort, limit: int = 10, offset: int = 0) -> list[int]:
        found = await reviews.list_of(conn, kai, sort=sort, limit=limit, offset=offset)
        return [each.score for each in found]

    assert await scores("newest") == [5, 1, 5, 3]
    assert await scores("highest") == [5, 5, 3, 1]
    assert await scores("lowest") == [1, 3, 5, 5]
    assert await scores("newest", limit=2, offset=1) == [1, 5]
    assert await reviews.count_of(conn, kai) == 4
    assert await reviews.histogram(conn, kai) == {5: 2, 4: 0, 3: 1, 2: 0, 1: 1}
    assert await reviews.histogram(conn, other) == {5: 0, 4: 1, 3: 0, 2: 0, 1: 0}


async def test_the_author_is_named_as_today(conn: Connection) -> None:
    ann, kai = await people(conn)
    await post(conn, ann, await past_call(conn, ann, kai))
    await conn.execute(
        "update users set name = 'Deleted user', status = 'deleted' where id = $1", ann
    )
    [found] = await reviews.list_of(conn, kai, limit=5)
    assert found.author_name == "Deleted user"


async def test_who_is_no_active_provider_has_no_reviews(conn: Connection) -> None:
    ann, kai = await people(conn)
    await conn.execute("update users set status = 'suspended' where id = $1", kai)
    for nobody in (ann, kai, new_id()):
        assert await reviews.count_of(conn, nobody) is None
        assert await reviews.histogram(conn, nobody) is None
