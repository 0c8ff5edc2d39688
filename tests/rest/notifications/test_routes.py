from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import pytest

from rest.http.idempotency import Idempotency
from rest.notifications.announce import JOB
from rest.notifications.routes import NotificationRoutes
from signalling.events import Event, NotificationsRead
from storage import notifications
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Person, Rest


@dataclass
class Heard:
    """What the users' devices were told."""

    events: list[tuple[UUID, Event]] = field(default_factory=list)

    def __call__(self, user_id: UUID, event: Event) -> None:
        self.events.append((user_id, event))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def rest(start: Start, pool: Pool, heard: Heard) -> Rest:
    return await start(NotificationRoutes(pool, idempotency=Idempotency(pool), tell=heard))


@pytest.fixture
async def ann(rest: Rest) -> Person:
    return await rest.person()


@pytest.fixture
async def admin(rest: Rest) -> Person:
    return await rest.person("Ada", roles=("customer", "admin"))


async def tell(rest: Rest, person: Person, *messages: str, type: str = "NEWS") -> None:
    async with rest.pool.acquire() as conn, conn.transaction():
        for message in messages:
            await notifications.add(
                conn, user_id=person.id, type=type, message=message, source=message
            )


async def inbox(rest: Rest, person: Person, query: str = "") -> list[str]:
    answer = await rest.call("GET", f"/notifications{query}", by=person, status=200)
    return [each["message"] for each in answer.body["items"]]


async def id_of(rest: Rest, message: str) -> str:
    return str(await rest.pool.fetchval("select id from notification where message = $1", message))


async def test_an_inbox_is_its_owner_s_newest_first_with_its_counts(
    rest: Rest, ann: Person
) -> None:
    ben = await rest.person("Ben")
    await tell(rest, ann, "one", "two", "three")
    await tell(rest, ben, "for Ben")
    page = (await rest.call("GET", "/notifications?limit=2", by=ann, status=200)).body
    assert [each["message"] for each in page["items"]] == ["three", "two"]
    assert (page["total"], page["unreadCount"], page["limit"], page["offset"]) == (3, 3, 2, 0)
    item = page["items"][0]
    assert item.pop("createdAt").endswith("Z")
    assert item == {
        "id": await id_of(rest, "three"),
        "type": "NEWS",
        "message": "three",
        "relatedEntityType": None,
        "relatedEntityId": None,
        "isRead": False,
    }
    assert await inbox(rest, ann, "?limit=2&page=2") == ["one"]
    assert await inbox(rest, ann, "?offset=2") == ["one"]
    assert await inbox(rest, ben) == ["for Ben"]


async def test_filters_choose_and_the_unread_count_stays_that_of_all(
    rest: Rest, ann: Person
) -> None:
    await tell(rest, ann, "old", "new")
    await tell(rest, ann, "ring", type="MISSED_CALL")
    await rest.call("PATCH", f"/notifications/{await id_of(rest, 'old')}/read", by=ann, status=200)
    assert await inbox(rest, ann, "?unreadOnly=true") == ["ring", "new"]
    assert await inbox(rest, ann, "?unreadOnly=false&type=NEWS") == ["new", "old"]
    page = await rest.call("GET", "/notifications?unreadOnly=true&type=NEWS", by=ann, status=200)
    assert (page.body["total"], page.body["unreadCount"]) == (1, 2)
    assert await inbox(rest, ann, "?type=NOTHING") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "INVALID_LIMIT"),
        ("limit=101", "INVALID_LIMIT"),
        ("page=1&offset=0", "INVALID_PAGE"),
        ("unreadOnly=maybe", "INVALID_FILTER"),
        ("type=missed_call", "INVALID_FILTER"),
        (f"type={'A' * 41}", "INVALID_FILTER"),
        ("userId=1", "INVALID_QUERY"),
    ],
)
async def test_a_wrong_query_is_named(rest: Rest, ann: Person, query: str, code: str) -> None:
    answer = await rest.call("GET", f"/notifications?{query}", by=ann, status=400)
    assert answer.error == code
    assert answer.body["details"]["field"] in query


async def test_reading_one_is_told_to_all_devices_and_may_be_repeated(
    rest: Rest, ann: Person, heard: Heard
) -> None:
    await tell(rest, ann, "one", "two")
    path = f"/notifications/{await id_of(rest, 'one')}/read"
    first = await rest.call("PATCH", path, by=ann, status=200)
    assert first.body["notification"]["isRead"] is True
    assert first.body["unreadCount"] == 1
    assert heard.events == [(ann.id, NotificationsRead(unread_count=1))]
    at = await rest.pool.fetchval("select read_at from notification where message = 'one'")
    again = await rest.call("PATCH", path, by=ann, status=200)
    assert again.body == first.body
    assert at == await rest.pool.fetchval("select read_at from notification where message = 'one'")
    counted = await rest.call("GET", "/notifications/unread-count", by=ann, status=200)
    assert counted.body == {"success": True, "unreadCount": 1}


async def test_nobody_reads_or_deletes_what_is_another_s(
    rest: Rest, ann: Person, heard: Heard
) -> None:
    ben = await rest.person("Ben")
    await tell(rest, ann, "mine")
    for foreign in (await id_of(rest, "mine"), str(new_id())):
        for method, path in (("PATCH", f"{foreign}/read"), ("DELETE", foreign)):
            answer = await rest.call(method, f"/notifications/{path}", by=ben, status=404)
            assert answer.error == "NOTIFICATION_NOT_FOUND"
        body = {"upTo": foreign}
        answer = await rest.call("POST", "/notifications/read-all", by=ben, json=body, status=404)
        assert answer.error == "NOTIFICATION_NOT_FOUND"
        assert answer.body["details"] == {"field": "upTo"}
    assert heard.events == []
    assert await inbox(rest, ann, "?unreadOnly=true") == ["mine"]


async def test_reading_all_spares_what_was_not_shown_yet(
    rest: Rest, ann: Person, heard: Heard
) -> None:
    await tell(rest, ann, "one", "two", "three")
    body = {"upTo": await id_of(rest, "two")}
    answer = await rest.call("POST", "/notifications/read-all", by=ann, json=body, status=200)
    assert answer.body == {"success": True, "readCount": 2, "unreadCount": 1}
    assert await inbox(rest, ann, "?unreadOnly=true") == ["three"]
    # Without a body all is read.
    answer = await rest.call("POST", "/notifications/read-all", by=ann, status=200)
    assert answer.body == {"success": True, "readCount": 1, "unreadCount": 0}
    assert heard.events[-1] == (ann.id, NotificationsRead(unread_count=0))
    body = {"upTo": "newest"}
    answer = await rest.call("POST", "/notifications/read-all", by=ann, json=body, status=400)
    assert answer.error == "INVALID_NOTIFICATION_ID"


async def test_two_who_read_all_at_once_count_each_row_once(rest: Rest, ann: Person) -> None:
    await tell(rest, ann, *(str(n) for n in range(20)))
    answers = await asyncio.gather(
        *(rest.call("POST", "/notifications/read-all", by=ann, status=200) for _ in range(3))
    )
    assert sum(answer.body["readCount"] for answer in answers) == 20


async def test_what_is_deleted_is_gone(rest: Rest, ann: Person, heard: Heard) -> None:
    await tell(rest, ann, "one", "two")
    path = f"/notifications/{await id_of(rest, 'one')}"
    answer = await rest.call("DELETE", path, by=ann, status=200)
    assert answer.body == {"success": True, "unreadCount": 1}
    assert heard.events == [(ann.id, NotificationsRead(unread_count=1))]
    await rest.call("DELETE", path, by=ann, status=404)
    assert await inbox(rest, ann) == ["two"]


async def test_an_announcement_is_promised_once_for_each_key(rest: Rest, admin: Person) -> None:
    body = {"title": "Summer", "message": "Twice the bonus.", "userIds": [str(admin.id)]}
    answers = [
        await rest.call(
            "POST",
            "/notifications/announce",
            by=admin,
            json=body,
            headers={"Idempotency-Key": "summer"},
            status=202,
        )
        for _ in range(2)
    ]
    assert answers[0].body == answers[1].body
    shown = answers[0].body["announcement"]
    assert (shown["message"], shown["category"]) == ("Summer: Twice the bonus.", "marketing")
    [row] = await rest.pool.fetch("select entrypoint, payload from pgqueuer")
    assert row["entrypoint"] == JOB
    assert msgspec.json.decode(row["payload"]) == {
        "id": shown["id"],
        "message": "Summer: Twice the bonus.",
        "category": "marketing",
        "user_ids": [str(admin.id)],
        "after": str(UUID(int=0)),
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_MESSAGE"),
        ({"message": ""}, "INVALID_MESSAGE"),
        ({"message": "x" * 401}, "INVALID_MESSAGE"),
        ({"message": "x\0"}, "INVALID_MESSAGE"),
        ({"message": "x", "title": ""}, "INVALID_TITLE"),
        ({"message": "x", "category": "wallet_alert"}, "INVALID_CATEGORY"),
        ({"message": "x", "userIds": []}, "INVALID_USER_IDS"),
        ({"message": "x", "userIds": [str(new_id())] * 501}, "INVALID_USER_IDS"),
        ({"message": "x", "userIds": ["ann"]}, "INVALID_USER_IDS"),
        ({"message": "x", "type": "PAYMENT_COMPLETED"}, "INVALID_PAYLOAD"),
    ],
)
async def test_a_wrong_announcement_is_refused(
    rest: Rest, admin: Person, body: object, code: str
) -> None:
    answer = await rest.call("POST", "/notifications/announce", by=admin, json=body, status=400)
    assert answer.error == code
    assert await rest.pool.fetchval("select count(*) from pgqueuer") == 0


async def test_only_an_admin_announces(rest: Rest, ann: Person) -> None:
    body = {"message": "x"}
    await rest.call("POST", "/notifications/announce", by=ann, json=body, status=403)
    await rest.call("POST", "/notifications/announce", json=body, status=401)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/notifications"),
        ("GET", "/notifications/unread-count"),
        ("PATCH", f"/notifications/{new_id()}/read"),
        ("POST", "/notifications/read-all"),
        ("DELETE", f"/notifications/{new_id()}"),
    ],
)
async def test_an_inbox_opens_for_who_is_logged_in(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, status=401)
