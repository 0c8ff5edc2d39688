"""Codes that are out: one per phone and purpose, three tries however many come at once, one use."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest

from storage import otp
from storage.otp import Otp
from storage.pool import Connection, Pool
from tests.storage.world import make_user

NOW = 1_800_000_000_000
PHONE = "+12025550123"
TTL = 120_000


async def issue(
    conn: Connection, phone: str = PHONE, user_id: UUID | None = None, now_ms: int = NOW
) -> Otp:
    return await otp.replace(
        conn,
        phone=phone,
        purpose="login" if user_id is None else "attach",
        user_id=user_id,
        tries=3,
        ttl_ms=TTL,
        now_ms=now_ms,
    )


async def try_login(conn: Connection, phone: str = PHONE, now_ms: int = NOW) -> Otp | None:
    return await otp.take_try(conn, phone=phone, purpose="login", user_id=None, now_ms=now_ms)


async def test_a_code_has_three_tries(conn: Connection) -> None:
    issued = await issue(conn)
    assert [await try_login(conn) for _ in range(4)] == [issued, issued, issued, None]
    assert await otp.read_live(conn, issued.id, NOW) is None


async def test_of_fifty_tries_at_once_three_are_given(pool: Pool) -> None:
    async with pool.acquire() as conn:
        await issue(conn)

    async def guess() -> Otp | None:
        async with pool.acquire() as conn:
            return await try_login(conn)

    found = await asyncio.gather(*(guess() for _ in range(50)))
    assert len([each for each in found if each is not None]) == 3


async def test_a_code_ends_with_its_time(conn: Connection) -> None:
    issued = await issue(conn)
    assert await otp.read_live(conn, issued.id, NOW + TTL - 1) == issued
    assert await try_login(conn, now_ms=NOW + TTL - 1) == issued
    assert await otp.read_live(conn, issued.id, NOW + TTL) is None
    assert await try_login(conn, now_ms=NOW + TTL) is None


async def test_a_new_code_replaces_the_old_and_has_all_its_tries(conn: Connection) -> None:
    old = await issue(conn)
    for _ in range(3):
        await try_login(conn)
    new = await issue(conn, now_ms=NOW + 1_000)
    assert new.id != old.id
    assert await otp.read_live(conn, old.id, NOW) is None
    assert not await otp.burn(conn, old.id)
    assert await try_login(conn) == new


async def test_a_code_is_burned_once(pool: Pool) -> None:
    async with pool.acquire() as conn:
        issued = await issue(conn)

    async def burn() -> bool:
        async with pool.acquire() as conn:
            return await otp.burn(conn, issued.id)

    assert sorted(await asyncio.gather(*(burn() for _ in range(8)))) == [False] * 7 + [True]
    async with pool.acquire() as conn:
        assert await try_login(conn) is None


async def test_codes_for_other_phones_users_and_purposes_stand_apart(conn: Connection) -> None:
    ann, bob = await make_user(conn), await make_user(conn)
    for_login, for_ann, for_bob = (
        await issue(conn),
        await issue(conn, user_id=ann.id),
        await issue(conn, user_id=bob.id),
    )
    assert await try_login(conn, phone="+12025550124") is None
    assert await try_login(conn) == for_login
    for user, issued in ((ann, for_ann), (bob, for_bob)):
        taken = await otp.take_try(conn, phone=PHONE, purpose="attach", user_id=user.id, now_ms=NOW)
        assert taken == issued


async def test_only_attaching_has_a_user(conn: Connection) -> None:
    ann = await make_user(conn)
    with pytest.raises(asyncpg.CheckViolationError):
        await otp.replace(
            conn, phone=PHONE, purpose="login", user_id=ann.id, tries=3, ttl_ms=TTL, now_ms=NOW
        )


@pytest.mark.parametrize(("age_ms", "left"), [(TTL + 1_000, 1), (TTL + 3_700_000, 0)])
async def test_the_sweep_forgets_codes_that_are_long_over(
    conn: Connection, age_ms: int, left: int
) -> None:
    now_ms = await conn.fetchval("select (extract(epoch from now()) * 1000)::bigint")
    await issue(conn, now_ms=now_ms - age_ms)
    assert await otp.sweep(conn) == 1 - left
    assert await conn.fetchval("select count(*) from otp") == left
