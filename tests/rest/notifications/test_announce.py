"""Announcements: everybody who wants to hear hears once, however often a batch is done."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pytest

from rest.notifications import announce
from rest.notifications.announce import JOB, Announcement, Announcer, promise
from storage import settings
from storage.ids import new_id
from storage.notifications import Category
from storage.pool import Pool
from tests.storage.world import make_user


async def people(pool: Pool, count: int) -> list[UUID]:
    async with pool.acquire() as conn, conn.transaction():
        return sorted([(await make_user(conn)).id for _ in range(count)])


async def promised(pool: Pool) -> list[dict[str, object]]:
    """The payloads of the jobs that wait, oldest first."""
    rows = await pool.fetch("select entrypoint, payload from pgqueuer order by id")
    assert {row["entrypoint"] for row in rows} <= {JOB}
    return [msgspec.json.decode(row["payload"]) for row in rows]


async def told(pool: Pool) -> list[UUID]:
    rows = await pool.fetch("select user_id from notification where message = 'News.'")
    return sorted(row["user_id"] for row in rows)


def news(*, category: Category | None = None, user_ids: list[UUID] | None = None) -> Announcement:
    return Announcement(id=new_id(), message="News.", category=category, user_ids=user_ids)


@pytest.fixture
def kicks() -> list[bool]:
    return []


@pytest.fixture
def announcer(pool: Pool, kicks: list[bool]) -> Announcer:
    return Announcer(pool, kick=lambda: kicks.append(True))


async def work_off(pool: Pool, announcer: Announcer, announcement: Announcement) -> int:
    """Do the job and those it promises, each twice; how many different ones there were."""
    async with pool.acquire() as conn:
        await promise(conn, announcement)
    done = 0
    while len(waiting := await promised(pool)) > done:
        await announcer.announce(waiting[done])
        await announcer.announce(waiting[done])
        done += 1
        assert done < 20
    return done


async def test_everybody_is_told_once_batch_by_batch(
    pool: Pool, announcer: Announcer, kicks: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "BATCH_MAX", 2)
    everybody = await people(pool, 5)
    assert await work_off(pool, announcer, news()) == 3
    assert await told(pool) == everybody
    assert kicks
    promised = await pool.fetch("select topic, body from outbox order by id")
    told_at_once = [len(row["body"].get("items", [1])) for row in promised]
    assert told_at_once == [2, 2, 1]


async def test_a_batch_done_by_two_at_once_tells_once(pool: Pool, announcer: Announcer) -> None:
    everybody = await people(pool, 3)
    payload: dict[str, object] = msgspec.to_builtins(news())
    await asyncio.gather(*(announcer.announce(payload) for _ in range(3)))
    assert await told(pool) == everybody


async def test_named_users_alone_are_told_and_strangers_to_us_are_passed_over(
    pool: Pool, announcer: Announcer
) -> None:
    one, two, _ = await people(pool, 3)
    assert await work_off(pool, announcer, news(user_ids=[two, one, new_id(), two])) == 1
    assert await told(pool) == [one, two]


async def test_marketing_reaches_those_who_asked_for_it(pool: Pool, announcer: Announcer) -> None:
    wants, _ = await people(pool, 2)
    async with pool.acquire() as conn:
        await settings.change_toggles(conn, wants, marketing=True)
    await work_off(pool, announcer, news(category="marketing"))
    assert await told(pool) == [wants]
