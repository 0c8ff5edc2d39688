from __future__ import annotations

from uuid import UUID

import pytest

from rest.account.routes import AccountRoutes
from rest.settings.bodies import AppVersions, Links
from rest.settings.routes import SettingsRoutes
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import CURRENCY, FakeClock, Freshness, Person, Rest


async def no_call(_: UUID) -> None:
    """Nobody calls in these tests."""


DEFAULTS = {"incomingCall": True, "callSummary": True, "walletAlert": True, "marketing": False}
PATH = "/settings/notifications"


@pytest.fixture
async def rest(start: Start, pool: Pool, clock: FakeClock) -> Rest:
    settings = SettingsRoutes(
        pool,
        links=Links(terms="https://talk.example/terms", privacy=None),
        app=AppVersions(version="1.4.0", min_supported_version="1.2"),
    )
    account = AccountRoutes(
        pool,
        currency=CURRENCY,
        clock=clock,
        leave_call=no_call,
        end_session=lambda _: None,
        check_fresh=Freshness().check,
    )
    return await start(settings, account)


@pytest.fixture
async def ann(rest: Rest) -> Person:
    return await rest.person()


async def test_settings_are_the_caller_s_toggles_and_the_deployment_s_words(
    rest: Rest, ann: Person
) -> None:
    answer = await rest.call("GET", "/settings", by=ann, status=200)
    assert answer.body["settings"] == {
        "notifications": DEFAULTS,
        "links": {"terms": "https://talk.example/terms", "privacy": None},
        "app": {"version": "1.4.0", "minSupportedVersion": "1.2"},
    }


async def test_changes_are_merged_and_seen_in_settings_and_profile(rest: Rest, ann: Person) -> None:
    ben = await rest.person("Ben")
    await rest.call("PUT", PATH, by=ann, json={"marketing": True}, status=200)
    body = {"incomingCall": False, "marketing": True}
    answer = await rest.call("PUT", PATH, by=ann, json=body, status=200)
    changed = DEFAULTS | body
    assert answer.body["settings"] == changed
    shown = await rest.call("GET", "/settings", by=ann, status=200)
    assert shown.body["settings"]["notifications"] == changed
    profile = await rest.call("GET", "/user/me", by=ann, status=200)
    assert profile.body["user"]["notifications"] == changed
    others = await rest.call("GET", "/settings", by=ben, status=200)
    assert others.body["settings"]["notifications"] == DEFAULTS


@pytest.mark.parametrize("field", DEFAULTS)
@pytest.mark.parametrize("value", [0, 1, "true", "", None, [], {}])
async def test_a_toggle_is_true_or_false(
    rest: Rest, ann: Person, field: str, value: object
) -> None:
    body = {"marketing": True, field: value}
    answer = await rest.call("PUT", PATH, by=ann, json=body, status=400)
    assert answer.error == "INVALID_VALUE"
    assert answer.body["details"]["field"] == field
    shown = await rest.call("GET", "/settings", by=ann, status=200)
    assert shown.body["settings"]["notifications"] == DEFAULTS


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "NO_FIELDS"),
        ({"sound": True}, "INVALID_PAYLOAD"),
        ({"marketing": True, "userId": str(new_id())}, "INVALID_PAYLOAD"),
        ([], "INVALID_PAYLOAD"),
    ],
)
async def test_something_else_is_no_change(
    rest: Rest, ann: Person, body: object, code: str
) -> None:
    answer = await rest.call("PUT", PATH, by=ann, json=body, status=400)
    assert answer.error == code


async def test_without_an_account_there_are_no_settings_to_change(rest: Rest, ann: Person) -> None:
    await rest.call("GET", "/settings", status=401)
    await rest.call("PUT", PATH, json={"marketing": True}, status=401)
    await rest.pool.execute("update users set status = 'deleted'")
    answer = await rest.call("PUT", PATH, by=ann, json={"marketing": True}, status=404)
    assert answer.error == "USER_NOT_FOUND"
