from __future__ import annotations

import msgspec
import pytest

from rest.auth.sms.port import SmsDown, SmsRefused
from rest.auth.sms.webhook import WebhookSms
from rest.auth.sms.wire import Wire
from rest.http.signature import Forged, check
from tests.rest.auth.sms.companies import MESSAGE, company, never, says

NOW_S = 1_800_000_000
SECRET = "a secret that signs messages, for tests only"


def sending(url: str, deadline_s: float = 5.0) -> WebhookSms:
    return WebhookSms(
        f"{url}/messages",
        token="bearer-token",
        secret=SECRET,
        clock=lambda: NOW_S * 1000,
        wire=Wire(deadline_s),
    )


async def send(sms: WebhookSms) -> None:
    try:
        await sms.send(MESSAGE)
    finally:
        await sms.close()


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_the_operator_gets_the_message_signed(status: int) -> None:
    async with company(says(status)) as there:
        await send(sending(there.url))
    request, raw = there.seen[0]
    assert (request.method, request.path) == ("POST", "/messages")
    assert request.content_type == "application/json"
    assert msgspec.json.decode(raw) == {
        "id": str(MESSAGE.id),
        "to": "+12025550123",
        "text": MESSAGE.text,
    }
    assert request.headers["Authorization"] == "Bearer bearer-token"
    assert request.headers["Idempotency-Key"] == str(MESSAGE.id)
    signature = request.headers["X-Talktime-Signature"]
    check([SECRET.encode()], signature, raw, NOW_S)
    with pytest.raises(Forged):
        check([SECRET.encode()], signature, raw + b" ", NOW_S)


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_what_will_never_go_is_refused(status: int) -> None:
    async with company(says(status, {"error": "no such number +12025550123"})) as there:
        with pytest.raises(SmsRefused, match=f"^status {status}$"):
            await send(sending(there.url))


@pytest.mark.parametrize("status", [401, 403, 408, 409, 429, 500, 503])
async def test_what_may_go_later_is_down(status: int) -> None:
    async with company(says(status)) as there:
        with pytest.raises(SmsDown, match=f"^status {status}$"):
            await send(sending(there.url))


async def test_a_slow_operator_is_down() -> None:
    async with company(never) as there:
        with pytest.raises(SmsDown):
            await send(sending(there.url, 0.2))
