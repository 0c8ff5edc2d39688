from __future__ import annotations

from rest.auth.sessions import Sessions
from storage import credentials, users
from storage.ids import new_id
from storage.pool import Connection
from tests.rest.harness import START_MS, FakeClock


def test_a_revoked_session_is_known_until_its_last_token_has_expired() -> None:
    clock = FakeClock()
    sessions = Sessions(clock, access_ttl_s=900)
    first, second, third = new_id(), new_id(), new_id()
    assert sessions.is_live(first)
    sessions.revoke(first)
    clock.move(900_000)
    sessions.revoke(second)
    assert not sessions.is_live(first)
    clock.move(900_001)
    sessions.revoke(third)
    assert sessions.is_live(first)
    assert not sessions.is_live(second)


async def test_what_was_revoked_before_the_start_is_loaded(conn: Connection) -> None:
    user_id = await users.create_user(conn, name="Ann", email="a@example.org", currency="PTS")
    session_id, open_id = new_id(), new_id()
    for each in (session_id, open_id):
        await credentials.open_session(
            conn,
            session_id=each,
            user_id=user_id,
            refresh_hash=each.bytes * 2,
            now_ms=START_MS,
            idle_ms=1_000,
            lifetime_ms=1_000,
        )
    await credentials.revoke_session(conn, session_id, why="logout", now_ms=START_MS)
    sessions = Sessions(FakeClock(START_MS + 60_000), access_ttl_s=900)
    await sessions.load(conn)
    assert not sessions.is_live(session_id)
    assert sessions.is_live(open_id)
