"""Opening and ending sessions below the routes: what the routes' own tests cannot provoke."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from rest.auth.desk import AuthSettings, LoggedIn, SessionDesk
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.http.errors import Problem
from storage.ids import new_id
from storage.pool import Connection, Pool
from tests.rest.harness import FakeClock
from tests.storage.world import make_user


async def test_of_log_ins_at_once_one_session_is_left(
    pool: Pool, keys: TokenKeys, sessions: Sessions, clock: FakeClock
) -> None:
    desk = SessionDesk(keys, sessions, clock=clock, settings=AuthSettings(single_session=True))
    async with pool.acquire() as conn:
        user = await make_user(conn)

    async def log_in() -> LoggedIn:
        async with pool.acquire() as conn, conn.transaction():
            return await desk.log_in(conn, user.id, "active", None)

    opened = await asyncio.gather(*(log_in() for _ in range(8)))
    left = await pool.fetch("select id from session where revoked_at is null")
    assert len(left) == 1
    ended = [session_id for each in opened for session_id in each.ended]
    assert len(ended) == len(set(ended)) == 7
    assert left[0]["id"] not in ended


@pytest.mark.parametrize(
    ("status", "code"), [("suspended", "ACCOUNT_SUSPENDED"), ("deleted", "ACCOUNT_DELETED")]
)
async def test_no_session_is_opened_for_an_account_that_is_closed(
    conn: Connection,
    keys: TokenKeys,
    sessions: Sessions,
    clock: FakeClock,
    status: str,
    code: str,
) -> None:
    user = await make_user(conn)
    desk = SessionDesk(keys, sessions, clock=clock)
    with pytest.raises(Problem) as refused:
        await desk.log_in(conn, user.id, status, None)
    assert refused.value.code == code
    assert await conn.fetchval("select count(*) from session where user_id = $1", user.id) == 0


def test_who_ends_a_session_tells_it_to_the_sockets(
    keys: TokenKeys, sessions: Sessions, clock: FakeClock
) -> None:
    told: list[UUID] = []
    desk = SessionDesk(keys, sessions, clock=clock, session_ended=told.append)
    one, two, other = new_id(), new_id(), new_id()
    desk.end(one, two)
    assert told == [one, two]
    assert [desk.is_live(each) for each in (one, two, other)] == [False, False, True]
