"""Registrations for pushes: once per device and provider, one user per token, and their ends."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from msgspec.structs import replace

from storage import credentials, devices
from storage.devices import DEVICES_MAX, SessionEnded, Wish
from storage.ids import new_id
from storage.pool import Connection, Pool
from tests.storage.test_blocks import made
from tests.storage.test_deletion import open_session
from tests.storage.world import NOW_MS

TOKEN = "a token of a push service, long enough for a hint"
PHONE = Wish(device_id="phone", platform="android", provider="fcm", target=TOKEN)


async def register(conn: Connection, user_id: UUID, wish: Wish = PHONE) -> devices.Listed:
    return await devices.register(conn, user_id, await open_session(conn, user_id), wish)


async def targets(conn: Connection, user_id: UUID) -> list[str]:
    return sorted(each.target for each in await devices.to_wake(conn, user_id))


async def test_a_device_registers_once_per_provider_and_may_change_its_token(
    conn: Connection,
) -> None:
    ann = await made(conn)
    first = await register(conn, ann)
    again = await register(conn, ann)
    assert (again.id, again.created_at) == (first.id, first.created_at)
    newer = await register(conn, ann, replace(PHONE, target="newer"))
    assert newer.id == first.id
    assert await targets(conn, ann) == ["newer"]
    await register(conn, ann, replace(PHONE, provider="webhook", target="w"))
    await register(conn, ann, replace(PHONE, device_id="tab", target="t"))
    assert await targets(conn, ann) == ["newer", "t", "w"]


async def test_a_web_push_subscription_keeps_its_keys(conn: Connection) -> None:
    ann = await made(conn)
    wish = Wish(
        device_id="tab",
        platform="web",
        provider="webpush",
        target="https://push.example/1",
        p256dh=b"\4" + b"k" * 64,
        auth=b"a" * 16,
    )
    listed = await register(conn, ann, wish)
    assert listed.hint == ""
    [found] = await devices.to_wake(conn, ann)
    assert (found.target, found.p256dh, found.auth) == (wish.target, wish.p256dh, wish.auth)


async def test_the_list_shows_the_end_of_long_tokens_only(conn: Connection) -> None:
    ann = await made(conn)
    await register(conn, ann)
    await register(conn, ann, replace(PHONE, device_id="tab", target="x" * 23))
    found = await devices.list_of(conn, ann)
    assert {each.device_id: each.hint for each in found} == {"phone": TOKEN[-6:], "tab": ""}


async def test_a_token_that_another_user_registers_leaves_the_first(conn: Connection) -> None:
    ann, bo = await made(conn), await made(conn, "Bo")
    await register(conn, ann)
    await register(conn, bo, replace(PHONE, device_id="other"))
    assert await targets(conn, ann) == []
    assert await targets(conn, bo) == [TOKEN]


async def test_two_users_who_register_one_token_at_once_do_not_fail(pool: Pool) -> None:
    async with pool.acquire() as conn:
        people = [await made(conn, name) for name in ("Ann", "Bo", "Cy", "Dee")]

    async def one(user_id: UUID) -> None:
        async with pool.acquire() as conn:
            await register(conn, user_id)

    await asyncio.gather(*map(one, people))
    async with pool.acquire() as conn:
        assert await conn.fetchval("select count(*) from push_device") == 1


async def test_beyond_ten_the_one_renewed_longest_ago_goes(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann = await made(conn)
        for number in range(DEVICES_MAX):
            wish = replace(PHONE, device_id=f"d{number}", target=f"t{number}")
            await register(conn, ann, wish)
        await register(conn, ann, replace(PHONE, device_id="d0", target="t0"))
        await register(conn, ann, replace(PHONE, device_id="new", target="new"))
        left = await targets(conn, ann)
    assert left == sorted(["new", *(f"t{n}" for n in range(DEVICES_MAX) if n != 1)])


async def test_a_registration_is_forgotten_by_its_owner_alone(conn: Connection) -> None:
    ann, bo = await made(conn), await made(conn, "Bo")
    listed = await register(conn, ann)
    assert not await devices.forget(conn, bo, listed.id)
    assert await devices.forget(conn, ann, listed.id)
    assert not await devices.forget(conn, ann, listed.id)


async def test_a_token_that_is_gone_goes_but_not_a_newer_one_of_the_device(
    conn: Connection,
) -> None:
    ann = await made(conn)
    await register(conn, ann)
    [sent_to] = await devices.to_wake(conn, ann)
    await register(conn, ann, replace(PHONE, target="newer"))
    await devices.gone(conn, sent_to)
    [left] = await devices.to_wake(conn, ann)
    assert left.target == "newer"
    await devices.gone(conn, left)
    assert await devices.to_wake(conn, ann) == []


async def test_log_out_ends_the_registrations_of_that_log_in_alone(conn: Connection) -> None:
    ann = await made(conn)
    session = await open_session(conn, ann)
    await devices.register(conn, ann, session, PHONE)
    await register(conn, ann, replace(PHONE, device_id="tab", target="t"))
    await credentials.revoke_session(conn, session, why="logout", now_ms=NOW_MS)
    assert await targets(conn, ann) == ["t"]
    await credentials.revoke_sessions_of(conn, ann, why="all", now_ms=NOW_MS)
    assert await targets(conn, ann) == []


async def test_a_session_past_its_lifetime_takes_its_registrations_along(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann = await made(conn)
        await register(conn, ann)
        await credentials.delete_expired_sessions(conn, now_ms=NOW_MS * 2)
        assert await targets(conn, ann) == []


async def test_nobody_registers_with_a_session_that_is_over_or_another_s(
    conn: Connection,
) -> None:
    ann, bo = await made(conn), await made(conn, "Bo")
    over, hers = await open_session(conn, ann), await open_session(conn, bo)
    await credentials.revoke_session(conn, over, why="logout", now_ms=NOW_MS)
    for session in (over, hers, new_id()):
        with pytest.raises(SessionEnded):
            await devices.register(conn, ann, session, PHONE)


async def test_a_log_out_during_the_registration_ends_it(pool: Pool) -> None:
    async with pool.acquire() as first, pool.acquire() as second:
        ann = await made(first)
        session = await open_session(first, ann)
        async with first.transaction():
            await devices.register(first, ann, session, PHONE)
            out = asyncio.create_task(
                credentials.revoke_session(second, session, why="logout", now_ms=NOW_MS)
            )
            await waits(first, second)
        assert await out
        assert await targets(first, ann) == []


async def waits(conn: Connection, other: Connection) -> None:
    """Until `other` waits for a lock."""
    pid = other.get_server_pid()
    async with asyncio.timeout(10):
        while not await conn.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid):
            pass
