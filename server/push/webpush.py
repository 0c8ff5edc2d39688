"""Pushes to browsers (RFC 8030), encrypted for them alone and signed by the operator (RFC 8292).

Where they go to is what a user has registered: only to push services that the operator trusts, only
to public addresses, and what comes back is hardly looked at.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)

from rest.devices.rules import endpoint_fault
from server.push.ece import encrypt, point_of
from server.push.port import SENT, Outcome, Said, payload
from server.push.tokens import vapid_token
from server.push.wire import NoAnswer, Wire
from signalling.push import Wake
from storage.devices import Registered

_encode = msgspec.json.Encoder().encode


def read_vapid_key(text: str) -> EllipticCurvePrivateKey:
    """A private key as web push tools make them: 32 bytes, base64url without padding.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64url") from None
    if len(raw) != 32:
        raise ValueError("must hold 32 bytes")
    try:
        return derive_private_key(int.from_bytes(raw), SECP256R1())
    except ValueError:
        raise ValueError("is no private key of the curve P-256") from None


def public_text(key: EllipticCurvePrivateKey) -> str:
    """The public half as browsers want it for `applicationServerKey`."""
    return base64.urlsafe_b64encode(point_of(key)).rstrip(b"=").decode()


def origin_of(endpoint: str) -> str:
    """Scheme, host and a port that is not the usual one (RFC 6454)."""
    parts = urlsplit(endpoint)
    port = f":{parts.port}" if parts.port not in (None, 443) else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


class WebPush:
    name = "webpush"

    def __init__(
        self,
        key: EllipticCurvePrivateKey,
        *,
        contact: str,
        hosts: Collection[str],
        clock: Callable[[], int],
        wire: Wire,
        plain: bool = False,
    ) -> None:
        """`contact` is a mailto: or https: address, `hosts` are those of trusted services. `clock`
        gives Unix ms. `plain` lets endpoints of this host be http, in development."""
        self._key = key
        self._public = public_text(key)
        self._contact = contact
        self._hosts = frozenset(hosts)
        self._clock = clock
        self._wire = wire
        self._plain = plain

    async def send(self, wake: Wake, to: Registered, ttl_s: int) -> Said:
        if (
            to.p256dh is None
            or to.auth is None
            or endpoint_fault(to.target, self._hosts, plain=self._plain)
        ):
            return Said(Outcome.REFUSED, "the endpoint is not allowed any more")
        try:
            body = encrypt(
                _encode({"type": "call"} | payload(wake)), p256dh=to.p256dh, auth=to.auth
            )
        except ValueError:
            return Said(Outcome.GONE)  # Keys that nobody has.
        token = vapid_token(
            self._key,
            audience=origin_of(to.target),
            contact=self._contact,
            now_s=self._clock() // 1_000,
        )
        headers = {
            "Authorization": f"vapid t={token}, k={self._public}",
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(ttl_s),
            "Urgency": "high",
        }
        try:
            answer = await self._wire.post(to.target, body, headers)
        except NoAnswer as fault:
            return Said(Outcome.BUSY, str(fault))
        if answer.is_sent:
            return SENT
        if answer.status in (404, 410):
            return Said(Outcome.GONE)
        return answer.busy() if answer.is_busy else Said(Outcome.REFUSED, f"status {answer.status}")

    async def close(self) -> None:
        await self._wire.close()
