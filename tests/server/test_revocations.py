"""Sessions that were ended elsewhere end here too, each once."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from rest.auth.sessions import Sessions
from server.revocations import OVERLAP_MS, Revocations
from storage import credentials, users
from storage.errors import Unavailable
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.harness import START_MS, FakeClock

HOUR_MS = 3_600_000


@dataclass
class Process:
    """What this process knows of sessions; `ended` are those whose sockets it was to close."""

    pool: Pool
    clock: FakeClock = field(default_factory=FakeClock)
    rows_max: int = 1_000
    ended: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.clock, access_ttl_s=900)
        self.revocations = Revocations(
            self.pool,
            self.sessions,
            clock=self.clock,
            session_ended=self.ended.append,
            rows_max=self.rows_max,
        )

    async def look(self) -> list[UUID]:
        """The sessions that ended by looking until there was no more."""
        before = len(self.ended)
        while await self.revocations.look():
            pass
        return self.ended[before:]


@pytest.fixture
async def user_id(pool: Pool) -> UUID:
    async with pool.acquire() as conn, conn.transaction():
        return await users.create_user(conn, name="Ann", email="ann@example.org", currency="PTS")


async def revoked(pool: Pool, user_id: UUID, at_ms: int) -> UUID:
    """A session that somebody else has ended."""
    session_id = new_id()
    async with pool.acquire() as conn:
        await credentials.open_session(
            conn,
            session_id=session_id,
            user_id=user_id,
            refresh_hash=session_id.bytes * 2,
            now_ms=START_MS - HOUR_MS,
            idle_ms=HOUR_MS,
            lifetime_ms=HOUR_MS,
        )
        await credentials.revoke_session(conn, session_id, why="elsewhere", now_ms=at_ms)
    return session_id


async def test_what_was_revoked_elsewhere_ends_here_once(pool: Pool, user_id: UUID) -> None:
    here = Process(pool)
    assert await here.look() == []
    session_id = await revoked(pool, user_id, START_MS)
    assert here.sessions.is_live(session_id)
    assert await here.look() == [session_id]
    assert not here.sessions.is_live(session_id)
    assert await here.look() == []


async def test_what_has_ended_here_is_not_ended_again(pool: Pool, user_id: UUID) -> None:
    here = Process(pool)
    here.sessions.revoke(await revoked(pool, user_id, START_MS))
    assert await here.look() == []


async def test_a_late_commit_and_a_clock_behind_are_seen_and_the_long_past_is_not(
    pool: Pool, user_id: UUID
) -> None:
    here = Process(pool)
    await here.look()
    late = await revoked(pool, user_id, START_MS - OVERLAP_MS)
    await revoked(pool, user_id, START_MS - OVERLAP_MS - 1)
    ahead = await revoked(pool, user_id, START_MS + HOUR_MS)
    assert await here.look() == [late, ahead]


async def test_more_than_one_page_of_one_moment_is_read_to_the_end(
    pool: Pool, user_id: UUID
) -> None:
    here = Process(pool, rows_max=2)
    gone = [await revoked(pool, user_id, START_MS) for _ in range(5)]
    assert await here.look() == sorted(gone)


async def test_after_an_outage_it_goes_on_where_it_was(
    pool: Pool, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Process(pool)
    await here.look()
    session_id = await revoked(pool, user_id, START_MS)
    here.clock.move(HOUR_MS)
    with monkeypatch.context() as outage:

        async def lost(*_: object, **__: object) -> list[tuple[UUID, int]]:
            raise ConnectionError

        outage.setattr(credentials, "revoked_since", lost)
        with pytest.raises(Unavailable):
            await here.look()
    assert await here.look() == [session_id]
