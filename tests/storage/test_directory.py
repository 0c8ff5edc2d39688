"""The directory: who is found, in which order, and how many there are."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from storage import directory, providers, users
from storage.directory import Filter, Presence, Sort
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.providers import Terms
from tests.storage.combining import blocked_backends

EVERYBODY = Presence()


async def provider(
    conn: Connection,
    name: str,
    *,
    price: int = 100,
    genres: list[str] | None = None,
    tags: list[str] | None = None,
    rating: tuple[int, int] = (0, 0),
    born: date | None = None,
    gender: str | None = None,
) -> UUID:
    user_id = await users.create_user(
        conn, name=name, email=f"{new_id()}@example.org", currency="PTS"
    )
    # The account knows it before the profile is made, or learns it later: both must do.
    early = len(name) % 2 == 0
    change = "update users set birthday = $2, gender = $3 where id = $1"
    if early:
        await conn.execute(change, user_id, born, gender)
    terms = Terms(name, None, "minute", price, 999, genres or [], tags or [])
    await providers.save_provider(conn, user_id, terms)
    if not early:
        await conn.execute(change, user_id, born, gender)
    await conn.execute(
        "update provider set rating_sum = $2, rating_count = $3 where user_id = $1",
        user_id,
        *rating,
    )
    return user_id


async def found(
    conn: Connection,
    wanted: Filter | None = None,
    presence: Presence = EVERYBODY,
    *,
    sort: Sort = "rating",
) -> list[UUID]:
    """All pages of three; their number must be the total that was told."""
    wanted = wanted or Filter()
    total = await directory.count(conn, wanted, presence)
    ids: list[UUID] = []
    while page := await directory.list_page(
        conn, wanted, presence, sort=sort, limit=3, offset=len(ids)
    ):
        ids += page
    assert len(ids) == total == len(set(ids))
    return ids


async def test_each_sort_has_its_order_and_the_id_decides_among_equals(conn: Connection) -> None:
    cheap = await provider(conn, "cheap", price=1, rating=(40, 10))
    good = await provider(conn, "good", price=50, rating=(9, 2))
    equals = sorted([await provider(conn, f"new{n}", price=10) for n in range(5)])
    await conn.execute("update provider set created_at = '2026-01-01'")
    await conn.execute(
        "update provider set created_at = $2 where user_id = $1",
        cheap,
        datetime(2026, 1, 2, tzinfo=UTC),
    )
    assert await found(conn, sort="rating") == [good, cheap, *equals]
    assert await found(conn, sort="price_low") == [cheap, *equals, good]
    assert await found(conn, sort="price_high") == [good, *reversed(equals), cheap]
    assert await found(conn, sort="newest") == [cheap, *sorted([good, *equals])]


async def test_recommended_has_those_who_are_there_first(conn: Connection) -> None:
    best, good, fair, poor = [
        await provider(conn, f"p{score}", rating=(score, 1)) for score in (5, 4, 3, 2)
    ]
    there = Presence(present=[fair, poor, new_id()], wanted=[poor, fair, new_id()])
    assert await found(conn, None, there, sort="recommended") == [fair, poor, best, good]
    assert await found(conn, None, there, sort="rating") == [best, good, fair, poor]
    assert await found(conn, None, EVERYBODY, sort="recommended") == [best, good, fair, poor]


async def test_presence_is_a_condition_too(conn: Connection) -> None:
    a, b, c, d = [await provider(conn, f"p{n}", rating=(n, 1)) for n in (5, 4, 3, 2)]
    there = [c, d]
    for sort in ("recommended", "rating"):
        only = Presence(present=there, wanted=there, absent=False)
        assert await found(conn, None, only, sort=sort) == [c, d]
        others = Presence(present=there, wanted=[], absent=True)
        assert await found(conn, None, others, sort=sort) == [a, b]
        nobody = Presence(present=there, wanted=[], absent=False)
        assert await found(conn, None, nobody, sort=sort) == []
    some = Presence(present=there, wanted=[d], absent=True)
    assert await found(conn, None, some, sort="recommended") == [d, a, b]
    assert await found(conn, None, some, sort="rating") == [a, b, d]


async def test_filters_are_conditions_that_all_hold(conn: Connection) -> None:
    kai = await provider(
        conn,
        "Kai",
        price=100,
        genres=["talk", "music"],
        tags=["kind"],
        born=date(2000, 5, 5),
        gender="female",
    )
    bo = await provider(
        conn, "Bo", price=200, genres=["talk"], born=date(1980, 5, 5), gender="male"
    )
    both = sorted([kai, bo])
    assert await found(conn, Filter(genre="talk")) == both
    assert await found(conn, Filter(genre="music")) == [kai]
    assert await found(conn, Filter(genre="tal")) == []
    assert await found(conn, Filter(tag="kind")) == [kai]
    assert await found(conn, Filter(gender="male")) == [bo]
    assert await found(conn, Filter(price_min=100, price_max=199)) == [kai]
    assert await found(conn, Filter(price_min=101)) == [bo]
    assert await found(conn, Filter(born_after=date(1980, 5, 5))) == [kai]
    assert await found(conn, Filter(born_until=date(1980, 5, 5))) == [bo]
    everything = Filter(
        genre="talk",
        tag="kind",
        gender="female",
        born_after=date(1999, 1, 1),
        born_until=date(2001, 1, 1),
        price_min=1,
        price_max=100,
        text="a",
    )
    assert await found(conn, everything) == [kai]
    there = Presence(present=[bo], wanted=[bo], absent=False)
    assert await found(conn, everything, there) == []
    assert await found(conn, Filter(genre="talk"), there) == [bo]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("kai", ["Kai 100%"]),
        ("AI 1", ["Kai 100%"]),
        ("%", ["Kai 100%"]),
        ("_", ["under_score"]),
        ("\\", ["back\\slash"]),
        ("élo", ["Élodie"]),
        ("' or true --", []),
        ("k%i", []),
    ],
)
async def test_a_text_is_a_part_of_the_name_and_no_pattern(
    conn: Connection, text: str, names: list[str]
) -> None:
    made = {
        await provider(conn, name): name
        for name in ("Kai 100%", "under_score", "back\\slash", "Élodie")
    }
    assert [made[each] for each in await found(conn, Filter(text=text))] == names


async def test_the_inactive_are_not_listed_until_they_are_back(conn: Connection) -> None:
    kai = await provider(conn, "Kai")
    there = Presence(present=[kai], wanted=[kai])
    for status, listed in [("suspended", []), ("active", [kai]), ("deleted", [])]:
        await conn.execute("update users set status = $2 where id = $1", kai, status)
        assert await found(conn, None, there, sort="recommended") == listed
        assert await found(conn) == listed


async def test_a_profile_made_while_its_account_is_suspended_is_not_listed(pool: Pool) -> None:
    async with pool.acquire() as conn:
        kai = await users.create_user(conn, name="Kai", email="k@example.org", currency="PTS")

    async def make() -> None:
        async with pool.acquire() as conn, conn.transaction():
            await providers.save_provider(conn, kai, Terms("Kai", None, "minute", 1, 1, [], []))

    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("update users set status = 'suspended' where id = $1", kai)
        making = asyncio.create_task(make())
        await blocked_backends(pool, 1)
    await making
    async with pool.acquire() as conn:
        assert await found(conn) == []
