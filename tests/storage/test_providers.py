from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from storage import providers, reviews, users
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection
from storage.providers import Stats, Terms
from tests.storage.past import AT, past_call
from tests.storage.world import make_user

TERMS = Terms("Ann", "hello", "minute", 120, 200, ["talk", "music"], ["kind"])


async def provider(conn: Connection, name: str = "ann") -> UUID:
    user_id = await users.create_user(conn, name=name, email=f"{name}@example.org", currency="PTS")
    await providers.save_provider(conn, user_id, TERMS)
    return user_id


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


async def test_the_inactive_have_no_page(conn: Connection) -> None:
    user_id = await provider(conn)
    await conn.execute("update users set status = 'suspended' where id = $1", user_id)
    assert await providers.read_provider(conn, user_id) is None
    assert await providers.read_own(conn, user_id) is None


async def test_owners_see_their_share(conn: Connection) -> None:
    user_id = await provider(conn)
    own = await providers.read_own(conn, user_id)
    assert own is not None
    assert (own.share_bps, own.genres) == (None, ["talk", "music"])
    await conn.execute("update provider set share_bps = 8000")
    own = await providers.read_own(conn, user_id)
    assert own is not None
    assert own.share_bps == 8_000
    assert await providers.read_own(conn, new_id()) is None


async def test_stats_are_of_talks_since_a_moment(conn: Connection) -> None:
    kai, bo = await provider(conn, "kai"), await provider(conn, "bo")
    ann, eve = (await make_user(conn)).id, (await make_user(conn)).id
    assert await providers.read_stats(conn, kai, AT) == Stats(0, 0, 0, 0, 0, 0)
    for caller, earned in ((ann, 84), (ann, 100), (eve, 16)):
        call = await past_call(conn, caller, kai, talk_ms=90_000, earned=earned)
        await reviews.post(conn, call_id=call, author_id=caller, score=4, comment="")
    await past_call(conn, ann, kai, talk_ms=None)
    await past_call(conn, ann, kai, ended=False)
    await past_call(conn, ann, bo, earned=5)
    old = await past_call(conn, bo, kai, at=AT - timedelta(milliseconds=1), earned=7)
    await reviews.post(conn, call_id=old, author_id=bo, score=1, comment="")
    await conn.execute(
        "update review set created_at = $2 where call_id = $1", old, AT - timedelta(seconds=1)
    )
    assert await providers.read_stats(conn, kai, AT) == Stats(3, 270_000, 200, 2, 12, 3)
    assert await providers.read_stats(conn, ann, AT) is None


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
