"""Registering devices for pushes, seeing them, and letting them sleep."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from rest.devices.routes import DeviceRoutes, PushTerms
from storage import credentials, devices
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import START_MS, Person, Rest

TOKEN = "fGx2yP0LQ0u7:APA91bH-long-enough-for-a-hint"
PHONE = {"deviceId": "phone", "platform": "android", "provider": "fcm", "token": TOKEN}
BROWSER = {
    "deviceId": "tab",
    "platform": "web",
    "provider": "webpush",
    "subscription": {
        "endpoint": "https://push.example/send/secret",
        "expirationTime": None,
        "keys": {
            "p256dh": base64.urlsafe_b64encode(b"\4" + b"k" * 64).decode(),
            "auth": base64.urlsafe_b64encode(b"a" * 16).decode(),
        },
    },
}
TERMS = PushTerms(
    providers=frozenset({"fcm", "webpush"}), vapid_public_key="a key", hosts=("push.example",)
)


@pytest.fixture
async def rest(start: Start, pool: Pool) -> Rest:
    return await start(DeviceRoutes(pool, TERMS))


async def logged_in(rest: Rest, name: str = "Ann") -> Person:
    """With a session that is in the database, as after a log-in."""
    person = await rest.person(name)
    async with rest.pool.acquire() as conn:
        await credentials.open_session(
            conn,
            session_id=person.session_id,
            user_id=person.id,
            refresh_hash=person.session_id.bytes * 2,
            now_ms=START_MS,
            idle_ms=60_000,
            lifetime_ms=60_000,
        )
    return person


async def listed(rest: Rest, person: Person) -> list[dict[str, Any]]:
    answer = await rest.call("GET", "/devices/push", by=person, status=200)
    found: list[dict[str, Any]] = answer.body["devices"]
    return found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/devices/push"),
        ("GET", "/devices/push"),
        ("DELETE", f"/devices/push/{new_id()}"),
    ],
)
async def test_without_a_token_there_is_nothing(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, status=401)


async def test_a_device_registers_and_is_listed_without_its_token(rest: Rest) -> None:
    ann = await logged_in(rest)
    first = (await rest.call("POST", "/devices/push", by=ann, json=PHONE, status=200)).body
    again = (await rest.call("POST", "/devices/push", by=ann, json=PHONE, status=200)).body
    assert again["device"]["id"] == first["device"]["id"]
    assert first["device"]["tokenHint"] == TOKEN[-6:]
    browser = await rest.call("POST", "/devices/push", by=ann, json=BROWSER, status=200)
    found = await rest.call("GET", "/devices/push", by=ann, status=200)
    assert [each["deviceId"] for each in found.body["devices"]] == ["tab", "phone"]
    for answer in (browser, found):
        assert TOKEN.encode() not in answer.raw
        assert b"secret" not in answer.raw


async def test_devices_are_their_owner_s_alone(rest: Rest) -> None:
    ann, bo = await logged_in(rest), await logged_in(rest, "Bo")
    made = (await rest.call("POST", "/devices/push", by=ann, json=PHONE, status=200)).body
    path = f"/devices/push/{made['device']['id']}"
    answer = await rest.call("DELETE", path, by=bo, status=404)
    assert answer.error == "DEVICE_NOT_FOUND"
    assert await listed(rest, bo) == []
    await rest.call("DELETE", path, by=ann, status=200)
    assert await listed(rest, ann) == []
    await rest.call("DELETE", path, by=ann, status=404)


async def test_a_phone_with_another_login_is_the_other_s(rest: Rest) -> None:
    ann, bo = await logged_in(rest), await logged_in(rest, "Bo")
    await rest.call("POST", "/devices/push", by=ann, json=PHONE, status=200)
    await rest.call("POST", "/devices/push", by=bo, json=PHONE, status=200)
    assert await listed(rest, ann) == []
    assert len(await listed(rest, bo)) == 1


async def test_a_session_that_is_over_registers_nothing(rest: Rest) -> None:
    ann = await logged_in(rest)
    async with rest.pool.acquire() as conn:
        await credentials.revoke_session(conn, ann.session_id, why="logout", now_ms=START_MS)
    answer = await rest.call("POST", "/devices/push", by=ann, json=PHONE, status=401)
    assert answer.error == "UNAUTHORIZED"
    async with rest.pool.acquire() as conn:
        assert await devices.list_of(conn, ann.id) == []


async def test_what_the_server_does_not_push_by_is_not_registered(rest: Rest) -> None:
    ann = await logged_in(rest)
    body = {**PHONE, "provider": "webhook"}
    answer = await rest.call("POST", "/devices/push", by=ann, json=body, status=409)
    assert (answer.error, answer.body["details"]) == ("PUSH_NOT_OFFERED", {"field": "provider"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"platform": "windows"}, "platform"),
        ({"provider": "pigeon"}, "provider"),
        ({"deviceId": ""}, "deviceId"),
        ({"deviceId": "a b"}, "deviceId"),
        ({"token": "x" * 4_097}, "token"),
        ({"token": None}, "token"),
        ({"userId": "x"}, "userId"),
    ],
)
async def test_a_wrong_field_is_named(rest: Rest, changes: dict[str, Any], field: str) -> None:
    ann = await logged_in(rest)
    answer = await rest.call("POST", "/devices/push", by=ann, json=PHONE | changes, status=400)
    assert answer.body["details"] == {"field": field}


async def test_an_endpoint_elsewhere_is_refused(rest: Rest) -> None:
    ann = await logged_in(rest)
    for endpoint in (
        "https://169.254.169.254/latest",
        "https://evil.example/",
        "http://push.example/",
    ):
        subscription = BROWSER["subscription"] | {"endpoint": endpoint}  # type: ignore[operator]
        body = BROWSER | {"subscription": subscription}
        answer = await rest.call("POST", "/devices/push", by=ann, json=body, status=400)
        assert answer.body["details"] == {"field": "subscription.endpoint"}


async def test_anybody_may_ask_by_what_is_pushed(rest: Rest, start: Start, pool: Pool) -> None:
    answer = await rest.call("GET", "/devices/push/options", status=200)
    assert answer.body == {
        "success": True,
        "providers": ["fcm", "webpush"],
        "vapidPublicKey": "a key",
    }
    without = await start(DeviceRoutes(pool, PushTerms()))
    answer = await without.call("GET", "/devices/push/options", status=200)
    assert answer.body == {"success": True, "providers": [], "vapidPublicKey": None}
