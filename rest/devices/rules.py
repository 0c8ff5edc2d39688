"""What may be registered for pushes. An endpoint is an address that a stranger gives and the server
will send to: only those of trusted push services are taken."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection

from rest.devices.bodies import Registration
from rest.http.errors import Problem
from storage.devices import Wish

POINT_BYTES = 65
UNCOMPRESSED = 4
AUTH_BYTES = 16
PLATFORM_OF = {"apns": "ios", "fcm": "android", "webpush": "web"}

_device = re.compile(r"(?!rest\Z)[A-Za-z0-9._:@-]{1,64}", re.ASCII)
# A token of APNs becomes a part of a path.
_token = {
    "apns": re.compile(r"[0-9a-fA-F]{64,200}", re.ASCII),
    "fcm": re.compile(r"[A-Za-z0-9_:-]{10,4096}", re.ASCII),
    "webhook": re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII),
}
_endpoint = re.compile(r"https://([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::443)?/[\x21-\x7e]*", re.ASCII)
_here = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}/[\x21-\x7e]*", re.ASCII)


def endpoint_fault(url: str, hosts: Collection[str], *, plain: bool = False) -> str | None:
    """Why nothing is sent to this endpoint; None if it may be.

    `hosts` are trusted, with all below them. `plain` also lets this very machine be, in
    development.
    """
    if plain and _here.fullmatch(url):
        return None
    found = _endpoint.fullmatch(url)
    if found is None:
        return "This is not the https address of a push service."
    host = found[1]
    if not any(host == each or host.endswith(f".{each}") for each in hosts):
        return "This push service is not one that the server sends to."
    return None


def wish_of(body: Registration, *, hosts: Collection[str], plain: bool = False) -> Wish:
    """
    Raises:
        Problem: 400 INVALID_PAYLOAD with `details.field`.
    """
    if not _device.fullmatch(body.device_id):
        raise _wrong("deviceId", "The id of the device has other characters than in hello.")
    if body.platform != PLATFORM_OF.get(body.provider, body.platform):
        only = PLATFORM_OF[body.provider]
        raise _wrong("platform", f"{body.provider} is for {only} alone.")
    if body.provider == "webpush":
        return _subscribed(body, hosts, plain)
    if body.subscription is not None:
        raise _wrong("subscription", "Only webpush has a subscription.")
    if body.token is None or not _token[body.provider].fullmatch(body.token):
        raise _wrong("token", f"This is no token of {body.provider}.")
    return Wish(
        device_id=body.device_id,
        platform=body.platform,
        provider=body.provider,
        target=body.token,
    )


def _subscribed(body: Registration, hosts: Collection[str], plain: bool) -> Wish:
    subscription = body.subscription
    if subscription is None:
        raise _wrong("subscription", "webpush needs the subscription of the browser.")
    if body.token is not None:
        raise _wrong("token", "webpush has a subscription in place of a token.")
    fault = endpoint_fault(subscription.endpoint, hosts, plain=plain)
    if fault is not None:
        raise _wrong("subscription.endpoint", fault)
    point = _bytes(subscription.keys.p256dh)
    if point is None or len(point) != POINT_BYTES or point[0] != UNCOMPRESSED:
        raise _wrong("subscription.keys.p256dh", "This is not the public key of a browser.")
    auth = _bytes(subscription.keys.auth)
    if auth is None or len(auth) != AUTH_BYTES:
        raise _wrong("subscription.keys.auth", "This is not the secret of a browser.")
    return Wish(
        device_id=body.device_id,
        platform=body.platform,
        provider=body.provider,
        target=subscription.endpoint,
        p256dh=point,
        auth=auth,
    )


def _bytes(text: str) -> bytes | None:
    """Base64url, with its padding or without."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _wrong(field: str, message: str) -> Problem:
    return Problem(400, "INVALID_PAYLOAD", message, {"field": field})
