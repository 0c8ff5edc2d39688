"""Pushes by the operator's own service: a JSON POST, signed as Standard Webhooks has it.

The body is `{"type": "call.incoming", "timestamp", "data": {...}}`; `data` holds what the phone
shall be told and whom it is for. 2xx means that the service took it, 410 that it does not know this
token any more; 408, 429 and 5xx are asked once more, with the same `webhook-id`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from server import standard_webhooks
from server.push.port import SENT, Outcome, Said, payload
from server.push.wire import NoAnswer, Wire
from signalling.push import Wake
from storage.devices import Registered

EVENT = "call.incoming"

_encode = msgspec.json.Encoder().encode


class WebhookPush:
    name = "webhook"

    def __init__(self, url: str, *, secret: str, clock: Callable[[], int], wire: Wire) -> None:
        """`clock` gives Unix ms."""
        self._url = url
        self._secret = secret
        self._clock = clock
        self._wire = wire

    async def send(self, wake: Wake, to: Registered, ttl_s: int) -> Said:
        now_s = self._clock() // 1_000
        body = _encode(
            {
                "type": EVENT,
                "timestamp": datetime.fromtimestamp(now_s, UTC),
                "data": payload(wake)
                | {
                    "ttlSeconds": ttl_s,
                    "userId": to.user_id,
                    "deviceId": to.device_id,
                    "platform": to.platform,
                    "token": to.target,
                },
            }
        )
        # The same call to the same device is the same message, also when it is sent again.
        message_id = f"wake_{wake.call_id.hex}_{to.id.hex}"
        headers = {
            "Content-Type": "application/json",
            **standard_webhooks.headers(self._secret, message_id, now_s, body),
        }
        try:
            answer = await self._wire.post(self._url, body, headers)
        except NoAnswer as fault:
            return Said(Outcome.BUSY, str(fault))
        if answer.is_sent:
            return SENT
        if answer.status == 410:
            return Said(Outcome.GONE)
        return answer.busy() if answer.is_busy else Said(Outcome.REFUSED, f"status {answer.status}")

    async def close(self) -> None:
        await self._wire.close()
