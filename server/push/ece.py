"""The encryption of web pushes (RFC 8291, aes128gcm of RFC 8188): only the browser reads."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_BYTES = 4_096
LAST_RECORD = b"\x02"
# What a record holds besides the content: the mark of its end, and the tag of the cipher.
PLAIN_BYTES_MAX = RECORD_BYTES - 17


def encrypt(
    plain: bytes,
    *,
    p256dh: bytes,
    auth: bytes,
    sender: EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body for a subscription with these keys. `sender` and `salt` are for tests: both are new
    for each message.

    Raises:
        ValueError: `p256dh` is no point of the curve, or there is too much to say.
    """
    if len(plain) > PLAIN_BYTES_MAX:
        raise ValueError("too long for one record")
    receiver = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), p256dh)
    sender = sender or generate_private_key(SECP256R1())
    salt = salt or os.urandom(16)
    public = point_of(sender)
    shared = sender.exchange(ECDH(), receiver)
    secret = _derive(shared, auth, b"WebPush: info\0" + p256dh + public, 32)
    key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(public)]) + public
    return head + AESGCM(key).encrypt(nonce, plain + LAST_RECORD, None)


def point_of(key: EllipticCurvePrivateKey) -> bytes:
    """The public half, uncompressed: 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
