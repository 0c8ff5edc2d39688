"""Webhooks by REST: for admins only, secrets once, deliveries with their attempts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from rest.operators.webhook_routes import WebhookRoutes
from storage import webhook_deliveries
from storage.ids import new_id
from storage.pool import Pool
from storage.webhook_deliveries import Attempt, News
from tests.rest.conftest import Start
from tests.rest.harness import Person, Rest

URL = "https://example.org/hook?key=hush"
ENDPOINTS, DELIVERIES = "/webhooks/endpoints", "/webhooks/deliveries"


class Changes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def rest(start: Start, pool: Pool, changes: Changes) -> Rest:
    return await start(WebhookRoutes(pool, strict=True, changed=changes))


@pytest.fixture
async def admin(rest: Rest) -> Person:
    return await rest.person("Root", roles=["customer", "admin"])


async def create(rest: Rest, admin: Person, **fields: Any) -> dict[str, Any]:
    answer = await rest.call("POST", ENDPOINTS, by=admin, json={"url": URL, **fields}, status=201)
    return answer.body


async def promise(pool: Pool, call_id: UUID | None = None) -> UUID:
    """An event for every endpoint; its id."""
    news = News(new_id(), "call.ended", call_id, '{"type":"call.ended"}')
    async with pool.acquire() as conn, conn.transaction():
        await webhook_deliveries.add(conn, [news])
    return news.event_id


async def test_an_endpoint_is_made_and_its_secret_shown_once(
    rest: Rest, admin: Person, changes: Changes
) -> None:
    made = await create(rest, admin, events=["call.settled", "call.ended", "call.ended"])
    assert made["secret"].startswith("whsec_")
    endpoint = made["endpoint"]
    assert (endpoint["url"], endpoint["events"]) == (URL, ["call.ended", "call.settled"])
    assert (endpoint["disabled"], endpoint["disabledBy"]) == (False, None)
    assert changes.count == 1
    answer = await rest.call("GET", ENDPOINTS, by=admin, status=200)
    assert answer.body["items"] == [endpoint]
    assert b"whsec_" not in answer.raw


async def test_an_endpoint_may_begin_disabled(rest: Rest, admin: Person) -> None:
    made = await create(rest, admin, disabled=True)
    assert (made["endpoint"]["disabled"], made["endpoint"]["disabledBy"]) == (True, "operator")


async def test_an_endpoint_is_changed_field_by_field(
    rest: Rest, admin: Person, changes: Changes
) -> None:
    path = f"{ENDPOINTS}/{(await create(rest, admin, events=['call.ended']))['endpoint']['id']}"
    for change, field, value in (
        ({"url": "https://example.org/b"}, "url", "https://example.org/b"),
        ({"events": []}, "events", []),
        ({"disabled": True}, "disabledBy", "operator"),
        ({"disabled": False}, "disabled", False),
        ({}, "url", "https://example.org/b"),
    ):
        answer = await rest.call("PATCH", path, by=admin, json=change, status=200)
        assert answer.body["endpoint"][field] == value
    assert changes.count == 6


async def test_a_deleted_endpoint_is_not_found(rest: Rest, admin: Person) -> None:
    path = f"{ENDPOINTS}/{(await create(rest, admin))['endpoint']['id']}"
    await rest.call("DELETE", path, by=admin, status=200)
    for method, more, body in (
        ("DELETE", "", None),
        ("PATCH", "", {}),
        ("POST", "/secret", None),
        ("POST", "/test", None),
    ):
        answer = await rest.call(method, path + more, by=admin, json=body, status=404)
        assert answer.error == "ENDPOINT_NOT_FOUND"


async def test_there_are_ten_endpoints_at_most(rest: Rest, admin: Person) -> None:
    for _ in range(10):
        await create(rest, admin)
    answer = await rest.call("POST", ENDPOINTS, by=admin, json={"url": URL}, status=409)
    assert answer.error == "TOO_MANY_ENDPOINTS"


@pytest.mark.parametrize("url", ["http://example.org/", "https://127.0.0.1/", "https://10.0.0.1/"])
async def test_in_production_only_the_public_net_is_told_and_by_tls(
    rest: Rest, admin: Person, url: str
) -> None:
    made = await create(rest, admin)
    for method, path in (("POST", ENDPOINTS), ("PATCH", f"{ENDPOINTS}/{made['endpoint']['id']}")):
        answer = await rest.call(method, path, by=admin, json={"url": url}, status=400)
        assert (answer.error, answer.body["details"]["field"]) == ("INVALID_WEBHOOK_URL", "url")


async def test_in_development_this_host_is_told_too(start: Start, pool: Pool) -> None:
    rest = await start(WebhookRoutes(pool, strict=False))
    admin = await rest.person("Root", roles=["customer", "admin"])
    await create(rest, admin, url="http://127.0.0.1:9000/hook")


async def test_wrong_input_names_its_field(rest: Rest, admin: Person) -> None:
    for body, field in (
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": URL, "events": ["call.lost"]}, "events[0]"),
        ({"url": URL, "secret": "whsec_"}, "secret"),
    ):
        answer = await rest.call("POST", ENDPOINTS, by=admin, json=body, status=400)
        assert answer.body["details"]["field"] == field
    answer = await rest.call("GET", f"{DELIVERIES}?status=lost", by=admin, status=400)
    assert (answer.error, answer.body["details"]["field"]) == ("INVALID_FILTER", "status")


async def test_a_new_secret_is_shown_once_and_the_old_one_is_told_of(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    made = await create(rest, admin)
    path = f"{ENDPOINTS}/{made['endpoint']['id']}/secret"
    answer = await rest.call("POST", path, by=admin, status=200)
    assert answer.body["secret"] not in ("", made["secret"])
    assert answer.body["endpoint"]["oldSecretUntil"] is not None
    assert await pool.fetchval("select old_secret from webhook_endpoint") == made["secret"]


async def test_a_test_event_is_sent_whatever_the_endpoint_wants(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    made = await create(rest, admin, events=["call.ended"])
    path = f"{ENDPOINTS}/{made['endpoint']['id']}"
    answer = await rest.call("POST", f"{path}/test", by=admin, status=202)
    shown = await rest.call("GET", f"{DELIVERIES}/{answer.body['deliveryId']}", by=admin)
    assert shown.body["delivery"]["type"] == "webhook.test"
    assert await pool.fetchval("select count(*) from pgqueuer") == 1
    await rest.call("PATCH", path, by=admin, json={"disabled": True}, status=200)
    answer = await rest.call("POST", f"{path}/test", by=admin, status=409)
    assert answer.error == "ENDPOINT_DISABLED"


async def test_deliveries_are_listed_by_filters_and_pages(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    first = (await create(rest, admin))["endpoint"]["id"]
    await create(rest, admin)
    call_id = new_id()
    await promise(pool)
    event_id = await promise(pool, call_id)
    for query, count in (
        ("", 4),
        (f"?endpointId={first}", 2),
        (f"?callId={call_id}", 2),
        (f"?callId={call_id}&endpointId={first}&status=waiting", 1),
        ("?status=failed", 0),
    ):
        answer = await rest.call("GET", DELIVERIES + query, by=admin, status=200)
        assert (len(answer.body["items"]), answer.body["total"]) == (count, count), query
    answer = await rest.call("GET", f"{DELIVERIES}?limit=1&page=2", by=admin, status=200)
    [item] = answer.body["items"]
    assert (item["eventId"], item["status"], answer.body["total"]) == (str(event_id), "waiting", 4)


async def test_a_delivery_is_shown_with_its_attempts_and_resent(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    await create(rest, admin)
    await promise(pool)
    delivery_id = await pool.fetchval("select id from webhook_delivery")
    async with pool.acquire() as conn, conn.transaction():
        due = await webhook_deliveries.find_due(conn, delivery_id, 0)
        assert due is not None
        failed = Attempt(31, 500, "status 500", "oops")
        await webhook_deliveries.settle(conn, due, failed, "failed")
    path = f"{DELIVERIES}/{delivery_id}"
    shown = (await rest.call("GET", path, by=admin, status=200)).body["delivery"]
    assert (shown["status"], shown["tries"], shown["dueAt"]) == ("failed", 1, None)
    [attempt] = shown["attempts"]
    del attempt["at"]
    assert attempt == {"tookMs": 31, "status": 500, "error": "status 500", "answer": "oops"}
    assert shown["body"] == '{"type":"call.ended"}'
    await rest.call("POST", f"{path}/resend", by=admin, status=200)
    shown = (await rest.call("GET", path, by=admin, status=200)).body["delivery"]
    assert (shown["status"], shown["tries"], len(shown["attempts"])) == ("waiting", 0, 1)


async def test_what_is_not_there_or_disabled_is_not_resent(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    made = await create(rest, admin)
    await promise(pool)
    delivery_id = await pool.fetchval("select id from webhook_delivery")
    for more, method in (("", "GET"), ("/resend", "POST")):
        answer = await rest.call(method, f"{DELIVERIES}/{new_id()}{more}", by=admin, status=404)
        assert answer.error == "DELIVERY_NOT_FOUND"
    path = f"{ENDPOINTS}/{made['endpoint']['id']}"
    await rest.call("PATCH", path, by=admin, json={"disabled": True}, status=200)
    answer = await rest.call("POST", f"{DELIVERIES}/{delivery_id}/resend", by=admin, status=409)
    assert answer.error == "ENDPOINT_DISABLED"


async def test_what_operators_did_is_written_down_without_url_and_secret(
    rest: Rest, admin: Person, pool: Pool
) -> None:
    path = f"{ENDPOINTS}/{(await create(rest, admin))['endpoint']['id']}"
    await rest.call("POST", f"{path}/secret", by=admin, status=200)
    await rest.call("PATCH", path, by=admin, json={"disabled": True}, status=200)
    await rest.call("DELETE", path, by=admin, status=200)
    rows = await pool.fetch("select action, actor, details::text from audit_log order by id")
    assert [row["action"].removeprefix("webhook_") for row in rows] == [
        "endpoint_created",
        "secret_changed",
        "endpoint_changed",
        "endpoint_deleted",
    ]
    assert {row["actor"] for row in rows} == {admin.id}
    assert not any(word in str(dict(row)) for row in rows for word in ("hush", "whsec"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ENDPOINTS),
        ("POST", ENDPOINTS),
        ("PATCH", f"{ENDPOINTS}/{new_id()}"),
        ("DELETE", f"{ENDPOINTS}/{new_id()}"),
        ("POST", f"{ENDPOINTS}/{new_id()}/secret"),
        ("POST", f"{ENDPOINTS}/{new_id()}/test"),
        ("GET", DELIVERIES),
        ("GET", f"{DELIVERIES}/{new_id()}"),
        ("POST", f"{DELIVERIES}/{new_id()}/resend"),
    ],
)
async def test_nobody_else_is_let_in(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, status=401)
    answer = await rest.call(method, path, by=await rest.person(), status=403)
    assert answer.error == "FORBIDDEN"
