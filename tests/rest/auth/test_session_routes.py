"""The caller's own sessions: seen and ended from any of them, and from nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

from storage import credentials
from storage.ids import new_id
from tests.rest.auth.conftest import Auth
from tests.rest.harness import START_MS, FakeClock

PASSWORD = {"email": "ann@example.org", "password": "correct horse"}


async def log_in(auth: Auth, agent: str) -> dict[str, Any]:
    answer = await auth.rest.call(
        "POST", "/auth/login", json=PASSWORD, headers={"User-Agent": agent}, status=200
    )
    return answer.body


async def listed(auth: Auth, token: str) -> list[dict[str, Any]]:
    answer = await auth.rest.call("GET", "/auth/sessions", token=token, status=200)
    found: list[dict[str, Any]] = answer.body["sessions"]
    return found


async def test_each_log_in_is_listed_with_its_device(auth: Auth, clock: FakeClock) -> None:
    await auth.sign_up()
    clock.move(1_000)
    await log_in(auth, "x" * 300)
    clock.move(1_000)
    phone = await log_in(auth, "TalkApp/2.1 (Android)")
    sessions = await listed(auth, phone["token"])
    assert [each["device"] for each in sessions[:2]] == ["TalkApp/2.1 (Android)", "x" * 100]
    assert [each["current"] for each in sessions] == [True, False, False]
    assert sessions[0]["id"] == str(auth.rest.keys.read(phone["token"]).session_id)
    assert START_MS == 1_800_000_000_000
    assert sessions[0]["createdAt"] == "2027-01-15T08:00:02Z"


async def test_a_device_name_that_cannot_be_shown_is_none(auth: Auth) -> None:
    await auth.sign_up()
    raw = (
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xfe\x80\r\n"
        b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
    )
    body = b'{"email":"ann@example.org","password":"correct horse"}'
    reader, writer = await asyncio.open_connection(
        auth.rest.client.server.host, auth.rest.client.server.port
    )
    writer.write(raw % (len(body), body))
    assert b"200 OK" in await reader.readline()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    devices = await auth.rest.pool.fetch("select device from session order by created_at, id")
    assert devices[-1]["device"] is None


async def test_a_session_can_be_ended_from_another(auth: Auth) -> None:
    first = await auth.sign_up()
    second = await log_in(auth, "phone")
    ended = auth.rest.keys.read(first["token"]).session_id
    await auth.rest.call("DELETE", f"/auth/sessions/{ended}", token=second["token"], status=200)
    assert auth.ended == [ended]
    await auth.rest.call("GET", "/auth/me", token=first["token"], status=401)
    await auth.refresh(first["refreshToken"], 401)
    assert len(await listed(auth, second["token"])) == 1
    again = await auth.rest.call(
        "DELETE", f"/auth/sessions/{ended}", token=second["token"], status=404
    )
    assert again.error == "SESSION_NOT_FOUND"


async def test_the_repeat_of_an_end_that_was_not_answered_ends_it_here_and_succeeds(
    auth: Auth,
) -> None:
    """The first one has committed, but its 503 said nothing of that: who asks again wants the
    session ended, and it was still alive in this process, so that is what the repeat did. Only the
    one after that has nothing to end any more."""
    first = await auth.sign_up()
    second = await log_in(auth, "phone")
    ended = auth.rest.keys.read(first["token"]).session_id
    async with auth.rest.pool.acquire() as conn:
        await credentials.revoke_session(conn, ended, why="ended_by_owner", now_ms=START_MS)
    await auth.rest.call("GET", "/auth/me", token=first["token"], status=200)
    path = f"/auth/sessions/{ended}"
    stranger = await auth.sign_up("bob@example.org", name="Bob")
    await auth.rest.call("DELETE", path, token=stranger["token"], status=404)
    assert auth.ended == []
    await auth.rest.call("DELETE", path, token=second["token"], status=200)
    assert auth.ended == [ended]
    await auth.rest.call("GET", "/auth/me", token=first["token"], status=401)
    await auth.rest.call("DELETE", path, token=second["token"], status=404)


async def test_ending_the_own_session_is_a_log_out(auth: Auth) -> None:
    body = await auth.sign_up()
    own = auth.rest.keys.read(body["token"]).session_id
    await auth.rest.call("DELETE", f"/auth/sessions/{own}", token=body["token"], status=200)
    await auth.rest.call("GET", "/auth/sessions", token=body["token"], status=401)


async def test_the_sessions_of_others_are_neither_seen_nor_ended(auth: Auth) -> None:
    ann = await auth.sign_up()
    bob = await auth.sign_up("bob@example.org", name="Bob")
    of_ann = auth.rest.keys.read(ann["token"]).session_id
    for target in (of_ann, new_id()):
        answer = await auth.rest.call(
            "DELETE", f"/auth/sessions/{target}", token=bob["token"], status=404
        )
        assert answer.error == "SESSION_NOT_FOUND"
    assert auth.ended == []
    assert len(await listed(auth, bob["token"])) == 1
    await auth.rest.call("GET", "/auth/me", token=ann["token"], status=200)


async def test_a_session_that_cannot_be_refreshed_any_more_is_not_listed(
    auth: Auth, clock: FakeClock
) -> None:
    await auth.sign_up()
    clock.move(31 * 86_400_000)
    body = await log_in(auth, "phone")
    assert [each["device"] for each in await listed(auth, body["token"])] == ["phone"]
