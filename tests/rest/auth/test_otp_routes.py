"""Logging in by phone: codes, accounts and roles. Limits are in `test_otp.py`."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from rest.auth.otp import OtpSettings
from tests.rest.auth.conftest import Auth, StartAuth
from tests.rest.harness import Answer, FakeClock

PHONE = "+12025550123"


async def send(auth: Auth, phone: str = PHONE) -> str:
    answer = await auth.rest.call("POST", "/otp/send", json={"phone": phone}, status=200)
    return str(answer.body["devCode"])


async def verify(auth: Auth, otp: str, status: int | None = None, **more: object) -> Answer:
    body = {"phone": PHONE, "otp": otp} | more
    return await auth.rest.call("POST", "/otp/verify", json=body, status=status)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def test_the_first_log_in_makes_an_account_and_the_second_finds_it(auth: Auth) -> None:
    first = (await verify(auth, await send(auth), 200)).body
    assert first["user"] == {
        "id": first["user"]["id"],
        "name": first["user"]["name"],
        "email": None,
        "phone": PHONE,
        "avatar": None,
        "avatarUrl": None,
        "intro": None,
        "balance": 0,
        "roles": ["customer"],
        "role": "customer",
        "createdAt": first["user"]["createdAt"],
    }
    assert re.fullmatch(r"User [0-9]{4}", first["user"]["name"])
    assert first["expires_in"] == 900
    assert first["token"] == first["accessToken"]
    await auth.rest.call("GET", "/auth/me", token=first["token"], status=200)
    second = (await verify(auth, await send(auth), 200, name="Other", role="companion")).body
    assert second["user"] == first["user"]
    assert second["refreshToken"] != first["refreshToken"]
    await auth.refresh(second["refreshToken"])


async def test_the_name_of_who_gives_none_has_nothing_of_the_number(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _: 7)
    session = (await verify(auth, await send(auth), 200)).body
    assert session["user"]["name"] == "User 0007"


async def test_the_answer_says_how_long_the_code_is_good(auth: Auth) -> None:
    answer = await auth.rest.call("POST", "/otp/send", json={"phone": PHONE}, status=200)
    assert (answer.body["ttl"], answer.body["expiresIn"]) == (120, 120)


async def test_only_development_says_the_code(start_auth: StartAuth) -> None:
    auth = await start_auth(otp=OtpSettings())
    answer = await auth.rest.call("POST", "/otp/send", json={"phone": PHONE}, status=200)
    assert set(answer.body) == {"success", "message", "ttl", "expiresIn"}


async def test_name_and_role_are_those_of_a_new_account(auth: Auth) -> None:
    session = (await verify(auth, await send(auth), 200, name=" Pat ", role="STORE_OWNER")).body
    assert session["user"]["name"] == "Pat"
    assert session["user"]["role"] == "store_owner"
    assert session["user"]["roles"] == ["customer", "store_owner"]
    assert auth.rest.keys.read(session["token"]).roles == {"customer", "store_owner"}


async def test_a_new_account_has_the_password_that_came_with_the_code(auth: Auth) -> None:
    session = (await verify(auth, await send(auth), 200, password="correct horse")).body
    login = {"phone": PHONE, "password": "correct horse"}
    answer = await auth.rest.call("POST", "/auth/login", json=login, status=200)
    assert answer.body["user"]["id"] == session["user"]["id"]


@pytest.mark.parametrize("first", [{}, {"password": "correct horse"}])
async def test_a_code_sets_no_password_of_an_account_that_is_there(
    auth: Auth, first: dict[str, str]
) -> None:
    await verify(auth, await send(auth), 200, **first)
    await verify(auth, await send(auth), 200, password="another password")
    login = {"phone": PHONE, "password": "another password"}
    await auth.rest.call("POST", "/auth/login", json=login, status=401)
    kept = await auth.rest.pool.fetchval("select count(*) from credentials")
    assert kept == len(first)


@pytest.mark.parametrize("password", ["1234567", "x" * 73, "x" * 301, 12345678])
async def test_a_password_that_is_none_is_refused_and_costs_no_try(
    auth: Auth, password: object
) -> None:
    code = await send(auth)
    for _ in range(4):
        answer = await verify(auth, code, 400, password=password)
        assert (answer.error, answer.body["details"]) == ("INVALID_PASSWORD", {"field": "password"})
    await verify(auth, code, 200)


@pytest.mark.parametrize("role", ["admin", "ADMIN", "root"])
async def test_a_role_that_nobody_may_choose_is_refused_and_costs_no_try(
    auth: Auth, role: str
) -> None:
    code = await send(auth)
    for _ in range(4):
        answer = await verify(auth, code, 400, role=role)
        assert (answer.error, answer.body["details"]) == ("INVALID_ROLE", {"field": "role"})
    session = (await verify(auth, code, 200)).body
    assert session["user"]["roles"] == ["customer"]


async def test_a_phone_of_an_account_with_a_password_logs_into_that_account(auth: Auth) -> None:
    ann = await auth.sign_up()
    await auth.rest.pool.execute("update users set phone = $1", PHONE)
    session = (await verify(auth, await send(auth), 200)).body
    assert session["user"]["id"] == ann["user"]["id"]
    assert session["user"]["email"] == "ann@example.org"


async def test_a_number_is_one_number_however_it_is_written(start_auth: StartAuth) -> None:
    settings = OtpSettings(echo=True, region="US")
    auth = await start_auth(otp=settings, region="US")
    code = await send(auth, "(202) 555-0123")
    session = (await verify(auth, code, 200, phone="+1 202 555 0123")).body
    assert session["user"]["phone"] == PHONE


@pytest.mark.parametrize(
    ("account", "status", "code"),
    [("suspended", 403, "ACCOUNT_SUSPENDED"), ("deleted", 410, "ACCOUNT_DELETED")],
)
async def test_only_the_right_code_hears_what_became_of_the_account(
    auth: Auth, account: str, status: int, code: str
) -> None:
    await verify(auth, await send(auth), 200)
    await auth.rest.pool.execute("update users set status = $1", account)
    otp = await send(auth)
    assert (await verify(auth, wrong(otp), 400)).error == "INVALID_OTP"
    assert (await verify(auth, otp, status)).error == code
    assert (await verify(auth, otp, 400)).error == "INVALID_OTP"


async def test_wrong_expired_used_replaced_and_absent_codes_are_told_the_same(
    auth: Auth, clock: FakeClock
) -> None:
    told = [await verify(auth, "123456")]
    code = await send(auth)
    told.append(await verify(auth, wrong(code)))
    clock.move(120_000)
    told.append(await verify(auth, code))
    code = await send(auth)
    await verify(auth, code, 200)
    told.append(await verify(auth, code))
    old, new = await send(auth), await send(auth)
    if old != new:
        told.append(await verify(auth, old))
    assert all(answer.status == 400 for answer in told)
    assert len({str(answer.body | {"requestId": ""}) for answer in told}) == 1
    assert told[0].error == "INVALID_OTP"
    assert "details" not in told[0].body


async def test_the_fourth_try_is_refused_even_if_it_is_right(auth: Auth) -> None:
    code = await send(auth)
    for _ in range(3):
        await verify(auth, wrong(code), 400)
    assert (await verify(auth, code, 400)).error == "INVALID_OTP"


async def test_a_code_for_one_phone_is_none_for_another(auth: Auth) -> None:
    code = await send(auth)
    await send(auth, "+12025550199")
    assert (await verify(auth, code, 400, phone="+12025550198")).error == "INVALID_OTP"
    await verify(auth, code, 200)


async def test_of_many_with_the_right_code_one_gets_in(auth: Auth) -> None:
    code = await send(auth)
    answers = await asyncio.gather(*(verify(auth, code) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 9
    assert await auth.rest.pool.fetchval("select count(*) from users") == 1


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("/otp/send", {}, "INVALID_PHONE", "phone"),
        ("/otp/send", {"phone": 12025550123}, "INVALID_PHONE", "phone"),
        ("/otp/send", {"phone": "2025550123"}, "INVALID_PHONE", "phone"),
        ("/otp/send", {"phone": "+1202555012"}, "INVALID_PHONE", "phone"),
        ("/otp/send", {"phone": "+12025550123" + " " * 21}, "INVALID_PHONE", "phone"),
        ("/otp/send", {"phone": "+18005550123"}, "PHONE_NOT_SUPPORTED", "phone"),
        ("/otp/send", {"phone": PHONE, "purpose": "login"}, "INVALID_PAYLOAD", "purpose"),
        ("/otp/verify", {"phone": PHONE}, "INVALID_OTP", "otp"),
        ("/otp/verify", {"phone": PHONE, "otp": 123456}, "INVALID_OTP", "otp"),
        ("/otp/verify", {"phone": PHONE, "otp": "12345"}, "INVALID_OTP", "otp"),
        ("/otp/verify", {"phone": PHONE, "otp": "１２３４５６"}, "INVALID_OTP", "otp"),
        ("/otp/verify", {"phone": "1", "otp": "123456"}, "INVALID_PHONE", "phone"),
        ("/otp/verify", {"phone": PHONE, "otp": "123456", "name": " "}, "INVALID_NAME", "name"),
        (
            "/otp/verify",
            {"phone": PHONE, "otp": "123456", "roles": ["admin"]},
            "INVALID_PAYLOAD",
            "roles",
        ),
    ],
)
async def test_wrong_fields_are_named(
    auth: Auth, path: str, body: dict[str, Any], code: str, field: str
) -> None:
    answer = await auth.rest.call("POST", path, json=body, status=400)
    assert (answer.error, answer.body["details"]) == (code, {"field": field})


async def test_the_database_keeps_no_code(auth: Auth) -> None:
    codes = [await send(auth) for _ in range(3)]
    rows = [
        row["line"]
        for table in ("otp", "quota", "pgqueuer", "pgqueuer_log")
        for row in await auth.rest.pool.fetch(f"select t::text as line from {table} t")
    ]
    payloads = await auth.rest.pool.fetch("select payload from pgqueuer")
    kept = " ".join([*rows, *(row["payload"].decode() for row in payloads)])
    assert len(payloads) == 3
    assert PHONE in kept
    assert not any(code in kept.replace(PHONE, "") for code in codes)


async def test_with_single_session_a_log_in_by_code_ends_the_one_before(
    start_auth: StartAuth,
) -> None:
    auth = await start_auth(single_session=True)
    first = (await verify(auth, await send(auth), 200)).body
    second = (await verify(auth, await send(auth), 200)).body
    assert auth.ended == [auth.rest.keys.read(first["token"]).session_id]
    await auth.rest.call("GET", "/auth/me", token=first["token"], status=401)
    await auth.rest.call("GET", "/auth/me", token=second["token"], status=200)
