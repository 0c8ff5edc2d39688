from __future__ import annotations

import pytest

from rest.account.routes import AccountRoutes
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Rest


@pytest.fixture
async def rest(start: Start, pool: Pool) -> Rest:
    return await start(AccountRoutes(pool))


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
        ("GET", "/user/block-list"),
        ("POST", f"/user/block/{new_id()}"),
        ("DELETE", f"/user/block/{new_id()}"),
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


async def test_a_block_list_is_its_owner_s_alone(rest: Rest) -> None:
    ann, bo, cy = [await rest.person(name) for name in ("Ann", "Bo", "Cy")]
    for other in (bo, cy, bo):
        answer = await rest.call("POST", f"/user/block/{other.id}", by=ann, status=200)
        assert answer.body == {"success": True, "userId": str(other.id), "blocked": True}
    page = (await rest.call("GET", "/user/block-list?limit=1&page=2", by=ann, status=200)).body
    assert (page["total"], page["limit"], page["offset"]) == (2, 1, 1)
    assert [each["name"] for each in page["items"]] == ["Bo"]
    assert (await rest.call("GET", "/user/block-list", by=bo, status=200)).body["total"] == 0
    await rest.call("DELETE", f"/user/block/{cy.id}", by=bo, status=200)
    assert (await rest.call("GET", "/user/block-list", by=ann, status=200)).body["total"] == 2
    await rest.call("DELETE", f"/user/block/{cy.id}", by=ann, status=200)
    await rest.call("DELETE", f"/user/block/{cy.id}", by=ann, status=200)
    assert (await rest.call("GET", "/user/block-list", by=ann, status=200)).body["total"] == 1


async def test_nobody_blocks_themselves_or_a_stranger_to_us(rest: Rest) -> None:
    ann = await rest.person("Ann")
    own = await rest.call("POST", f"/user/block/{ann.id}", by=ann, status=400)
    assert own.error == "INVALID_USER_ID"
    unknown = await rest.call("POST", f"/user/block/{new_id()}", by=ann, status=404)
    assert unknown.error == "USER_NOT_FOUND"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "INVALID_LIMIT"),
        ("limit=101", "INVALID_LIMIT"),
        ("limit=ten", "INVALID_LIMIT"),
        ("offset=-1", "INVALID_OFFSET"),
        ("page=0", "INVALID_PAGE"),
        ("page=1&offset=0", "INVALID_PAGE"),
        ("sort=name", "INVALID_QUERY"),
    ],
)
async def test_pages_have_bounds(rest: Rest, query: str, code: str) -> None:
    ann = await rest.person("Ann")
    answer = await rest.call("GET", f"/user/block-list?{query}", by=ann, status=400)
    assert answer.error == code
