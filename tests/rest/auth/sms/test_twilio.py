"""Against a server that speaks as Twilio does; bodies as in its documentation."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import parse_qs

import pytest

from rest.auth.sms.port import SmsDown, SmsRefused
from rest.auth.sms.twilio import TwilioSms
from rest.auth.sms.wire import Wire
from tests.rest.auth.sms.companies import MESSAGE, Answer, company, flooding, never, says

ACCOUNT = "AC" + "0123456789abcdef" * 2
SERVICE = "MG" + "0123456789abcdef" * 2
CREATED = {
    "account_sid": ACCOUNT,
    "api_version": "2010-04-01",
    "body": MESSAGE.text,
    "direction": "outbound-api",
    "error_code": None,
    "error_message": None,
    "num_segments": "1",
    "sid": "SM" + "0123456789abcdef" * 2,
    "status": "queued",
    "to": MESSAGE.phone,
}


def refusal(status: int, code: int) -> Answer:
    body = {
        "code": code,
        "message": f"The 'To' number {MESSAGE.phone} is not a valid phone number.",
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return says(status, body)


async def send(url: str, sender: str = "+12025550100", deadline_s: float = 5.0) -> None:
    sms = TwilioSms(
        account_sid=ACCOUNT,
        auth_token="twilio-token",
        sender=sender,
        wire=Wire(deadline_s),
        api_url=url,
    )
    try:
        await sms.send(MESSAGE)
    finally:
        await sms.close()


@pytest.mark.parametrize(
    ("sender", "field"), [("+12025550100", "From"), (SERVICE, "MessagingServiceSid")]
)
async def test_a_message_is_a_form_with_basic_auth(sender: str, field: str) -> None:
    async with company(says(201, CREATED)) as there:
        await send(there.url, sender)
    request, raw = there.seen[0]
    assert request.method == "POST"
    assert request.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert request.content_type == "application/x-www-form-urlencoded"
    kind, _, login = request.headers["Authorization"].partition(" ")
    assert (kind, b64decode(login).decode()) == ("Basic", f"{ACCOUNT}:twilio-token")
    assert parse_qs(raw.decode()) == {
        "To": [MESSAGE.phone],
        field: [sender],
        "Body": [MESSAGE.text],
    }


@pytest.mark.parametrize("code", [21211, 21408, 21610, 21612, 21614])
async def test_a_message_that_twilio_cannot_send_is_refused(code: int) -> None:
    async with company(refusal(400, code)) as there:
        with pytest.raises(SmsRefused) as refused:
            await send(there.url)
    assert str(refused.value) == f"status 400, code {code}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal(401, 20003), "status 401, code 20003"),
        (refusal(404, 20404), "status 404, code 20404"),
        (refusal(429, 20429), "status 429, code 20429"),
        (refusal(503, 20503), "status 503, code 20503"),
        (says(500, "oops"), "status 500, code None"),
        (says(400, {"code": "21211"}), "status 400, code None"),
        (says(200, CREATED), "status 200, code None"),
        (says(301, headers={"Location": "https://example.org/"}), "the answer is a redirect"),
        (flooding, "the answer is too large"),
        (never, "no answer: "),
    ],
)
async def test_everything_else_may_go_later(answer: Answer, said: str) -> None:
    async with company(answer) as there:
        with pytest.raises(SmsDown) as down:
            await send(there.url, deadline_s=0.5)
    assert str(down.value).startswith(said)
