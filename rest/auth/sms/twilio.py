"""Messages by Twilio: `POST /2010-04-01/Accounts/{sid}/Messages.json`, a form with basic auth.

See https://www.twilio.com/docs/messaging/api/message-resource. Twilio knows no idempotency key: a
message whose answer got lost is sent twice, with the same code.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import urlencode

import msgspec

from rest.auth.sms.port import Message, SmsDown, SmsRefused
from rest.auth.sms.wire import Wire

API_URL = "https://api.twilio.com"
# A sender is a phone number of the account's, or one of its messaging services.
SERVICE_PREFIX = "MG"


class _Refusal(msgspec.Struct, frozen=True):
    """What we read of `{"code", "message", "more_info", "status"}`; the message names the phone."""

    code: int


_decode = msgspec.json.Decoder(_Refusal).decode


class TwilioSms:
    def __init__(
        self, *, account_sid: str, auth_token: str, sender: str, wire: Wire, api_url: str = API_URL
    ) -> None:
        self._url = f"{api_url.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Messages.json"
        login = b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._authorization = f"Basic {login}"
        self._sender = sender
        self._wire = wire

    async def send(self, message: Message) -> None:
        by = "MessagingServiceSid" if self._sender.startswith(SERVICE_PREFIX) else "From"
        form = {"To": message.phone, by: self._sender, "Body": message.text}
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        status, raw = await self._wire.post(self._url, urlencode(form).encode(), headers)
        if status == 201:
            return
        code = _code_of(raw)
        # Twilio advises against reading more out of its codes: they are split ever finer.
        kind = SmsRefused if status == 400 and code is not None else SmsDown
        raise kind(f"status {status}, code {code}")

    async def close(self) -> None:
        await self._wire.close()


def _code_of(raw: bytes) -> int | None:
    try:
        return _decode(raw).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
