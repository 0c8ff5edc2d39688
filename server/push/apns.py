"""Pushes to iPhones by APNs over HTTP/2: VoIP pushes, which start the app and nothing else.

See https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
and the articles beside it. Needs the extra `push`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from server.push.port import SENT, Outcome, Said, payload
from server.push.tokens import apple_token
from server.push.wire import ANSWER_BYTES_MAX, DEADLINE_S, retry_after_s
from signalling.push import Wake
from storage.devices import Registered

API_URL = "https://api.push.apple.com"
SANDBOX_URL = "https://api.sandbox.push.apple.com"
# Apple refuses tokens older than an hour, and those who make a new one more often than in 20 min.
TOKEN_MS = 40 * 60_000
GONE = frozenset({"BadDeviceToken", "Unregistered", "ExpiredToken"})

_encode = msgspec.json.Encoder().encode


class _Refusal(msgspec.Struct, frozen=True):
    reason: str = ""


class ApnsPush:
    name = "apns"

    def __init__(
        self,
        key: EllipticCurvePrivateKey,
        *,
        key_id: str,
        team_id: str,
        bundle_id: str,
        clock: Callable[[], int],
        api_url: str = API_URL,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """`clock` gives Unix ms."""
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._topic = f"{bundle_id}.voip"
        self._clock = clock
        self._url = api_url
        self._token = ""
        self._token_until_ms = 0
        # It logs addresses, and those of APNs end in the token of a phone.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._client = httpx.AsyncClient(
            http1=False,
            http2=True,
            timeout=deadline_s,
            follow_redirects=False,
            trust_env=False,
            # What is not unpacked cannot be larger than what came.
            headers={"Accept-Encoding": "identity"},
        )

    async def send(self, wake: Wake, to: Registered, ttl_s: int) -> Said:
        headers = {
            "Authorization": f"bearer {self._provider_token()}",
            "apns-push-type": "voip",
            "apns-topic": self._topic,
            "apns-priority": "10",
            "apns-expiration": str(self._clock() // 1_000 + ttl_s),
            "Content-Type": "application/json",
        }
        body = _encode({"aps": {}} | payload(wake))
        url = f"{self._url}/3/device/{to.target}"
        raw = bytearray()
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as answer:
                async for chunk in answer.aiter_raw():
                    raw += chunk
                    if len(raw) > ANSWER_BYTES_MAX:
                        return Said(Outcome.BUSY, "the answer is too large")
                status, after = answer.status_code, answer.headers.get("Retry-After")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            # Its text may quote where it was sent to.
            return Said(Outcome.BUSY, f"no answer: {type(fault).__name__}")
        if status == 200:
            return SENT
        reason = _reason(bytes(raw))
        if status == 410 or (status == 400 and reason in GONE):
            return Said(Outcome.GONE)
        why = f"status {status} {reason}".strip()
        if status == 403 and reason == "ExpiredProviderToken":
            self._token_until_ms = 0
            return Said(Outcome.BUSY, why)
        if status == 429 or status >= 500:
            return Said(Outcome.BUSY, why, retry_after_s(after))
        return Said(Outcome.REFUSED, why)

    async def close(self) -> None:
        await self._client.aclose()

    def _provider_token(self) -> str:
        now_ms = self._clock()
        if now_ms >= self._token_until_ms:
            self._token = apple_token(
                self._key, key_id=self._key_id, team_id=self._team_id, now_s=now_ms // 1_000
            )
            self._token_until_ms = now_ms + TOKEN_MS
        return self._token


def _reason(raw: bytes) -> str:
    try:
        reason = msgspec.json.decode(raw, type=_Refusal).reason
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return reason if reason.isascii() and reason.isalnum() and len(reason) <= 40 else ""
