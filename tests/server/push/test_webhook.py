"""The operator's webhook: what it is sent, how that is signed, and what its answers mean."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest

from server.push.port import SENT, Outcome, Said
from server.push.webhook import WebhookPush
from server.push.wire import Wire
from tests.rest.auth.sms.companies import Answer, company, never, says
from tests.rest.harness import START_MS
from tests.server.push.services import PAYLOAD, PHONE, TTL_S, WAKE, clock

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


async def send(url: str) -> Said:
    adapter = WebhookPush(url, secret=SECRET, clock=clock, wire=Wire(deadline_s=0.5))
    said = await adapter.send(WAKE, PHONE, TTL_S)
    await adapter.close()
    return said


async def test_the_operator_hears_whom_to_wake_signed() -> None:
    async with company(says(204)) as there:
        assert await send(f"{there.url}/push") == SENT
        assert await send(f"{there.url}/push") == SENT
    (request, raw), (again, _) = there.seen
    assert msgspec.json.decode(raw) == {
        "type": "call.incoming",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": PAYLOAD
        | {
            "ttlSeconds": TTL_S,
            "userId": str(PHONE.user_id),
            "deviceId": "phone",
            "platform": "android",
            "token": PHONE.target,
        },
    }
    message_id, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    assert at == str(START_MS // 1_000)
    digest = hmac.new(KEY, f"{message_id}.{at}.".encode() + raw, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert again.headers["webhook-id"] == message_id, "the same message once more"


@pytest.mark.parametrize(
    ("answer", "outcome", "after_s"),
    [
        (says(410), Outcome.GONE, None),
        (says(404), Outcome.REFUSED, None),
        (says(401), Outcome.REFUSED, None),
        (says(429, headers={"Retry-After": "2"}), Outcome.BUSY, 2.0),
        (says(503), Outcome.BUSY, None),
        (says(302, headers={"Location": "/"}), Outcome.BUSY, None),
        (never, Outcome.BUSY, None),
    ],
)
async def test_what_the_answers_mean(
    answer: Answer, outcome: Outcome, after_s: float | None
) -> None:
    async with company(answer) as there:
        said = await send(there.url)
    assert (said.outcome, said.retry_after_s) == (outcome, after_s)
    assert PHONE.target not in said.why


async def test_an_endpoint_that_is_down_is_worth_another_try() -> None:
    assert (await send("http://127.0.0.1:1/")).outcome is Outcome.BUSY
