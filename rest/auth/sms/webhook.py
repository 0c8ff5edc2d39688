"""Messages by the operator's own service: a signed JSON POST to its URL.

The body is `{"id", "to", "text"}`; the same `id` again is the same message again. 2xx means that
the service took it, 400, 404, 410 and 422 that this message will never go, and anything else that
it may go later. `X-Talktime-Signature` is `rest.http.signature`'s, over the raw body.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rest.auth.sms.port import Message, SmsDown, SmsRefused
from rest.auth.sms.wire import Wire
from rest.http.signature import sign

SIGNATURE_HEADER = "X-Talktime-Signature"
NEVER = (400, 404, 410, 422)

_encode = msgspec.json.Encoder().encode


class WebhookSms:
    def __init__(
        self, url: str, *, token: str, secret: str, clock: Callable[[], int], wire: Wire
    ) -> None:
        """`token` goes as bearer, `secret` signs and never goes; `clock` gives Unix ms."""
        self._url = url
        self._token = token
        self._secret = secret.encode()
        self._clock = clock
        self._wire = wire

    async def send(self, message: Message) -> None:
        raw = _encode({"id": message.id, "to": message.phone, "text": message.text})
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(message.id),
            SIGNATURE_HEADER: sign(self._secret, raw, self._clock() // 1000),
        }
        status, _ = await self._wire.post(self._url, raw, headers)
        if status in NEVER:
            raise SmsRefused(f"status {status}")
        if not 200 <= status < 300:
            raise SmsDown(f"status {status}")

    async def close(self) -> None:
        await self._wire.close()
