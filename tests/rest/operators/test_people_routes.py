"""People as operators find them, and what becomes of them."""

from __future__ import annotations

from uuid import UUID

import pytest

from rest.operators.people_routes import PeopleRoutes
from signalling.codes import Code, Refused
from storage import jobs, providers, sanctions
from storage.errors import Unavailable
from storage.ids import new_id
from storage.jobs import JobState
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import CURRENCY, FakeClock, Person, Rest
from tests.rest.operators.desk import ADMIN, audit_of, log_in
from tests.storage.past import past_call

USERS = "/operators/users"
WHY = {"reason": "Reported by several callers."}


@pytest.fixture
def ended() -> list[UUID]:
    """Sessions that were told to end, for their sockets to be closed."""
    return []


class Calls:
    """The engine, as far as it ends calls: which it was asked to end, and why it cannot."""

    def __init__(self, ended: list[UUID]) -> None:
        self.stopped: list[UUID] = []
        self.fault: Exception | None = None
        self._ended = ended

    async def stop(self, call_id: UUID) -> None:
        assert not self._ended, "its devices hear why before they lose their sockets"
        self.stopped.append(call_id)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def calls(ended: list[UUID]) -> Calls:
    return Calls(ended)


@pytest.fixture
async def rest(start: Start, pool: Pool, clock: FakeClock, ended: list[UUID], calls: Calls) -> Rest:
    return await start(
        PeopleRoutes(
            pool,
            currency=CURRENCY,
            clock=clock,
            stop=calls.stop,
            end_session=lambda *ids: ended.extend(ids),
        )
    )


@pytest.fixture
async def ada(rest: Rest) -> Person:
    return await rest.person("Ada", roles=ADMIN)


@pytest.fixture
async def bob(rest: Rest) -> Person:
    return await rest.person("Bob Stone", email="bob@example.org", phone="+4915112345678")


async def found(rest: Rest, admin: Person, query: str) -> list[str]:
    answer = await rest.call("GET", f"{USERS}?{query}", by=admin, status=200)
    return [each["id"] for each in answer.body["items"]]


async def test_people_are_found_by_what_is_known_of_them(
    rest: Rest, ada: Person, bob: Person
) -> None:
    for query in (
        "q=bob",
        "q=BOB%20st",
        "q=Bob@Ex",
        "q=%2B49%20151%2012345678",
        f"q={bob.id}",
        "q=bob&status=active&role=customer",
    ):
        assert await found(rest, ada, query) == [str(bob.id)], query
    for query in ("q=ob", "q=%2B49151", f"q={new_id()}", "q=bob&role=admin", "status=deleted"):
        assert await found(rest, ada, query) == [], query
    assert await found(rest, ada, "role=admin") == [str(ada.id)]


async def test_the_newest_accounts_stand_first_page_by_page(
    rest: Rest, ada: Person, bob: Person
) -> None:
    answer = await rest.call("GET", f"{USERS}?limit=1&offset=1", by=ada, status=200)
    assert [each["id"] for each in answer.body["items"]] == [str(ada.id)]
    assert (answer.body["total"], answer.body["limit"], answer.body["offset"]) == (2, 1, 1)


async def test_an_account_shows_what_its_owner_has_and_did(
    rest: Rest, ada: Person, bob: Person, pool: Pool, clock: FakeClock
) -> None:
    await log_in(pool, clock, bob)
    async with pool.acquire() as conn:
        await providers.save_provider(
            conn,
            bob.id,
            providers.Terms(
                display_name="Bob",
                introduction=None,
                tariff="minute",
                price_audio_minor=120,
                price_video_minor=200,
                genres=[],
                tags=[],
            ),
        )
        await conn.execute(
            "insert into block (user_id, blocked_id) values ($1, $2)", ada.id, bob.id
        )
    answer = await rest.call("GET", f"{USERS}/{bob.id}", by=ada, status=200)
    user = answer.body["user"]
    assert (user["name"], user["email"]) == ("Bob Stone", "bob@example.org")
    assert (user["priceAudio"], user["priceVideo"]) == (120, 200)
    assert user["lastSeenAt"] is not None
    assert (user["blocks"], user["blockedBy"], user["liveCallId"]) == (0, 1, None)
    assert (user["balance"], user["earnings"], user["spent"], user["earned"]) == (0, 0, 0, 0)


async def test_a_suspension_ends_all_sessions_and_is_written_down_once(
    rest: Rest, ada: Person, bob: Person, pool: Pool, clock: FakeClock, ended: list[UUID]
) -> None:
    sessions = {await log_in(pool, clock, bob), await log_in(pool, clock, bob)}
    for expected in (2, 0):
        answer = await rest.call("POST", f"{USERS}/{bob.id}/suspend", by=ada, json=WHY, status=200)
        assert answer.body["user"]["status"] == "suspended"
        assert answer.body["sessionsEnded"] == expected
    assert set(ended) == sessions
    assert await audit_of(rest, bob.id) == [("user.suspend", ada.id, WHY["reason"])]


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Refused(Code.NOT_FOUND, "There is no such live call."),
        Refused(Code.UNAVAILABLE, "Its node does not answer."),
        Unavailable(),
        TimeoutError(),
    ],
)
async def test_a_suspension_ends_the_live_call_and_promises_to_try_again(
    rest: Rest,
    ada: Person,
    bob: Person,
    pool: Pool,
    clock: FakeClock,
    ended: list[UUID],
    calls: Calls,
    fault: Exception | None,
) -> None:
    session = await log_in(pool, clock, bob)
    calls.fault = fault
    async with pool.acquire() as conn:
        call_id = await past_call(conn, bob.id, ada.id, ended=False)
        await conn.execute(
            "insert into call_slot (user_id, call_id) values ($1, $2)", bob.id, call_id
        )
    await rest.call("POST", f"{USERS}/{bob.id}/suspend", by=ada, json=WHY, status=200)
    assert calls.stopped == [call_id]
    assert ended == [session]
    assert await audit_of(rest, call_id) == [("call.end", ada.id, WHY["reason"])]
    async with pool.acquire() as conn:
        [job], _ = await jobs.list_jobs(conn, None, sanctions.END_CALL_JOB, 10, 0)
        assert job.state is JobState.WAITING
    ended.clear()
    await rest.call("POST", f"{USERS}/{bob.id}/restore", by=ada, json=WHY, status=200)
    assert calls.stopped == [call_id], "who may talk again may do so"


async def test_a_restored_account_is_active_again(rest: Rest, ada: Person, bob: Person) -> None:
    for verb, status in (("suspend", "suspended"), ("restore", "active"), ("restore", "active")):
        answer = await rest.call("POST", f"{USERS}/{bob.id}/{verb}", by=ada, json=WHY, status=200)
        assert answer.body["user"]["status"] == status
    assert [line[0] for line in await audit_of(rest, bob.id)] == ["user.suspend", "user.restore"]


async def test_admins_do_not_suspend_themselves(rest: Rest, ada: Person) -> None:
    answer = await rest.call("POST", f"{USERS}/{ada.id}/suspend", by=ada, json=WHY, status=403)
    assert answer.error == "SELF_SUSPENSION"


async def test_a_deleted_account_stays_deleted(
    rest: Rest, ada: Person, bob: Person, pool: Pool
) -> None:
    await pool.execute("update users set status = 'deleted' where id = $1", bob.id)
    for verb in ("suspend", "restore"):
        answer = await rest.call("POST", f"{USERS}/{bob.id}/{verb}", by=ada, json=WHY, status=409)
        assert answer.error == "WRONG_STATE"


async def test_others_learn_nothing(rest: Rest, bob: Person) -> None:
    for method, path, body in (
        ("GET", USERS, None),
        ("GET", f"{USERS}/{bob.id}", None),
        ("POST", f"{USERS}/{bob.id}/suspend", WHY),
        ("POST", f"{USERS}/{bob.id}/restore", WHY),
    ):
        answer = await rest.call(method, path, by=bob, json=body, status=403)
        assert answer.error == "FORBIDDEN"


async def test_an_account_that_is_not_there_is_not_found(rest: Rest, ada: Person) -> None:
    for method, more, body in (("GET", "", None), ("POST", "/suspend", WHY)):
        answer = await rest.call(method, f"{USERS}/{new_id()}{more}", by=ada, json=body, status=404)
        assert answer.error == "USER_NOT_FOUND"


async def test_wrong_input_names_its_field(rest: Rest, ada: Person, bob: Person) -> None:
    for query, field in (("q=", "q"), ("role=boss", "role"), ("status=gone", "status")):
        answer = await rest.call("GET", f"{USERS}?{query}", by=ada, status=400)
        assert (answer.error, answer.body["details"]["field"]) == ("INVALID_FILTER", field)
    for body in ({}, {"reason": ""}, {"reason": "x" * 201}):
        answer = await rest.call("POST", f"{USERS}/{bob.id}/suspend", by=ada, json=body, status=400)
        assert answer.body["details"]["field"] == "reason"
