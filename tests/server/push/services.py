"""What the tests of pushes share: a wake, a registration, and services that answer as they like."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from signalling.push import Wake
from storage.devices import Registered
from tests.rest.harness import START_MS

TTL_S = 20
WAKE = Wake(
    user_id=UUID(int=1),
    call_id=UUID(int=2),
    caller_name="Ann",
    kind="video",
    expires_at=START_MS + TTL_S * 1_000,
)
PAYLOAD = {
    "callId": str(WAKE.call_id),
    "callerName": "Ann",
    "kind": "video",
    "expiresAt": WAKE.expires_at,
}
PHONE = Registered(
    id=UUID(int=3),
    user_id=WAKE.user_id,
    device_id="phone",
    platform="android",
    provider="webhook",
    target="a-token-that-is-secret",
)
IPHONE = replace(PHONE, platform="ios", provider="apns", target="ab" * 32)


def clock() -> int:
    return START_MS
