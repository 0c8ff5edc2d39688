from __future__ import annotations

import pytest

from storage.ids import new_id
from tests.rest.account.conftest import Account
from tests.rest.harness import Rest


@pytest.fixture
async def rest(account: Account) -> Rest:
    return account.rest


@pytest.mark.parametrize("path", ["/user/me", "/users/me"])
async def test_my_profile_is_complete(rest: Rest, path: str) -> None:
    ann = await rest.person("Ann", email="ann@example.org", phone="+4915112345678")
    await rest.pool.execute("update users set birthday = '2000-02-29', gender = 'f'")
    body = (await rest.call("GET", path, by=ann, status=200)).body
    user = body["user"]
    assert user["createdAt"].endswith("Z")
    assert user | {"createdAt": ""} == {
        "id": str(ann.id),
        "name": "Ann",
        "email": "ann@example.org",
        "phone": "+4915112345678",
        "avatar": None,
        "avatarUrl": None,
        "bio": None,
        "gender": "f",
        "birthday": "2000-02-29",
        "balance": 0,
        "roles": ["customer"],
        "role": "customer",
        "notifications": {
            "incomingCall": True,
            "callSummary": True,
            "walletAlert": True,
            "marketing": False,
        },
        "createdAt": "",
    }


async def test_a_companion_has_a_profile_too(rest: Rest) -> None:
    ann = await rest.person("Ann", roles=("customer", "companion"))
    body = (await rest.call("GET", "/user/me", by=ann, status=200)).body
    assert body["user"]["role"] == "companion"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/user/me"),
        ("PUT", "/user/profile"),
        ("DELETE", "/user/delete"),
    ],
)
async def test_without_a_token_there_is_nothing(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, json={}, status=401)


async def test_only_what_is_sent_changes(rest: Rest) -> None:
    ann = await rest.person("Ann")
    body = {"bio": " hello <script>x</script>\nthere "}
    changed = (await rest.call("PUT", "/user/profile", by=ann, json=body, status=200)).body["user"]
    assert (changed["name"], changed["bio"]) == ("Ann", "hello \nthere")
    body = {"name": "Anna"}
    changed = (await rest.call("PUT", "/user/profile", by=ann, json=body, status=200)).body["user"]
    assert (changed["name"], changed["bio"]) == ("Anna", "hello \nthere")


async def test_gender_and_birthday_are_set_and_cleared(rest: Rest) -> None:
    ann = await rest.person("Ann")
    body = {"gender": " non-binary ", "birthday": "2000-02-29"}
    changed = (await rest.call("PUT", "/user/profile", by=ann, json=body, status=200)).body["user"]
    assert (changed["gender"], changed["birthday"]) == ("non-binary", "2000-02-29")
    body = {"gender": "", "birthday": ""}
    changed = (await rest.call("PUT", "/user/profile", by=ann, json=body, status=200)).body["user"]
    assert (changed["gender"], changed["birthday"]) == (None, None)
    assert (await rest.call("GET", "/user/me", by=ann, status=200)).body["user"] == changed


async def test_my_profile_shows_what_i_want_to_be_told_of(rest: Rest) -> None:
    ann = await rest.person("Ann")
    await rest.pool.execute(
        "insert into notification_settings (user_id, call_summary, marketing) "
        "values ($1, false, true)",
        ann.id,
    )
    user = (await rest.call("GET", "/user/me", by=ann, status=200)).body["user"]
    assert user["notifications"] == {
        "incomingCall": True,
        "callSummary": False,
        "walletAlert": True,
        "marketing": True,
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "NO_FIELDS"),
        ({"name": None}, "NO_FIELDS"),
        ({"name": ""}, "INVALID_NAME"),
        ({"name": "x" * 51}, "INVALID_NAME"),
        ({"name": 1}, "INVALID_NAME"),
        ({"bio": "x" * 201}, "INVALID_BIO"),
        ({"bio": "a\0b"}, "INVALID_BIO"),
        ({"bio": []}, "INVALID_BIO"),
        ({"gender": "two words 2"}, "INVALID_GENDER"),
        ({"gender": "x" * 21}, "INVALID_GENDER"),
        ({"gender": 1}, "INVALID_GENDER"),
        ({"birthday": "2026-13-01"}, "INVALID_BIRTHDAY"),
        ({"birthday": "yesterday"}, "INVALID_BIRTHDAY"),
        ({"birthday": "2026-01-01"}, "INVALID_BIRTHDAY"),
        ({"birthday": 20000229}, "INVALID_BIRTHDAY"),
        ({"gender": None, "birthday": None}, "NO_FIELDS"),
        ({"name": "Ann", "roles": ["admin"]}, "INVALID_PAYLOAD"),
        ({"name": "Ann", "email": "eve@example.org"}, "INVALID_PAYLOAD"),
        ({"name": "Ann", "balance": 5}, "INVALID_PAYLOAD"),
        ({"name": "Ann", "id": str(new_id())}, "INVALID_PAYLOAD"),
        ([], "INVALID_PAYLOAD"),
    ],
)
async def test_wrong_changes_are_refused(rest: Rest, body: object, code: str) -> None:
    ann = await rest.person("Ann")
    answer = await rest.call("PUT", "/user/profile", by=ann, json=body, status=400)
    assert answer.error == code
    assert await rest.pool.fetchval("select name from users") == "Ann"


async def test_anybody_sees_the_public_part_of_an_account(rest: Rest) -> None:
    ann = await rest.person("Ann", email="ann@example.org", phone="+4915112345678")
    await rest.pool.execute("update users set birthday = '2000-02-29', gender = 'woman'")
    answer = await rest.call("GET", f"/users/{ann.id}", status=200)
    assert answer.body["user"] == {
        "id": str(ann.id),
        "name": "Ann",
        "avatarUrl": None,
        "bio": None,
        "isProvider": False,
    }


async def test_unknown_and_deleted_accounts_look_the_same(rest: Rest) -> None:
    ann = await rest.person("Ann")
    await rest.pool.execute("update users set status = 'deleted'")
    gone = await rest.call("GET", f"/users/{ann.id}", status=404)
    never = await rest.call("GET", f"/users/{new_id()}", status=404)
    assert gone.body | {"requestId": ""} == never.body | {"requestId": ""}
    assert gone.error == "USER_NOT_FOUND"
    await rest.call("GET", "/user/me", by=ann, status=404)
    await rest.call("PUT", "/user/profile", by=ann, json={"name": "Eve"}, status=404)
