"""APNs over HTTP/2: the request as Apple wants it, and what Apple's answers mean."""

from __future__ import annotations

import asyncio
import logging

import jwt
import msgspec
import pytest

from server.push import apns
from server.push.apns import TOKEN_MS, ApnsPush
from server.push.port import SENT, Outcome, Said
from tests.rest.harness import START_MS, FakeClock
from tests.server.push.apple import Apple, apple
from tests.server.push.services import IPHONE, PAYLOAD, TTL_S, WAKE
from tests.server.push.test_tokens import EC_KEY


def adapter_of(there: Apple, clock: FakeClock) -> ApnsPush:
    return ApnsPush(
        EC_KEY,
        key_id="KEY1234567",
        team_id="TEAM123456",
        bundle_id="example.talk",
        clock=clock,
        api_url=there.url,
        deadline_s=0.5,
    )


async def send(there: Apple) -> Said:
    adapter = adapter_of(there, FakeClock())
    said = await adapter.send(WAKE, IPHONE, TTL_S)
    await adapter.close()
    return said


async def test_a_voip_push_has_the_headers_that_apple_wants() -> None:
    async with apple() as there:
        assert await send(there) == SENT
    [request] = there.seen
    expected = {
        ":method": "POST",
        ":path": f"/3/device/{IPHONE.target}",
        "apns-push-type": "voip",
        "apns-topic": "example.talk.voip",
        "apns-priority": "10",
        "apns-expiration": str(START_MS // 1_000 + TTL_S),
    }
    assert {name: request.headers[name] for name in expected} == expected
    assert msgspec.json.decode(request.body) == {"aps": {}} | PAYLOAD
    scheme, _, token = request.headers["authorization"].partition(" ")
    assert (scheme, jwt.get_unverified_header(token)["kid"]) == ("bearer", "KEY1234567")
    claims = jwt.decode(token, EC_KEY.public_key(), ["ES256"], options={"verify_iat": False})
    assert claims == {"iss": "TEAM123456", "iat": START_MS // 1_000}


async def test_many_pushes_share_a_connection_and_a_token_until_it_is_old() -> None:
    clock = FakeClock()
    async with apple() as there:
        adapter = adapter_of(there, clock)
        await adapter.send(WAKE, IPHONE, TTL_S)
        said = await asyncio.gather(*(adapter.send(WAKE, IPHONE, TTL_S) for _ in range(20)))
        assert set(said) == {SENT}
        assert len({request.headers["authorization"] for request in there.seen}) == 1
        clock.move(TOKEN_MS)
        await adapter.send(WAKE, IPHONE, TTL_S)
        assert len({request.headers["authorization"] for request in there.seen}) == 2
        await adapter.close()
    assert there.connections == 1


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        (410, "Unregistered", Outcome.GONE),
        (410, "ExpiredToken", Outcome.GONE),
        (400, "BadDeviceToken", Outcome.GONE),
        # The operator's mistakes; the phones are not to blame.
        (400, "DeviceTokenNotForTopic", Outcome.REFUSED),
        (400, "BadTopic", Outcome.REFUSED),
        (403, "InvalidProviderToken", Outcome.REFUSED),
        (403, "ExpiredProviderToken", Outcome.BUSY),
        (429, "TooManyRequests", Outcome.BUSY),
        (500, "InternalServerError", Outcome.BUSY),
        (503, "ServiceUnavailable", Outcome.BUSY),
        (302, "", Outcome.REFUSED),
    ],
)
async def test_what_the_answers_mean(status: int, reason: str, outcome: Outcome) -> None:
    async with apple() as there:
        there.refuse(status, reason)
        said = await send(there)
    assert said.outcome is outcome
    assert IPHONE.target not in said.why
    assert len(there.seen) == 1


async def test_apple_may_say_when_to_come_again() -> None:
    async with apple() as there:
        there.refuse(429, "TooManyRequests", retry_after="4")
        assert (await send(there)).retry_after_s == 4.0


async def test_no_answer_and_one_that_is_too_large_are_worth_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apns, "ANSWER_BYTES_MAX", 1_000)
    async with apple() as there:
        there.status = None
        assert (await send(there)).outcome is Outcome.BUSY
        there.status, there.body = 200, b"x" * 1_001
        assert (await send(there)).why == "the answer is too large"
    assert (await send(there)).outcome is Outcome.BUSY, "it is not there any more"


async def test_an_expired_token_is_replaced_for_the_next_try() -> None:
    clock = FakeClock()
    async with apple() as there:
        adapter = adapter_of(there, clock)
        there.refuse(403, "ExpiredProviderToken")
        await adapter.send(WAKE, IPHONE, TTL_S)
        clock.move(1_000)
        there.status, there.body = 200, b""
        assert await adapter.send(WAKE, IPHONE, TTL_S) == SENT
        await adapter.close()
    assert len({request.headers["authorization"] for request in there.seen}) == 2


async def test_the_token_of_a_phone_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with apple() as there:
        there.refuse(400, "BadTopic")
        await send(there)
    assert IPHONE.target not in caplog.text
