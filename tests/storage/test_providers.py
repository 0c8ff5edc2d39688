from __future__ import annotations

from datetime import date
from uuid import UUID

import asyncpg
import pytest

from storage import providers, users
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection
from storage.providers import Filter, Terms

TODAY = date(2026, 11, 21)
TERMS = Terms("Ann", "hello", "minute", 120, 200, ["talk", "music"], ["kind"])


async def provider(
    conn: Connection,
    name: str = "ann",
    *,
    terms: Terms = TERMS,
    birthday: date | None = None,
    rating: tuple[int, int] = (0, 0),
) -> UUID:
    user_id = await users.create_user(conn, name=name, email=f"{name}@example.org", currency="PTS")
    await conn.execute("update users set birthday = $2 where id = $1", user_id, birthday)
    await providers.save_provider(conn, user_id, terms)
    await conn.execute(
        "update provider set rating_sum = $2, rating_count = $3 where user_id = $1",
        user_id,
        *rating,
    )
    return user_id


async def listed(conn: Connection, wanted: Filter) -> list[UUID]:
    return [each.user_id for each in await providers.list_providers(conn, wanted)]


async def test_a_profile_is_made_and_replaced(conn: Connection) -> None:
    user_id = await users.create_user(conn, name="Ann", email="a@example.org", currency="PTS")
    assert await providers.read_provider(conn, user_id) is None
    assert await providers.read_terms_for_update(conn, user_id) is None
    assert await providers.save_provider(conn, user_id, TERMS) is True
    other = Terms("Anna", None, "second", 0, 0, [], [])
    assert await providers.save_provider(conn, user_id, other) is False
    assert await providers.read_terms_for_update(conn, user_id) == other
    found = await providers.read_provider(conn, user_id)
    assert found is not None
    assert (found.display_name, found.availability) == ("Anna", "offline")


@pytest.mark.parametrize("price", [-1, 1_000_000_001])
async def test_the_database_refuses_a_price_beyond_bounds(conn: Connection, price: int) -> None:
    user_id = await users.create_user(conn, name="Ann", email="a@example.org", currency="PTS")
    with pytest.raises(asyncpg.CheckViolationError):
        await providers.save_provider(conn, user_id, Terms("Ann", None, "minute", price, 0, [], []))


async def test_the_best_rated_come_first_and_the_unrated_last(conn: Connection) -> None:
    good = await provider(conn, "good", rating=(9, 2))
    new = await provider(conn, "new")
    fair = await provider(conn, "fair", rating=(40, 10))
    assert await listed(conn, Filter(today=TODAY)) == [good, fair, new]


async def test_the_directory_is_filtered_by_genre_and_age(conn: Connection) -> None:
    young = await provider(conn, "young", birthday=date(2000, 11, 22))
    old = await provider(conn, "old", birthday=date(1976, 11, 21))
    quiet = Terms("Q", None, "minute", 1, 1, ["quiet"], [])
    unknown = await provider(conn, "unknown", terms=quiet)
    assert await listed(conn, Filter(today=TODAY, genre="quiet")) == [unknown]
    assert await listed(conn, Filter(today=TODAY, age_max=25)) == [young]
    assert await listed(conn, Filter(today=TODAY, age_max=24)) == []
    assert await listed(conn, Filter(today=TODAY, age_min=50)) == [old]
    assert await listed(conn, Filter(today=TODAY, age_min=51)) == []
    assert await listed(conn, Filter(today=TODAY, genre="' or true --")) == []


async def test_the_inactive_are_not_listed(conn: Connection) -> None:
    user_id = await provider(conn)
    await conn.execute("update users set status = 'suspended' where id = $1", user_id)
    assert await listed(conn, Filter(today=TODAY)) == []
    assert await providers.read_provider(conn, user_id) is None


async def test_profiles_come_in_the_order_asked_for(conn: Connection) -> None:
    ids = [await provider(conn, name) for name in ("a", "b", "c")]
    wanted = [ids[2], ids[0], new_id(), ids[1]]
    found = await providers.read_providers(conn, wanted)
    assert [each.user_id for each in found] == [ids[2], ids[0], ids[1]]


async def test_a_status_keeps_its_message_until_it_is_cleared(conn: Connection) -> None:
    user_id = await provider(conn)
    first = await providers.set_availability(conn, user_id, "online", "here")
    kept = await providers.set_availability(conn, user_id, "break")
    cleared = await providers.set_availability(conn, user_id, "offline", "")
    assert (first.availability, first.status_message) == ("online", "here")
    assert (kept.availability, kept.status_message) == ("break", "here")
    assert (cleared.availability, cleared.status_message) == ("offline", None)


async def test_who_is_no_provider_has_no_status(conn: Connection) -> None:
    with pytest.raises(NotFound) as refused:
        await providers.set_availability(conn, new_id(), "online")
    assert refused.value.code == "otomo_not_found"
