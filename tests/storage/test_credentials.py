from __future__ import annotations

from uuid import UUID

import pytest

from storage import credentials, users
from storage.credentials import Reused, Rotated
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection

NOW = 1_800_000_000_000
DAY = 86_400_000
GRACE = 10_000


def token(n: int) -> bytes:
    return bytes([n]) * 32


@pytest.fixture
async def user_id(conn: Connection) -> UUID:
    return await users.create_user(
        conn, name="Ann", email="ann@example.org", phone="+4915112345678", currency="PTS"
    )


async def opened(conn: Connection, user_id: UUID, first: bytes) -> UUID:
    session_id = new_id()
    await credentials.open_session(
        conn,
        session_id=session_id,
        user_id=user_id,
        refresh_hash=first,
        now_ms=NOW,
        idle_ms=30 * DAY,
        lifetime_ms=90 * DAY,
    )
    return session_id


async def spend(
    conn: Connection, old: bytes, new: bytes, now_ms: int = NOW
) -> Rotated | Reused | None:
    return await credentials.rotate(
        conn, old_hash=old, new_hash=new, now_ms=now_ms, grace_ms=GRACE, idle_ms=30 * DAY
    )


async def test_a_login_is_found_by_email_or_phone(conn: Connection, user_id: UUID) -> None:
    assert await credentials.read_login(conn, email="ann@example.org") is None
    await credentials.set_password(conn, user_id, "one")
    await credentials.set_password(conn, user_id, "two")
    by_mail = await credentials.read_login(conn, email="ann@example.org")
    by_phone = await credentials.read_login(conn, phone="+4915112345678")
    assert by_mail == by_phone
    assert by_mail is not None
    assert (by_mail.user_id, by_mail.password_hash) == (user_id, "two")
    assert await credentials.read_login(conn) is None


async def test_a_stronger_hash_never_overwrites_a_changed_password(
    conn: Connection, user_id: UUID
) -> None:
    await credentials.set_password(conn, user_id, "changed meanwhile")
    await credentials.replace_hash(conn, user_id, "old", "stronger")
    login = await credentials.read_login(conn, email="ann@example.org")
    assert login is not None
    assert login.password_hash == "changed meanwhile"
    await credentials.replace_hash(conn, user_id, "changed meanwhile", "stronger")
    login = await credentials.read_login(conn, email="ann@example.org")
    assert login is not None
    assert login.password_hash == "stronger"


async def test_a_token_is_spent_for_its_successor(conn: Connection, user_id: UUID) -> None:
    session_id = await opened(conn, user_id, token(1))
    expected = Rotated(user_id, session_id, ["customer"])
    assert await spend(conn, token(1), token(2)) == expected
    assert await spend(conn, token(2), token(3), NOW + DAY) == expected
    assert await spend(conn, token(9), token(8)) is None


async def test_a_repeat_within_the_grace_gets_the_same_answer(
    conn: Connection, user_id: UUID
) -> None:
    session_id = await opened(conn, user_id, token(1))
    await spend(conn, token(1), token(2))
    again = await spend(conn, token(1), token(2), NOW + GRACE)
    assert again == Rotated(user_id, session_id, ["customer"])
    assert await conn.fetchval("select count(*) from refresh_token") == 2


async def test_a_repeat_within_the_grace_of_whose_answer_arrived_ends_the_whole_session(
    conn: Connection, user_id: UUID
) -> None:
    session_id = await opened(conn, user_id, token(1))
    await spend(conn, token(1), token(2))
    await spend(conn, token(2), token(3))
    assert await spend(conn, token(1), token(2), NOW + 1) == Reused(user_id, session_id)
    assert await spend(conn, token(3), token(4), NOW + 2) is None


async def test_a_repeat_after_the_grace_ends_the_whole_session(
    conn: Connection, user_id: UUID
) -> None:
    session_id = await opened(conn, user_id, token(1))
    await spend(conn, token(1), token(2))
    assert await spend(conn, token(1), token(2), NOW + GRACE + 1) == Reused(user_id, session_id)
    assert await spend(conn, token(2), token(3), NOW + GRACE + 2) is None
    assert await credentials.revoked_since(conn, NOW) == [(session_id, NOW + GRACE + 1)]
    why = await conn.fetchval("select revoked_why from session where id = $1", session_id)
    assert why == "refresh_reuse"


async def test_a_token_dies_of_idleness_and_a_session_of_age(
    conn: Connection, user_id: UUID
) -> None:
    await opened(conn, user_id, token(1))
    assert await spend(conn, token(1), token(2), NOW + 30 * DAY) is None
    assert await spend(conn, token(1), token(2), NOW + 30 * DAY - 1) is not None
    assert await spend(conn, token(2), token(3), NOW + 59 * DAY) is not None
    assert await spend(conn, token(3), token(4), NOW + 88 * DAY) is not None
    assert await spend(conn, token(4), token(5), NOW + 90 * DAY) is None


@pytest.mark.parametrize("status", ["suspended", "deleted"])
async def test_only_an_active_account_refreshes(
    conn: Connection, user_id: UUID, status: str
) -> None:
    await opened(conn, user_id, token(1))
    await conn.execute("update users set status = $2 where id = $1", user_id, status)
    assert await spend(conn, token(1), token(2)) is None


async def test_a_session_is_revoked_once(conn: Connection, user_id: UUID) -> None:
    session_id = await opened(conn, user_id, token(1))
    assert await credentials.revoke_session(conn, session_id, why="logout", now_ms=NOW + 5)
    assert not await credentials.revoke_session(conn, session_id, why="again", now_ms=NOW + 9)
    assert await credentials.revoked_since(conn, NOW + 5) == [(session_id, NOW + 5)]
    assert await credentials.revoked_since(conn, NOW + 6) == []
    assert await spend(conn, token(1), token(2)) is None


async def test_only_the_owner_s_ended_session_is_revoked(conn: Connection, user_id: UUID) -> None:
    session_id = await opened(conn, user_id, token(1))
    assert not await credentials.is_revoked(conn, session_id, user_id)
    await credentials.revoke_session(conn, session_id, why="logout", now_ms=NOW)
    assert await credentials.is_revoked(conn, session_id, user_id)
    assert not await credentials.is_revoked(conn, session_id, new_id())


async def test_what_was_revoked_lately_is_read_in_pages_by_an_index(
    conn: Connection, user_id: UUID
) -> None:
    early, *same = [await opened(conn, user_id, token(n)) for n in range(1, 5)]
    await credentials.revoke_session(conn, early, why="logout", now_ms=NOW)
    await credentials.revoke_sessions_of(conn, user_id, why="password", now_ms=NOW + 1)
    first = await credentials.revoked_since(conn, NOW, limit=2)
    assert first == [(early, NOW), (min(same), NOW + 1)]
    last, since_ms = first[-1]
    rest = await credentials.revoked_since(conn, since_ms, after=last, limit=3)
    assert [session_id for session_id, _ in rest] == sorted(same)[1:]
    await conn.execute("set local enable_seqscan = off")
    await conn.execute("set local enable_bitmapscan = off")
    rows = await conn.fetch(f"explain (costs off) {credentials.REVOKED_SINCE}", NOW, early, 2)
    plan = " ".join(row[0] for row in rows)
    assert "Index Only Scan using session_revoked" in plan
    assert "Sort" not in plan


async def test_all_sessions_of_a_user_are_revoked(conn: Connection, user_id: UUID) -> None:
    bo = await users.create_user(conn, name="Bo", email="bo@example.org", currency="PTS")
    mine = {await opened(conn, user_id, token(1)), await opened(conn, user_id, token(2))}
    await opened(conn, bo, token(3))
    ended = await credentials.revoke_sessions_of(conn, user_id, why="password", now_ms=NOW)
    assert set(ended) == mine
    assert await credentials.revoke_sessions_of(conn, user_id, why="x", now_ms=NOW) == []
    assert await spend(conn, token(3), token(4)) is not None


async def test_expired_sessions_are_forgotten_with_their_tokens(
    conn: Connection, user_id: UUID
) -> None:
    await opened(conn, user_id, token(1))
    await spend(conn, token(1), token(2))
    assert await credentials.delete_expired_sessions(conn, now_ms=NOW + 90 * DAY) == 0
    assert await credentials.delete_expired_sessions(conn, now_ms=NOW + 90 * DAY + 1) == 1
    assert await conn.fetchval("select count(*) from refresh_token") == 0


async def test_a_password_is_changed_only_by_who_knows_what_was_there(
    conn: Connection, user_id: UUID
) -> None:
    assert await credentials.read_hash(conn, user_id) is None
    assert not await credentials.change_password(conn, user_id, "something", "new")
    assert await credentials.change_password(conn, user_id, None, "first")
    assert not await credentials.change_password(conn, user_id, None, "another first")
    assert not await credentials.change_password(conn, user_id, "wrong", "second")
    assert await credentials.change_password(conn, user_id, "first", "second")
    assert await credentials.read_hash(conn, user_id) == "second"
    await conn.execute("update users set status = 'suspended' where id = $1", user_id)
    assert await credentials.read_hash(conn, user_id) is None


async def test_all_sessions_but_one_are_ended(conn: Connection, user_id: UUID) -> None:
    mine, other = [await opened(conn, user_id, token(n)) for n in (1, 2)]
    ended = await credentials.revoke_sessions_of(conn, user_id, why="x", now_ms=NOW, but=mine)
    assert ended == [other]
    assert await credentials.has_session(conn, user_id, NOW)
    assert not await credentials.has_session(conn, user_id, NOW + 90 * DAY)
    assert not await credentials.has_session(conn, new_id(), NOW)
    assert await credentials.revoke_sessions_of(conn, user_id, why="x", now_ms=NOW) == [mine]
    assert not await credentials.has_session(conn, user_id, NOW)


async def test_a_session_has_an_age_for_its_own_user(conn: Connection, user_id: UUID) -> None:
    session_id = await opened(conn, user_id, token(1))
    assert await credentials.session_age_ms(conn, session_id, user_id, NOW + 5) == 5
    assert await credentials.session_age_ms(conn, session_id, new_id(), NOW) is None
    await credentials.revoke_session(conn, session_id, why="logout", now_ms=NOW)
    assert await credentials.session_age_ms(conn, session_id, user_id, NOW) is None


@pytest.mark.parametrize("status", ["suspended", "deleted"])
async def test_only_active_accounts_get_sessions(
    conn: Connection, user_id: UUID, status: str
) -> None:
    await conn.execute("update users set status = $2 where id = $1", user_id, status)
    with pytest.raises(NotFound):
        await opened(conn, user_id, token(1))


async def test_a_session_is_listed_while_it_can_be_continued(
    conn: Connection, user_id: UUID
) -> None:
    first = await opened(conn, user_id, token(1))

    async def listed(now_ms: int, limit: int = 10) -> list[UUID]:
        found = await credentials.list_sessions(conn, user_id, now_ms=now_ms, limit=limit)
        return [each.id for each in found]

    assert await listed(NOW) == [first]
    await spend(conn, token(1), token(2), NOW + 20 * DAY)
    assert await listed(NOW + 31 * DAY) == [first]
    assert await listed(NOW + 51 * DAY) == []
    second = await opened(conn, user_id, token(3))
    assert await listed(NOW, limit=1) == [second]
    await credentials.revoke_session(conn, first, why="logout", now_ms=NOW)
    assert await listed(NOW) == [second]


async def test_a_session_is_ended_by_its_own_user_only(conn: Connection, user_id: UUID) -> None:
    session_id = await opened(conn, user_id, token(1))

    async def end(by: UUID) -> bool:
        return await credentials.revoke_session(
            conn, session_id, why="test", now_ms=NOW, user_id=by
        )

    assert not await end(new_id())
    assert await end(user_id)
    assert not await end(user_id)
