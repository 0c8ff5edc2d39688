"""Log-ins of people, seen and ended by operators."""

from __future__ import annotations

from uuid import UUID

import pytest

from rest.operators.login_routes import LoginRoutes
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import FakeClock, Person, Rest
from tests.rest.operators.desk import ADMIN, audit_of, log_in

WHY = "?reason=A%20lost%20phone"


@pytest.fixture
def ended() -> list[UUID]:
    """Sessions that were told to end, for their sockets to be closed."""
    return []


@pytest.fixture
async def rest(start: Start, pool: Pool, clock: FakeClock, ended: list[UUID]) -> Rest:
    return await start(LoginRoutes(pool, clock=clock, end_session=lambda *ids: ended.extend(ids)))


@pytest.fixture
async def ada(rest: Rest) -> Person:
    return await rest.person("Ada", roles=ADMIN)


@pytest.fixture
async def bob(rest: Rest) -> Person:
    return await rest.person("Bob")


def path_of(person: Person) -> str:
    return f"/operators/users/{person.id}/sessions"


async def listed(rest: Rest, admin: Person, person: Person) -> list[str]:
    answer = await rest.call("GET", path_of(person), by=admin, status=200)
    assert answer.body["total"] == len(answer.body["items"])
    return [each["id"] for each in answer.body["items"]]


async def test_log_ins_are_listed_the_latest_first(
    rest: Rest, ada: Person, bob: Person, pool: Pool, clock: FakeClock
) -> None:
    first = await log_in(pool, clock, bob)
    clock.move(1_000)
    second = await log_in(pool, clock, bob, None)
    assert await listed(rest, ada, bob) == [str(second), str(first)]
    answer = await rest.call("GET", f"{path_of(bob)}?limit=1&offset=1", by=ada, status=200)
    item = answer.body["items"][0]
    assert (answer.body["total"], item["id"], item["device"]) == (2, str(first), "TalkApp/2")
    assert item["lastSeenAt"] == item["createdAt"]


async def test_one_log_in_is_ended_and_the_others_stay(
    rest: Rest, ada: Person, bob: Person, pool: Pool, clock: FakeClock, ended: list[UUID]
) -> None:
    gone, kept = await log_in(pool, clock, bob), await log_in(pool, clock, bob)
    # The second time its sockets are closed again, in case the first request did not get to it.
    for _ in range(2):
        await rest.call("DELETE", f"{path_of(bob)}/{gone}{WHY}", by=ada, status=200)
    assert ended == [gone, gone]
    assert await listed(rest, ada, bob) == [str(kept)]
    assert await audit_of(rest, bob.id) == [("user.sessions_end", ada.id, "A lost phone")]


async def test_all_log_ins_are_ended(
    rest: Rest, ada: Person, bob: Person, pool: Pool, clock: FakeClock, ended: list[UUID]
) -> None:
    sessions = {await log_in(pool, clock, bob), await log_in(pool, clock, bob)}
    for expected in (2, 0):
        answer = await rest.call("DELETE", path_of(bob) + WHY, by=ada, status=200)
        assert answer.body["ended"] == expected
    assert set(ended) == sessions
    assert await listed(rest, ada, bob) == []
    assert len(await audit_of(rest, bob.id)) == 1


async def test_a_session_of_somebody_else_is_not_found(
    rest: Rest, ada: Person, bob: Person, pool: Pool, clock: FakeClock, ended: list[UUID]
) -> None:
    other = await log_in(pool, clock, ada)
    for session_id in (other, new_id()):
        answer = await rest.call("DELETE", f"{path_of(bob)}/{session_id}{WHY}", by=ada, status=404)
        assert answer.error == "SESSION_NOT_FOUND"
    assert ended == []


async def test_nobody_is_not_found(rest: Rest, ada: Person) -> None:
    path = f"/operators/users/{new_id()}/sessions"
    for method, more in (("GET", ""), ("DELETE", WHY)):
        answer = await rest.call(method, path + more, by=ada, status=404)
        assert answer.error == "USER_NOT_FOUND"


async def test_without_a_reason_nothing_ends(
    rest: Rest, ada: Person, bob: Person, ended: list[UUID]
) -> None:
    for path in (path_of(bob), f"{path_of(bob)}/{new_id()}"):
        answer = await rest.call("DELETE", path, by=ada, status=400)
        assert (answer.error, answer.body["details"]) == ("INVALID_REASON", {"field": "reason"})
    assert ended == []


async def test_others_end_nothing(rest: Rest, bob: Person) -> None:
    for method, path in (
        ("GET", path_of(bob)),
        ("DELETE", path_of(bob) + WHY),
        ("DELETE", f"{path_of(bob)}/{new_id()}{WHY}"),
    ):
        answer = await rest.call(method, path, by=bob, status=403)
        assert answer.error == "FORBIDDEN"
