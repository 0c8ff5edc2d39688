"""What the routes of push registrations take and answer."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from signalling.events import Shape

Platform = Literal["ios", "android", "web"]
Provider = Literal["fcm", "apns", "webpush", "webhook"]
Key = Annotated[str, Meta(min_length=16, max_length=120)]


class SubscriptionKeys(Body, frozen=True):
    """Base64url, as the browser gives them."""

    p256dh: Key
    auth: Key


class Subscription(Body, frozen=True):
    """A browser's `PushSubscription`, as its `toJSON()` has it; `expirationTime` is not used."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=2_048)]
    keys: SubscriptionKeys
    expiration_time: float | None = None


class Registration(Body, frozen=True):
    """`deviceId` is the one of `hello`. `token` for all providers but `webpush`, which needs the
    `subscription`."""

    device_id: Annotated[str, Meta(min_length=1, max_length=64)]
    platform: Platform
    provider: Provider
    token: Annotated[str, Meta(min_length=1, max_length=4_096)] | None = None
    subscription: Subscription | None = None


class PushDevice(Shape, frozen=True):
    """`tokenHint` is the end of a long token; empty for short ones and subscriptions."""

    id: UUID
    device_id: str
    platform: Platform
    provider: Provider
    token_hint: str
    created_at: datetime
    updated_at: datetime


class PushDeviceAnswer(Shape, frozen=True):
    device: PushDevice


class PushDevices(Shape, frozen=True):
    """The one registered or renewed last comes first."""

    devices: list[PushDevice]


class PushOptions(Shape, frozen=True):
    """`providers` are those that a device may register with; `vapidPublicKey` is what a browser
    takes as `applicationServerKey`, null without web push."""

    providers: list[Provider]
    vapid_public_key: str | None


REGISTRATION_EXAMPLE = Registration(
    device_id="8c0d9b7e-phone",
    platform="android",
    provider="fcm",
    token="fGx2yP0LQ0u7:APA91bH-example-of-a-token",
)
DEVICE_EXAMPLE = {
    "id": "0192f1a0-0000-7000-8000-00000000000d",
    "deviceId": "8c0d9b7e-phone",
    "platform": "android",
    "provider": "fcm",
    "tokenHint": "-token",
    "createdAt": "2026-01-31T09:30:00Z",
    "updatedAt": "2026-02-01T08:00:00Z",
}
OPTIONS_EXAMPLE = {
    "providers": ["apns", "fcm", "webpush"],
    "vapidPublicKey": "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w"
    "EqKK6PBru3jl7A8",
}
