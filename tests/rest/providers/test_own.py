from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage.ids import new_id
from tests.rest.harness import START_MS, Rest
from tests.rest.providers.shop import SHARE_BPS, Presence, provider, set_status, talked

NOW = datetime.fromtimestamp(START_MS / 1000, UTC)


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


async def test_a_technician_with_a_profile_is_no_companion(rest: Rest) -> None:
    tom = await rest.person("Tom", roles=("customer", "technician"))
    body = {"pricePerMinute": 120}
    await rest.call("PUT", "/otomo/profile", by=tom, json=body, status=200)
    roles = await rest.pool.fetchval("select roles from users where id = $1", tom.id)
    assert roles == ["customer", "technician"]


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


async def test_a_status_may_be_a_single_word(rest: Rest, presence: Presence) -> None:
    ann = await provider(rest)
    presence.connected.add(ann.id)
    for word, shown in [
        ("online", "online"),
        ("away", "break"),
        ("offline", "offline"),
        ("break", "break"),
    ]:
        body = {"status": word}
        answer = await rest.call("PUT", "/otomo/status", by=ann, json=body, status=200)
        assert answer.body["otomo"]["presence"] == shown
    assert presence.told == [ann.id] * 4


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
        ({"isAvailable": True}, "INVALID_STATUS"),
        ({"status": "busy"}, "INVALID_STATUS"),
        ({"status": "there"}, "INVALID_STATUS"),
        ({"status": None}, "INVALID_STATUS"),
        ({"status": "online", "isOnline": True}, "INVALID_STATUS"),
        ({"status": "online", "isAvailable": True}, "INVALID_STATUS"),
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
    unknown = body | {"otomoId": str(new_id())}
    await rest.call("PUT", "/otomo/status", by=eve, json=unknown, status=403)
    answer = await rest.call("PUT", "/otomo/status", by=admin, json=unknown, status=404)
    assert answer.error == "OTOMO_NOT_FOUND"
    assert presence.told == [ann.id, ann.id]


async def test_owners_see_their_prices_and_their_share(rest: Rest) -> None:
    ann = await provider(rest, priceVideo=200)
    own = (await rest.call("GET", "/otomo/me", by=ann, status=200)).body["otomo"]
    assert (own["otomoId"], own["shareBps"]) == (str(ann.id), SHARE_BPS)
    assert (own["priceAudio"], own["priceVideo"]) == (120, 200)
    await rest.pool.execute("update provider set share_bps = 0")
    own = (await rest.call("GET", "/providers/me", by=ann, status=200)).body["otomo"]
    assert own["shareBps"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/otomo/me"),
        ("GET", "/otomo/schedule"),
        ("PUT", "/otomo/schedule"),
        ("GET", "/otomo/stats/summary"),
        ("GET", "/otomo/reviews"),
    ],
)
async def test_who_is_no_provider_has_nothing_of_their_own(
    rest: Rest, method: str, path: str
) -> None:
    ann = await rest.person("Ann")
    json: object = {"items": []} if method == "PUT" else None
    answer = await rest.call(method, path, by=ann, json=json, status=404)
    assert answer.error == "OTOMO_NOT_FOUND"


async def test_a_week_is_replaced_as_a_whole(rest: Rest) -> None:
    ann, eve = await provider(rest), await provider(rest, "Eve")
    late = {"dayOfWeek": 6, "start": "22:00", "end": "24:00"}
    noon = {"dayOfWeek": 0, "start": "09:30", "end": "12:00"}
    after = {"dayOfWeek": 0, "start": "12:00", "end": "12:01"}
    body = {"items": [late, after, noon]}
    saved = await rest.call("PUT", "/otomo/schedule", by=ann, json=body, status=200)
    assert saved.body["items"] == [noon, after, late]
    read = await rest.call("GET", "/providers/schedule", by=ann, status=200)
    assert read.body["items"] == [noon, after, late]
    assert (await rest.call("GET", "/otomo/schedule", by=eve, status=200)).body["items"] == []
    await rest.call("PUT", "/otomo/schedule", by=ann, json={"items": []}, status=200)
    assert (await rest.call("GET", "/otomo/schedule", by=ann, status=200)).body["items"] == []


GOOD = {"dayOfWeek": 1, "start": "09:00", "end": "10:00"}


@pytest.mark.parametrize(
    ("items", "field"),
    [
        (None, "items"),
        ([GOOD, GOOD | {"dayOfWeek": 7}], "items[1].dayOfWeek"),
        ([GOOD | {"dayOfWeek": -1}], "items[0].dayOfWeek"),
        ([GOOD | {"start": "9:00"}], "items[0].start"),
        ([GOOD | {"start": "09:60"}], "items[0].start"),
        ([GOOD | {"start": "09:00\n"}], "items[0].start"),
        ([GOOD | {"start": "\u0660\u0669:00"}], "items[0].start"),
        ([GOOD | {"end": "24:01"}], "items[0].end"),
        ([GOOD | {"start": "24:00", "end": "24:00"}], "items[0].end"),
        ([GOOD | {"end": "09:00"}], "items[0].end"),
        ([GOOD, GOOD | {"dayOfWeek": 2, "end": "08:59"}], "items[1].end"),
        ([GOOD, GOOD], "items[1].start"),
        ([GOOD | {"start": "09:59", "end": "11:00"}, GOOD], "items[0].start"),
        ([GOOD | {"day": 1}], "items[0].day"),
        ([GOOD] * 51, "items"),
    ],
)
async def test_a_week_that_is_none_names_the_row(rest: Rest, items: object, field: str) -> None:
    ann = await provider(rest)
    before = {"items": [GOOD]}
    await rest.call("PUT", "/otomo/schedule", by=ann, json=before, status=200)
    body = {} if items is None else {"items": items}
    answer = await rest.call("PUT", "/otomo/schedule", by=ann, json=body, status=400)
    assert (answer.error, answer.body["details"]["field"]) == ("INVALID_SCHEDULE", field)
    assert (await rest.call("GET", "/otomo/schedule", by=ann, status=200)).body == {
        "success": True
    } | before


async def test_stats_are_of_the_last_days(rest: Rest) -> None:
    kai, ann, eve = await provider(rest, "Kai"), await rest.person("Ann"), await rest.person("Eve")
    recently, before = NOW - timedelta(days=2), NOW - timedelta(days=31)
    for caller, at in ((ann, recently), (ann, recently), (eve, recently), (eve, before)):
        path = await talked(rest, caller, kai, at=at, talk_ms=100_000, earned=84)
        await rest.call("POST", path, by=caller, json={"score": 4}, status=201)
    await rest.pool.execute("update review set created_at = $1", recently)
    stats = (await rest.call("GET", "/otomo/stats/summary", by=kai, status=200)).body
    assert stats == {
        "success": True,
        "days": 30,
        "calls": 3,
        "minutes": 5,
        "earnings": 252,
        "currency": "PTS",
        "uniqueCallers": 2,
        "rating": 4.0,
        "reviewCount": 4,
    }
    path = "/providers/stats/summary?days=1"
    assert (await rest.call("GET", path, by=kai, status=200)).body["calls"] == 0
    path = "/otomo/stats/summary?days=60"
    assert (await rest.call("GET", path, by=kai, status=200)).body["calls"] == 4


@pytest.mark.parametrize("days", ["0", "366", "x", "-1"])
async def test_stats_have_bounds(rest: Rest, days: str) -> None:
    kai = await provider(rest, "Kai")
    path = f"/otomo/stats/summary?days={days}"
    assert (await rest.call("GET", path, by=kai, status=400)).error == "INVALID_DAYS"
