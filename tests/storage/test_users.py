from __future__ import annotations

from datetime import date

import asyncpg
import pytest

from storage import providers, users
from storage.errors import NotFound
from storage.pool import Connection
from storage.settings import Toggles


async def made(conn: Connection, name: str = "Ann", email: str = "ann@example.org") -> users.User:
    user_id = await users.create_user(conn, name=name, email=email, currency="PTS")
    user = await users.read_user(conn, user_id, "PTS")
    assert user is not None
    return user


async def test_a_new_account_is_a_customer_with_empty_accounts(conn: Connection) -> None:
    user = await made(conn)
    assert (user.name, user.email, user.phone) == ("Ann", "ann@example.org", None)
    assert (user.roles, user.status, user.balance_minor) == (["customer"], "active", 0)
    assert user.availability is None
    kinds = await conn.fetch("select kind from account where owner = $1", user.id)
    assert {"call_credits", "primary", "earnings_pending", "earnings_available"} <= {
        row["kind"] for row in kinds
    }


async def test_an_email_and_a_phone_belong_to_one_account(conn: Connection) -> None:
    await users.create_user(
        conn, name="Ann", email="a@example.org", phone="+4915112345678", currency="PTS"
    )
    with pytest.raises(users.EmailTaken):
        await users.create_user(conn, name="Bo", email="a@example.org", currency="PTS")
    with pytest.raises(users.PhoneTaken):
        await users.create_user(conn, name="Bo", phone="+4915112345678", currency="PTS")
    assert await conn.fetchval("select count(*) from users where name = 'Bo'") == 0


async def test_an_account_needs_something_to_log_in_with(conn: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await users.create_user(conn, name="Ann", currency="PTS")


async def test_a_phone_is_set_once_proved_and_stays_with_one_account(conn: Connection) -> None:
    ann, bob = await made(conn), await made(conn, "Bob", "bob@example.org")
    assert await users.find_by_phone(conn, "+12025550123") is None
    await users.set_phone(conn, ann.id, "+12025550123")
    with pytest.raises(users.PhoneTaken):
        await users.set_phone(conn, bob.id, "+12025550123")
    await users.set_phone(conn, ann.id, "+12025550123")
    assert await users.find_by_phone(conn, "+12025550123") == users.Standing(ann.id, "active")
    await users.set_phone(conn, ann.id, "+12025550124")
    await users.set_phone(conn, bob.id, "+12025550123")


async def test_nobody_is_read_after_deletion(conn: Connection) -> None:
    user = await made(conn)
    await conn.execute("update users set status = 'deleted' where id = $1", user.id)
    assert await users.read_user(conn, user.id, "PTS") is None
    assert await users.read_public(conn, user.id) is None
    with pytest.raises(NotFound):
        await users.update_profile(conn, user.id, name="Eve")


async def test_a_suspended_account_is_seen_by_its_owner_only(conn: Connection) -> None:
    user = await made(conn)
    await conn.execute("update users set status = 'suspended' where id = $1", user.id)
    assert await users.read_public(conn, user.id) is None
    again = await users.read_user(conn, user.id, "PTS")
    assert again is not None
    assert again.status == "suspended"


async def test_only_what_is_given_changes(conn: Connection) -> None:
    user = await made(conn)
    changed = await users.update_profile(conn, user.id, bio="hello")
    assert (changed.name, changed.bio) == ("Ann", "hello")
    changed = await users.update_profile(conn, user.id, name="Anna")
    assert (changed.name, changed.bio) == ("Anna", "hello")
    changed = await users.update_profile(conn, user.id, bio="")
    assert changed.bio is None


async def test_gender_and_birthday_are_set_and_cleared(conn: Connection) -> None:
    user = await made(conn)
    await users.update_profile(conn, user.id, gender="woman", birthday=date(2000, 2, 29))
    again = await users.read_user(conn, user.id, "PTS")
    assert again is not None
    assert (again.gender, again.birthday) == ("woman", date(2000, 2, 29))
    await users.update_profile(conn, user.id, birthday="")
    again = await users.read_user(conn, user.id, "PTS")
    assert again is not None
    assert (again.gender, again.birthday) == ("woman", None)


async def test_a_role_is_added_once(conn: Connection) -> None:
    user = await made(conn)
    await users.add_role(conn, user.id, "companion")
    await users.add_role(conn, user.id, "companion")
    again = await users.read_user(conn, user.id, "PTS")
    assert again is not None
    assert again.roles == ["customer", "companion"]


async def test_a_provider_shows_as_one(conn: Connection) -> None:
    user = await made(conn)
    terms = providers.Terms("Ann", None, "minute", 120, 200, [], [])
    await providers.save_provider(conn, user.id, terms)
    public = await users.read_public(conn, user.id)
    again = await users.read_user(conn, user.id, "PTS")
    assert public is not None
    assert public.is_provider
    assert again is not None
    assert again.availability == "offline"


async def test_what_was_set_by_hand_comes_with_the_account(conn: Connection) -> None:
    user = await made(conn)
    assert user.notifications == Toggles()
    await conn.execute(
        "insert into notification_settings (user_id, incoming_call, marketing) "
        "values ($1, false, true)",
        user.id,
    )
    again = await users.read_user(conn, user.id, "PTS")
    assert again is not None
    assert again.notifications == Toggles(False, True, True, True)


async def test_active_accounts_are_listed_in_pages(conn: Connection) -> None:
    people = [await made(conn, f"Bo{n}", f"bo{n}@example.org") for n in range(4)]
    await conn.execute("update users set status = 'suspended' where id = $1", people[1].id)
    first = await users.list_active(conn, people[0].id, 1)
    assert first == [people[2].id]
    assert await users.list_active(conn, first[-1], 9) == [people[3].id]
