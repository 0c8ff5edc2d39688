"""Accounts made by the operator."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from rest.auth.passwords import HashCost, Passwords
from server.demo_accounts import DEMO, DEMO_BALANCE_MINOR, DEMO_PASSWORD
from server.people import (
    ensure_demo,
    grant,
    make_provider,
    make_user,
    restore,
    suspend,
)
from storage import credentials, providers, users, wallet
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.pool import Connection, Pool
from tests.storage.world import NOW_MS, check_books


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords(HashCost(memory_kib=8, passes=1, lanes=1))
    yield made
    made.close()


async def test_the_demo_accounts_are_made_once_with_money_or_a_price(
    pool: Pool, passwords: Passwords
) -> None:
    await ensure_demo(pool, passwords, "PTS")
    await ensure_demo(pool, passwords, "PTS")
    assert await pool.fetchval("select count(*) from users") == len(DEMO)
    assert await pool.fetchval("select count(*) from operation where kind = 'grant'") == 2
    async with pool.acquire() as conn:
        for person in DEMO:
            login = await credentials.read_login(conn, email=person.email)
            assert login is not None
            assert await passwords.check(DEMO_PASSWORD, login.password_hash)
            balance = await wallet.read_balance(conn, login.user_id, "PTS")
            provider = await providers.read_provider(conn, login.user_id)
            assert balance is not None
            if person.admin:
                assert "admin" in login.roles
                assert (balance.available_minor, provider) == (0, None)
            elif person.price_minor is None:
                assert (balance.available_minor, provider) == (DEMO_BALANCE_MINOR, None)
            else:
                assert provider is not None
                assert balance.available_minor == 0
                assert provider.price_audio_minor == person.price_minor
                assert (provider.tariff, provider.availability) == ("minute", "online")
    await check_books(pool)


async def test_a_missing_demo_account_is_made_beside_those_that_are_there(
    pool: Pool, passwords: Passwords
) -> None:
    password_hash = await passwords.hash("another password")
    async with pool.acquire() as conn, conn.transaction():
        await make_user(conn, "Mia", DEMO[0].email, password_hash, "PTS")
    await ensure_demo(pool, passwords, "PTS")
    async with pool.acquire() as conn:
        login = await credentials.read_login(conn, email=DEMO[0].email)
    assert login is not None
    assert login.password_hash == password_hash, "nobody's password is changed"
    assert await pool.fetchval("select count(*) from users") == len(DEMO)


async def test_an_address_that_is_taken_is_refused(conn: Connection) -> None:
    await make_user(conn, "Ann", "ann@example.org", "hash", "PTS")
    with pytest.raises(Conflict):
        await make_user(conn, "Ann", "ann@example.org", "hash", "PTS")


async def test_a_provider_is_a_companion_who_is_online(conn: Connection) -> None:
    user_id = await make_user(conn, "Kai", "kai@example.org", "hash", "PTS")
    await make_provider(conn, user_id, "Kai", 120)
    user = await users.read_user(conn, user_id, "PTS")
    provider = await providers.read_provider(conn, user_id)
    assert user is not None
    assert provider is not None
    assert "companion" in user.roles
    assert (provider.availability, provider.price_video_minor) == ("online", 120)


async def test_a_grant_is_given_once_for_each_key(conn: Connection) -> None:
    user_id = await make_user(conn, "Ann", "ann@example.org", "hash", "PTS")
    first = await grant(conn, user_id, 500, "PTS", "grant:1")
    again = await grant(conn, user_id, 500, "PTS", "grant:1")
    assert (first.first, again.first, again.id) == (True, False, first.id)
    balance = await wallet.read_balance(conn, user_id, "PTS")
    assert balance is not None
    assert balance.available_minor == 500


async def test_a_suspended_account_has_no_session_and_gets_none_until_it_is_restored(
    conn: Connection,
) -> None:
    user_id = await make_user(conn, "Ann", "ann@example.org", "hash", "PTS")
    await users.set_phone(conn, user_id, "+4915112345678")

    async def log_in() -> UUID:
        session_id = new_id()
        await credentials.open_session(
            conn,
            session_id=session_id,
            user_id=user_id,
            refresh_hash=session_id.bytes * 2,
            now_ms=NOW_MS,
            idle_ms=1_000,
            lifetime_ms=1_000,
        )
        return session_id

    session_id = await log_in()
    assert await suspend(conn, "ann@example.org", NOW_MS) == [session_id]
    assert await credentials.revoked_since(conn, NOW_MS) == [(session_id, NOW_MS)]
    with pytest.raises(NotFound):
        await log_in()
    assert await suspend(conn, "+4915112345678", NOW_MS) == [], "again changes nothing"
    await restore(conn, "ann@example.org")
    await log_in()


async def test_a_deleted_account_is_neither_suspended_nor_restored(conn: Connection) -> None:
    user_id = await make_user(conn, "Ann", "ann@example.org", "hash", "PTS")
    await conn.execute("update users set status = 'deleted' where id = $1", user_id)
    with pytest.raises(NotFound):
        await suspend(conn, "ann@example.org", NOW_MS)
    with pytest.raises(NotFound):
        await restore(conn, "ann@example.org")
    assert await conn.fetchval("select status from users") == "deleted"
