from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from rest.providers.routes import ProviderRoutes
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import FakeClock, Person, Rest


class Presence:
    """Who is connected and who is in a call, as the engine would say."""

    def __init__(self) -> None:
        self.connected: set[UUID] = set()
        self.in_call: set[UUID] = set()
        self.told: list[UUID] = []

    def of(self, user_id: UUID, stored: str) -> str:
        if stored == "offline" or user_id not in self.connected:
            return "offline"
        return "busy" if user_id in self.in_call else stored


@pytest.fixture
def presence() -> Presence:
    return Presence()


@pytest.fixture
async def rest(start: Start, pool: Pool, clock: FakeClock, presence: Presence) -> Rest:
    return await start(
        ProviderRoutes(
            pool,
            clock=clock,
            presence_of=presence.of,
            presence_changed=presence.told.append,
        )
    )


async def provider(rest: Rest, name: str = "Ann", **change: Any) -> Person:
    person = await rest.person(name)
    body = {"pricePerMinute": 120} | change
    await rest.call("PUT", "/otomo/profile", by=person, json=body, status=200)
    return person


async def set_status(rest: Rest, by: Person, online: bool, available: bool, **more: Any) -> Any:
    body = {"isOnline": online, "isAvailable": available} | more
    return (await rest.call("PUT", "/otomo/status", by=by, json=body, status=200)).body["otomo"]


async def names(rest: Rest, by: Person, query: str = "") -> list[str]:
    body = (await rest.call("GET", f"/otomo/list{query}", by=by, status=200)).body
    return [each["displayName"] for each in body["items"]]


@pytest.mark.parametrize("path", ["/otomo/profile", "/providers/profile"])
async def test_a_first_profile_makes_a_companion(rest: Rest, path: str) -> None:
    ann = await rest.person("Ann")
    body = {
        "displayName": "Annie",
        "introduction": "hello",
        "tariff": "second",
        "pricePerMinute": 120,
        "priceVideo": 200,
        "genres": ["talk"],
        "tags": ["kind"],
    }
    made = (await rest.call("PUT", path, by=ann, json=body, status=200)).body["otomo"]
    assert made["statusUpdatedAt"].endswith("Z")
    assert made | {"statusUpdatedAt": ""} == {
        "otomoId": str(ann.id),
        "displayName": "Annie",
        "profileImageUrl": None,
        "age": None,
        "gender": None,
        "genres": ["talk"],
        "presence": "offline",
        "isOnline": False,
        "isAvailable": False,
        "tariff": "second",
        "currency": "PTS",
        "pricePerMinute": 120,
        "priceAudio": 120,
        "priceVideo": 200,
        "rating": 0.0,
        "reviewCount": 0,
        "introduction": "hello",
        "tags": ["kind"],
        "statusMessage": None,
        "statusUpdatedAt": "",
        "reviews": [],
        "schedule": [],
    }
    roles = await rest.pool.fetchval("select roles from users where id = $1", ann.id)
    assert roles == ["customer", "companion"]


async def test_a_later_change_keeps_the_rest(rest: Rest) -> None:
    ann = await provider(rest, genres=["talk"], priceVideo=200)
    change = {"priceAudio": 60}
    made = (await rest.call("PUT", "/otomo/profile", by=ann, json=change, status=200)).body["otomo"]
    assert (made["priceAudio"], made["priceVideo"], made["genres"]) == (60, 200, ["talk"])
    roles = await rest.pool.fetchval("select roles from users where id = $1", ann.id)
    assert roles == ["customer", "companion"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "INVALID_PRICE", "pricePerMinute"),
        ({"pricePerMinute": -1}, "INVALID_PRICE", "pricePerMinute"),
        ({"pricePerMinute": 1.5}, "INVALID_PRICE", "pricePerMinute"),
        ({"pricePerMinute": "120"}, "INVALID_PRICE", "pricePerMinute"),
        ({"pricePerMinute": True}, "INVALID_PRICE", "pricePerMinute"),
        ({"priceAudio": 10**9 + 1}, "INVALID_PRICE", "priceAudio"),
        ({"priceVideo": 2**63}, "INVALID_PRICE", "priceVideo"),
        ({"pricePerMinute": 1, "tariff": "hour"}, "INVALID_TARIFF", "tariff"),
        ({"pricePerMinute": 1, "displayName": " "}, "INVALID_NAME", "displayName"),
        ({"pricePerMinute": 1, "displayName": "x" * 51}, "INVALID_NAME", "displayName"),
        ({"pricePerMinute": 1, "introduction": "a\0"}, "INVALID_INTRODUCTION", "introduction"),
        ({"pricePerMinute": 1, "introduction": "a\x1b"}, "INVALID_INTRODUCTION", "introduction"),
        ({"pricePerMinute": 1, "genres": "talk"}, "INVALID_GENRES", "genres"),
        ({"pricePerMinute": 1, "genres": [""]}, "INVALID_GENRES", "genres[0]"),
        ({"pricePerMinute": 1, "tags": ["x"] * 21}, "INVALID_TAGS", "tags"),
        ({"pricePerMinute": 1, "shareBps": 10_000}, "INVALID_PAYLOAD", "shareBps"),
        ({"pricePerMinute": 1, "ratingSum": 5}, "INVALID_PAYLOAD", "ratingSum"),
    ],
)
async def test_wrong_profiles_are_refused(
    rest: Rest, body: dict[str, object], code: str, field: str
) -> None:
    ann = await rest.person("Ann")
    answer = await rest.call("PUT", "/otomo/profile", by=ann, json=body, status=400)
    assert answer.error == code
    assert answer.body["details"]["field"] == field
    assert await rest.pool.fetchval("select count(*) from provider") == 0


async def test_a_deleted_account_makes_no_profile(rest: Rest) -> None:
    ann = await rest.person("Ann")
    await rest.pool.execute("update users set status = 'deleted'")
    body = {"pricePerMinute": 1}
    answer = await rest.call("PUT", "/otomo/profile", by=ann, json=body, status=404)
    assert answer.error == "USER_NOT_FOUND"


async def test_a_status_by_hand_is_shown_while_connected(rest: Rest, presence: Presence) -> None:
    ann = await provider(rest)
    presence.connected.add(ann.id)
    for online, available, shown in [
        (True, True, "online"),
        (True, False, "break"),
        (False, False, "offline"),
        (True, True, "online"),
    ]:
        assert (await set_status(rest, ann, online, available))["presence"] == shown
    assert presence.told == [ann.id] * 4
    presence.in_call.add(ann.id)
    detail = (await rest.call("GET", f"/otomo/{ann.id}", by=ann, status=200)).body["otomo"]
    assert (detail["presence"], detail["isOnline"], detail["isAvailable"]) == ("busy", True, False)
    presence.in_call.clear()
    presence.connected.clear()
    detail = (await rest.call("GET", f"/providers/{ann.id}", by=ann, status=200)).body["otomo"]
    assert (detail["presence"], detail["isOnline"], detail["isAvailable"]) == (
        "offline",
        False,
        False,
    )


async def test_a_status_message_stays_until_it_is_emptied(rest: Rest) -> None:
    ann = await provider(rest)
    assert (await set_status(rest, ann, True, True, statusMessage="hi"))["statusMessage"] == "hi"
    assert (await set_status(rest, ann, False, False))["statusMessage"] == "hi"
    assert (await set_status(rest, ann, True, True, statusMessage=" "))["statusMessage"] is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_STATUS"),
        ({"isOnline": "yes"}, "INVALID_STATUS"),
        ({"isOnline": 1}, "INVALID_STATUS"),
        ({"isOnline": True, "isAvailable": None}, "INVALID_STATUS"),
        ({"isOnline": True, "statusMessage": "x" * 141}, "INVALID_STATUS_MESSAGE"),
        ({"isOnline": True, "statusMessage": "a\0"}, "INVALID_STATUS_MESSAGE"),
        ({"isOnline": True, "otomoId": "me"}, "INVALID_OTOMO_ID"),
        ({"isOnline": True, "presence": "busy"}, "INVALID_PAYLOAD"),
    ],
)
async def test_wrong_statuses_are_refused(
    rest: Rest, presence: Presence, body: dict[str, object], code: str
) -> None:
    ann = await provider(rest)
    answer = await rest.call("PUT", "/otomo/status", by=ann, json=body, status=400)
    assert answer.error == code
    assert presence.told == []


async def test_who_is_no_provider_has_no_status(rest: Rest, presence: Presence) -> None:
    ann = await rest.person("Ann")
    answer = await rest.call("PUT", "/otomo/status", by=ann, json={"isOnline": True}, status=404)
    assert answer.error == "OTOMO_NOT_FOUND"
    assert presence.told == []


async def test_only_the_owner_and_an_admin_set_a_status(rest: Rest, presence: Presence) -> None:
    ann, eve = await provider(rest), await provider(rest, "Eve")
    admin = await rest.person("Root", roles=("customer", "admin"))
    body = {"isOnline": True, "isAvailable": True, "otomoId": str(ann.id)}
    answer = await rest.call("PUT", "/otomo/status", by=eve, json=body, status=403)
    assert answer.error == "FORBIDDEN"
    assert presence.told == []
    await rest.call("PUT", "/otomo/status", by=ann, json=body, status=200)
    await rest.call("PUT", "/otomo/status", by=admin, json=body, status=200)
    assert presence.told == [ann.id, ann.id]


async def test_the_directory_is_filtered_by_live_presence_and_paged(
    rest: Rest, presence: Presence
) -> None:
    people = [await provider(rest, f"P{n}", genres=["odd" if n % 2 else "even"]) for n in range(6)]
    for person in people[:4]:
        await set_status(rest, person, True, True)
    presence.connected |= {person.id for person in people[:3]}
    presence.in_call.add(people[0].id)
    me = people[5]
    assert set(await names(rest, me)) == {f"P{n}" for n in range(6)}
    assert set(await names(rest, me, "?isOnline=true")) == {"P0", "P1", "P2"}
    assert set(await names(rest, me, "?isOnline=false")) == {"P3", "P4", "P5"}
    assert set(await names(rest, me, "?isOnline=true&genre=even")) == {"P0", "P2"}
    page = (await rest.call("GET", "/otomo/list?limit=4&offset=4", by=me, status=200)).body
    assert (page["total"], page["limit"], page["offset"], len(page["items"])) == (6, 4, 4, 2)
    pages = [await names(rest, me, f"?limit=2&page={n}") for n in (1, 2, 3, 4)]
    assert sorted(name for each in pages for name in each) == [f"P{n}" for n in range(6)]


async def test_the_directory_knows_ages(rest: Rest, clock: FakeClock) -> None:
    ann = await provider(rest)
    # The clock of the test stands at 15 January 2027.
    await rest.pool.execute("update users set birthday = '2007-01-15'")
    assert await names(rest, ann, "?minAge=20&maxAge=20") == ["Ann"]
    assert await names(rest, ann, "?minAge=21") == []
    listed = (await rest.call("GET", "/providers/list", by=ann, status=200)).body["items"]
    assert listed[0]["age"] == 20
    clock.move(-86_400_000)
    assert await names(rest, ann, "?minAge=20") == []


async def test_a_rating_is_an_average(rest: Rest) -> None:
    ann = await provider(rest)
    await rest.pool.execute("update provider set rating_sum = 14, rating_count = 3")
    detail = (await rest.call("GET", f"/otomo/{ann.id}", by=ann, status=200)).body["otomo"]
    assert (detail["rating"], detail["reviewCount"]) == (4.67, 3)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("minAge=30&maxAge=20", "INVALID_FILTER"),
        ("minAge=-1", "INVALID_FILTER"),
        ("minAge=x", "INVALID_FILTER"),
        ("isOnline=maybe", "INVALID_FILTER"),
        ("genre=", "INVALID_FILTER"),
        ("limit=51", "INVALID_LIMIT"),
        ("limit=0", "INVALID_LIMIT"),
        ("offset=-1", "INVALID_OFFSET"),
        ("sort=price", "INVALID_QUERY"),
    ],
)
async def test_wrong_filters_are_refused(rest: Rest, query: str, code: str) -> None:
    ann = await rest.person("Ann")
    answer = await rest.call("GET", f"/otomo/list?{query}", by=ann, status=400)
    assert answer.error == code


async def test_who_is_no_provider_has_no_page(rest: Rest) -> None:
    ann = await rest.person("Ann")
    for wanted in (ann.id, new_id()):
        answer = await rest.call("GET", f"/otomo/{wanted}", by=ann, status=404)
        assert answer.error == "OTOMO_NOT_FOUND"
    await rest.call("GET", "/otomo/me", by=ann, status=404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/otomo/profile"),
        ("PUT", "/otomo/status"),
        ("GET", "/otomo/list"),
        ("GET", f"/otomo/{new_id()}"),
    ],
)
async def test_without_a_token_there_is_nothing(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, json={}, status=401)
