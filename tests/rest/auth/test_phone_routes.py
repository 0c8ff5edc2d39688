"""Attaching a phone to an account: by a fresh log-in, with a code, to one account."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.rest.auth.conftest import Auth
from tests.rest.harness import Answer, FakeClock

PHONE = "+12025550123"


async def send(auth: Auth, token: str, phone: str = PHONE) -> str:
    answer = await auth.rest.call(
        "POST", "/user/phone/send", token=token, json={"phone": phone}, status=200
    )
    return str(answer.body["devCode"])


async def verify(
    auth: Auth, token: str, otp: str, status: int | None = None, phone: str = PHONE
) -> Answer:
    body = {"phone": phone, "otp": otp}
    return await auth.rest.call("POST", "/user/phone/verify", token=token, json=body, status=status)


async def by_code(auth: Auth) -> dict[str, Any]:
    sent = await auth.rest.call("POST", "/otp/send", json={"phone": PHONE}, status=200)
    body = {"phone": PHONE, "otp": sent.body["devCode"]}
    return (await auth.rest.call("POST", "/otp/verify", json=body, status=200)).body


async def test_an_attached_phone_logs_into_the_account(auth: Auth) -> None:
    ann = await auth.sign_up()
    answer = await verify(auth, ann["token"], await send(auth, ann["token"]), 200)
    assert answer.body["user"]["phone"] == PHONE
    assert answer.body["user"]["id"] == ann["user"]["id"]
    assert (await by_code(auth))["user"]["id"] == ann["user"]["id"]
    told = await auth.rest.pool.fetchrow("select type, message from notification")
    assert told is not None
    assert tuple(told) == (
        "PHONE_CHANGED",
        "You can now log in by the phone number that ends in 0123.",
    )


async def test_a_number_of_another_account_is_refused_to_its_owner_only(auth: Auth) -> None:
    await by_code(auth)
    ann = await auth.sign_up()
    code = await send(auth, ann["token"])
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert (await verify(auth, ann["token"], wrong, 400)).error == "INVALID_OTP"
    assert (await verify(auth, ann["token"], code, 409)).error == "PHONE_ALREADY_USED"
    assert await auth.rest.pool.fetchval("select count(*) from notification") == 0


async def test_of_two_accounts_with_their_own_codes_one_gets_the_number(auth: Auth) -> None:
    tokens = [
        (await auth.sign_up(f"{name}@example.org"))["token"] for name in ("ann", "bob", "cat")
    ]
    codes = [await send(auth, token) for token in tokens]
    pairs = zip(tokens, codes, strict=True)
    answers = await asyncio.gather(*(verify(auth, token, code) for token, code in pairs))
    assert sorted(answer.status for answer in answers) == [200, 409, 409]


async def test_a_code_is_of_no_use_to_another_account_or_for_a_log_in(auth: Auth) -> None:
    ann = await auth.sign_up()
    bob = await auth.sign_up("bob@example.org")
    code = await send(auth, ann["token"])
    assert (await verify(auth, bob["token"], code, 400)).error == "INVALID_OTP"
    body = {"phone": PHONE, "otp": code}
    answer = await auth.rest.call("POST", "/otp/verify", json=body, status=400)
    assert answer.error == "INVALID_OTP"
    await verify(auth, ann["token"], code, 200)


async def test_only_a_fresh_log_in_may_change_the_phone(auth: Auth, clock: FakeClock) -> None:
    ann = await auth.sign_up()
    clock.move(600_000)
    await send(auth, ann["token"])
    clock.move(1)
    answer = await auth.rest.call(
        "POST", "/user/phone/send", token=ann["token"], json={"phone": PHONE}, status=403
    )
    assert answer.error == "FRESH_LOGIN_REQUIRED"
    body = {"email": "ann@example.org", "password": "correct horse"}
    again = (await auth.rest.call("POST", "/auth/login", json=body, status=200)).body
    await verify(auth, again["token"], await send(auth, again["token"]), 200)


async def test_strangers_attach_nothing(auth: Auth) -> None:
    for path, body in (
        ("/user/phone/send", {"phone": PHONE}),
        ("/user/phone/verify", {"phone": PHONE, "otp": "123456"}),
    ):
        answer = await auth.rest.call("POST", path, json=body, status=401)
        assert answer.error == "UNAUTHORIZED"


async def test_an_account_deleted_meanwhile_gets_no_phone(auth: Auth) -> None:
    ann = await auth.sign_up()
    code = await send(auth, ann["token"])
    await auth.rest.pool.execute("update users set status = 'deleted'")
    assert (await verify(auth, ann["token"], code, 404)).error == "USER_NOT_FOUND"
    assert await auth.rest.pool.fetchval("select phone from users") is None
