from __future__ import annotations

import asyncio
import re
from datetime import datetime
from uuid import UUID

import pytest
from argon2 import PasswordHasher

from rest.auth import routes
from rest.auth.tokens import TokenKeys
from signalling.limits import Rate
from tests.rest.auth.conftest import Auth, StartAuth
from tests.rest.harness import FakeClock

WIDE = Rate(1_000, 1)


async def test_a_new_account_is_logged_in_at_once(auth: Auth, keys: TokenKeys) -> None:
    body = await auth.sign_up("  Ann@Example.ORG ", name="  Ann ")
    user = body["user"]
    assert user == {
        "id": user["id"],
        "name": "Ann",
        "email": "ann@example.org",
        "phone": None,
        "avatar": None,
        "avatarUrl": None,
        "intro": None,
        "balance": 0,
        "roles": ["customer"],
        "role": "customer",
        "createdAt": user["createdAt"],
    }
    assert datetime.fromisoformat(user["createdAt"]).tzinfo is not None
    assert body["token"] == body["accessToken"]
    assert body["expiresIn"] == body["expires_in"] == 900
    claims = keys.read(body["token"])
    assert claims.user_id == UUID(user["id"])
    assert claims.roles == {"customer"}
    assert claims.expires_s - claims.issued_s == 900
    me = await auth.rest.call("GET", "/auth/me", token=body["token"], status=200)
    assert me.body["user"] == user


@pytest.mark.parametrize("path", ["/auth/register", "/users/register"])
async def test_the_other_paths_of_sign_up_take_first_and_last_name(auth: Auth, path: str) -> None:
    body = {
        "email": "ann@example.org",
        "password": "correct horse",
        "first_name": "Ann",
        "last_name": "Lee",
    }
    answer = await auth.rest.call("POST", path, json=body, status=201)
    assert answer.body["user"]["name"] == "Ann Lee"


async def test_one_of_the_paths_of_sign_up_takes_no_name_for_one(auth: Auth) -> None:
    body = {"email": "ann@example.org", "password": "correct horse"}
    for path in ("/auth/signup", "/auth/register"):
        assert (await auth.rest.call("POST", path, json=body, status=400)).error == "INVALID_NAME"
    answer = await auth.rest.call("POST", "/users/register", json=body, status=201)
    assert re.fullmatch(r"User [0-9]{4}", answer.body["user"]["name"])


@pytest.mark.parametrize("name", [{"name": ""}, {"first_name": " "}, {"name": "x" * 33}])
async def test_a_name_that_is_given_is_checked_on_every_path(
    auth: Auth, name: dict[str, str]
) -> None:
    body = {"email": "ann@example.org", "password": "correct horse"} | name
    answer = await auth.rest.call("POST", "/users/register", json=body, status=400)
    assert answer.error == "INVALID_NAME"


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"name": ""}, "INVALID_NAME", "name"),
        ({"name": "   "}, "INVALID_NAME", "name"),
        ({"name": None}, "INVALID_NAME", "name"),
        ({"name": "x" * 33}, "INVALID_NAME", "name"),
        ({"name": "x" * 301}, "INVALID_NAME", "name"),
        ({"name": "a\nb"}, "INVALID_NAME", "name"),
        ({"name": "a\0b"}, "INVALID_NAME", "name"),
        ({"name": 7}, "INVALID_NAME", "name"),
        ({"email": ...}, "INVALID_EMAIL", "email"),
        ({"email": None}, "INVALID_EMAIL", "email"),
        ({"email": "ann"}, "INVALID_EMAIL", "email"),
        ({"email": "ann@localhost"}, "INVALID_EMAIL", "email"),
        ({"email": "a b@example.org"}, "INVALID_EMAIL", "email"),
        ({"email": "a@b@example.org"}, "INVALID_EMAIL", "email"),
        ({"email": "ann@example..org"}, "INVALID_EMAIL", "email"),
        ({"email": f"{'a' * 250}@example.org"}, "INVALID_EMAIL", "email"),
        ({"password": ...}, "INVALID_PASSWORD", "password"),
        ({"password": "1234567"}, "INVALID_PASSWORD", "password"),
        ({"password": "x" * 73}, "INVALID_PASSWORD", "password"),
        ({"password": 12345678}, "INVALID_PASSWORD", "password"),
        ({"role": "admin"}, "INVALID_PAYLOAD", "role"),
        ({"roles": ["admin"]}, "INVALID_PAYLOAD", "roles"),
        ({"balance": 1_000}, "INVALID_PAYLOAD", "balance"),
        ({"id": "00000000-0000-0000-0000-000000000000"}, "INVALID_PAYLOAD", "id"),
    ],
)
async def test_wrong_fields_of_a_sign_up_are_named(
    auth: Auth, change: dict[str, object], code: str, field: str
) -> None:
    good: dict[str, object] = {
        "name": "Ann",
        "email": "ann@example.org",
        "password": "correct horse",
    }
    body = {name: value for name, value in (good | change).items() if value is not ...}
    answer = await auth.rest.call("POST", "/auth/signup", json=body, status=400)
    assert (answer.error, answer.body["details"]) == (code, {"field": field})


async def test_an_email_has_one_account(auth: Auth) -> None:
    await auth.sign_up()
    body = {"name": "Eve", "email": "ANN@example.org", "password": "another password"}
    answer = await auth.rest.call("POST", "/auth/signup", json=body, status=409)
    assert answer.error == "EMAIL_ALREADY_USED"


async def test_of_many_at_once_one_gets_the_email(start_auth: StartAuth) -> None:
    auth = await start_auth(signup_address=WIDE)
    body = {"name": "Ann", "email": "ann@example.org", "password": "correct horse"}
    answers = await asyncio.gather(
        *(auth.rest.call("POST", "/auth/signup", json=body) for _ in range(8))
    )
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_log_in_by_email_in_any_case_or_by_phone(auth: Auth) -> None:
    body = await auth.sign_up()
    await auth.rest.pool.execute("update users set phone = '+4915112345678'")
    for name in ({"email": " ANN@example.org"}, {"phone": "+49 (151) 1234-5678"}):
        answer = await auth.rest.call(
            "POST", "/auth/login", json=name | {"password": "correct horse"}, status=200
        )
        assert answer.body["user"]["id"] == body["user"]["id"]
        assert answer.body["refreshToken"] != body["refreshToken"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"password": "correct horse"},
        {"email": "ann@example.org"},
        {"email": "ann@example.org", "phone": "+4915112345678", "password": "correct horse"},
        {"email": "ann@example.org", "password": ["correct horse"]},
        {"email": "ann@example.org", "password": "correct horse", "otp": "1"},
    ],
)
async def test_a_log_in_needs_one_name_and_a_password(auth: Auth, body: dict[str, object]) -> None:
    answer = await auth.rest.call("POST", "/auth/login", json=body, status=400)
    assert answer.error == "INVALID_PAYLOAD"


async def test_unknown_names_and_wrong_passwords_are_told_the_same(auth: Auth) -> None:
    await auth.sign_up()
    told = []
    for email, password in [
        ("ann@example.org", "wrong password"),
        ("bo@example.org", "correct horse"),
        ("no address at all", "correct horse"),
    ]:
        answer = await auth.rest.call(
            "POST", "/auth/login", json={"email": email, "password": password}, status=401
        )
        told.append({**answer.body, "requestId": ""})
    assert told[0] == told[1] == told[2]
    assert told[0]["error"] == "INVALID_CREDENTIALS"


@pytest.mark.parametrize(
    ("account", "status", "code"),
    [("suspended", 403, "ACCOUNT_SUSPENDED"), ("deleted", 410, "ACCOUNT_DELETED")],
)
async def test_only_the_right_password_hears_what_became_of_the_account(
    auth: Auth, account: str, status: int, code: str
) -> None:
    await auth.sign_up()
    await auth.rest.pool.execute("update users set status = $1", account)
    body = {"email": "ann@example.org", "password": "correct horse"}
    assert (await auth.rest.call("POST", "/auth/login", json=body, status=status)).error == code
    body["password"] = "wrong password"
    await auth.rest.call("POST", "/auth/login", json=body, status=401)


async def test_the_sixth_wrong_try_has_to_wait(auth: Auth, clock: FakeClock) -> None:
    await auth.sign_up()
    body = {"email": "ann@example.org", "password": "wrong password"}
    for _ in range(5):
        await auth.rest.call("POST", "/auth/login", json=body, status=401)
    body["password"] = "correct horse"
    answer = await auth.rest.call("POST", "/auth/login", json=body, status=429)
    assert answer.error == "RATE_LIMITED"
    wait_s = int(answer.headers["retry-after"])
    clock.move(wait_s * 1000)
    await auth.rest.call("POST", "/auth/login", json=body, status=200)


async def test_a_success_forgives_the_tries_before_it(auth: Auth) -> None:
    await auth.sign_up()
    for _ in range(3):
        for password, status in [("wrong password", 401)] * 4 + [("correct horse", 200)]:
            body = {"email": "ann@example.org", "password": password}
            await auth.rest.call("POST", "/auth/login", json=body, status=status)


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests come from where their header From says."""
    monkeypatch.setattr(routes, "address_of", lambda request: request.headers.get("From", "home"))


@pytest.mark.usefixtures("addresses")
async def test_wrong_tries_from_elsewhere_do_not_keep_the_owner_out(auth: Auth) -> None:
    await auth.sign_up()
    body = {"email": "ann@example.org", "password": "wrong password"}
    for status in [401] * 5 + [429] * 3:
        await auth.rest.call(
            "POST", "/auth/login", json=body, headers={"From": "elsewhere"}, status=status
        )
    body["password"] = "correct horse"
    await auth.rest.call("POST", "/auth/login", json=body, status=200)


@pytest.mark.usefixtures("addresses")
async def test_an_account_cannot_be_tried_from_many_addresses(
    start_auth: StartAuth, clock: FakeClock
) -> None:
    auth = await start_auth(login_account_anywhere=Rate(4, 12_000))
    await auth.sign_up()
    body = {"email": "ann@example.org", "password": "wrong password"}
    for number, status in enumerate([401] * 4 + [429] * 2):
        await auth.rest.call(
            "POST", "/auth/login", json=body, headers={"From": str(number)}, status=status
        )
    clock.move(12_000)
    body["password"] = "correct horse"
    await auth.rest.call("POST", "/auth/login", json=body, status=200)


async def test_one_address_cannot_try_many_accounts(start_auth: StartAuth) -> None:
    auth = await start_auth(login_address=Rate(3, 60_000))
    statuses = [
        (
            await auth.rest.call(
                "POST", "/auth/login", json={"email": f"u{n}@example.org", "password": "x" * 8}
            )
        ).status
        for n in range(5)
    ]
    assert statuses == [401, 401, 401, 429, 429]


async def test_sign_ups_are_limited_but_wrong_bodies_do_not_count(auth: Auth) -> None:
    for _ in range(10):
        await auth.rest.call("POST", "/auth/signup", json={}, status=400)
    for n in range(5):
        await auth.sign_up(f"ann{n}@example.org")
    body = {"name": "Ann", "email": "ann9@example.org", "password": "correct horse"}
    await auth.rest.call("POST", "/auth/signup", json=body, status=429)


async def test_an_outdated_hash_is_replaced_at_the_next_log_in(auth: Auth) -> None:
    await auth.sign_up()
    other = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("correct horse")
    await auth.rest.pool.execute("update credentials set password_hash = $1", other)
    body = {"email": "ann@example.org", "password": "correct horse"}
    await auth.rest.call("POST", "/auth/login", json=body, status=200)
    kept = await auth.rest.pool.fetchval("select password_hash from credentials")
    assert "m=8,t=1,p=1" in kept
    await auth.rest.call("POST", "/auth/login", json=body, status=200)


async def test_with_single_session_a_log_in_ends_the_one_before(start_auth: StartAuth) -> None:
    auth = await start_auth(single_session=True)
    first = await auth.sign_up()
    body = {"email": "ann@example.org", "password": "correct horse"}
    second = (await auth.rest.call("POST", "/auth/login", json=body, status=200)).body
    assert auth.ended == [auth.rest.keys.read(first["token"]).session_id]
    await auth.rest.call("GET", "/auth/me", token=first["token"], status=401)
    await auth.rest.call("GET", "/auth/me", token=second["token"], status=200)


async def test_log_out_ends_the_session_and_its_tokens(auth: Auth) -> None:
    body = await auth.sign_up()
    await auth.rest.call("POST", "/auth/logout", token=body["token"], status=200)
    assert auth.ended == [auth.rest.keys.read(body["token"]).session_id]
    again = await auth.rest.call("POST", "/auth/logout", token=body["token"], status=401)
    assert again.error == "UNAUTHORIZED"
    refused = await auth.refresh(body["refreshToken"], 401)
    assert refused["error"] == "INVALID_REFRESH_TOKEN"


async def test_the_database_keeps_no_token_and_no_password(auth: Auth) -> None:
    first = await auth.sign_up()
    second = await auth.refresh(first["refreshToken"])
    rows = []
    for table in ("users", "credentials", "session", "refresh_token"):
        rows += await auth.rest.pool.fetch(f"select t::text from {table} t")
    stored = " ".join(row[0] for row in rows)
    for secret in ("correct horse", first["refreshToken"], second["refreshToken"], first["token"]):
        assert secret not in stored


async def test_a_provider_sees_their_status(auth: Auth) -> None:
    first = await auth.sign_up()
    await auth.rest.pool.execute(
        "insert into provider (user_id, display_name, price_audio_minor, price_video_minor, "
        "availability) select id, name, 1, 1, 'break' from users"
    )
    me = await auth.rest.call("GET", "/auth/me", token=first["token"], status=200)
    assert me.body["user"]["status"] == "break"
    auth.presence[UUID(first["user"]["id"])] = "offline"
    me = await auth.rest.call("GET", "/auth/me", token=first["token"], status=200)
    assert me.body["user"]["status"] == "offline"
    body = {"email": "ann@example.org", "password": "correct horse"}
    session = await auth.rest.call("POST", "/auth/login", json=body, status=200)
    assert session.body["user"]["status"] == "offline"


async def test_me_after_deletion_is_not_found(auth: Auth) -> None:
    first = await auth.sign_up()
    await auth.rest.pool.execute("update users set status = 'deleted'")
    answer = await auth.rest.call("GET", "/auth/me", token=first["token"], status=404)
    assert answer.error == "USER_NOT_FOUND"
