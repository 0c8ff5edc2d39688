"""Suspending, restoring and logging out, each written down once."""

from __future__ import annotations

from uuid import UUID

import pytest

from storage import credentials, jobs, sanctions
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.pool import Connection
from tests.storage.past import past_call
from tests.storage.world import User, make_user

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


@pytest.fixture
async def admin(conn: Connection) -> User:
    return await make_user(conn)


@pytest.fixture
async def user(conn: Connection) -> User:
    return await make_user(conn)


async def log_in(conn: Connection, user: User) -> UUID:
    session_id = new_id()
    await credentials.open_session(
        conn,
        session_id=session_id,
        user_id=user.id,
        refresh_hash=new_id().bytes * 2,
        now_ms=NOW_MS,
        idle_ms=DAY_MS,
        lifetime_ms=DAY_MS,
    )
    return session_id


async def written(conn: Connection, user: User) -> list[str]:
    rows = await conn.fetch(
        "select action from audit_log where target_id = $1 order by id", user.id
    )
    return [row["action"] for row in rows]


async def stand(conn: Connection, user: User, status: str, admin: User) -> list[UUID]:
    return await sanctions.set_standing(
        conn,
        user.id,
        status,  # type: ignore[arg-type]
        operator=admin.id,
        reason="because",
        now_ms=NOW_MS,
    )


async def test_a_suspended_account_has_no_sessions_and_gets_no_new_ones(
    conn: Connection, admin: User, user: User
) -> None:
    session = await log_in(conn, user)
    assert await stand(conn, user, "suspended", admin) == [session]
    assert await stand(conn, user, "suspended", admin) == []
    with pytest.raises(NotFound):
        await log_in(conn, user)
    assert await stand(conn, user, "active", admin) == []
    await log_in(conn, user)
    assert await written(conn, user) == ["user.suspend", "user.restore"]


async def test_a_deleted_account_and_none_cannot_be_changed(
    conn: Connection, admin: User, user: User
) -> None:
    await conn.execute("update users set status = 'deleted' where id = $1", user.id)
    with pytest.raises(Conflict) as refused:
        await stand(conn, user, "active", admin)
    assert refused.value.code == "wrong_state"
    with pytest.raises(NotFound):
        await stand(conn, User(new_id(), 0, 0), "suspended", admin)


async def test_only_what_can_be_continued_is_listed(
    conn: Connection, admin: User, user: User
) -> None:
    session = await log_in(conn, user)
    for now_ms, expected in ((NOW_MS, [session]), (NOW_MS + DAY_MS, [])):
        logins, total = await sanctions.list_logins(
            conn, user.id, now_ms=now_ms, limit=10, offset=0
        )
        assert ([each.id for each in logins], total) == (expected, len(expected))


async def test_ended_log_ins_are_written_down_once(
    conn: Connection, admin: User, user: User
) -> None:
    one, two = await log_in(conn, user), await log_in(conn, user)
    for _ in range(2):
        await sanctions.end_login(
            conn, user.id, one, operator=admin.id, reason="because", now_ms=NOW_MS
        )
    for expected in ([two], []):
        ended = await sanctions.end_logins(
            conn, user.id, operator=admin.id, reason="because", now_ms=NOW_MS
        )
        assert ended == expected
    assert await written(conn, user) == ["user.sessions_end"] * 2
    with pytest.raises(NotFound):
        await sanctions.end_login(
            conn, admin.id, one, operator=admin.id, reason="because", now_ms=NOW_MS
        )


async def test_the_live_call_of_a_suspended_account_is_promised_to_end_and_written_down_once(
    conn: Connection, admin: User, user: User
) -> None:
    async def end() -> UUID | None:
        async with conn.transaction():
            return await sanctions.end_call_of(conn, user.id, operator=admin.id, reason="because")

    async def promised() -> int:
        return (await jobs.list_jobs(conn, None, sanctions.END_CALL_JOB, 10, 0))[1]

    assert await end() is None
    assert await promised() == 0
    call_id = await past_call(conn, admin.id, user.id, ended=False)
    await conn.execute("insert into call_slot (user_id, call_id) values ($1, $2)", user.id, call_id)
    for number in (1, 2):
        assert (await end(), await promised()) == (call_id, number), "a second job finds it ended"
    noted = await conn.fetch("select action from audit_log where target_id = $1", call_id)
    assert [row["action"] for row in noted] == ["call.end"]
