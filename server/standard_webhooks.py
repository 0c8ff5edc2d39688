"""Signatures of webhooks as standardwebhooks.com has them: any library of that name verifies them.

What is signed is `<id>.<timestamp>.<body>`: the id tells repeats, the timestamp old copies.
"""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
# Bounds of the standard.
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64


def parse_secret(text: str) -> bytes:
    """The key in a secret of the form `whsec_<base64>`.

    Raises:
        ValueError: it has another form or size; the message does not repeat it.
    """
    if not text.startswith(PREFIX):
        raise ValueError(f"must begin with {PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be base64 after {PREFIX}") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"must hold {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
    return key


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of the header `webhook-signature`.

    Raises:
        ValueError: the secret is none, or the id has a full stop, which would make it ambiguous.
    """
    if "." in message_id:
        raise ValueError("a message id has no full stop")
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digest = hmac.new(parse_secret(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def headers(secret: str, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """All that a request carries besides its body and content type."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(secret, message_id, timestamp_s, body),
    }
