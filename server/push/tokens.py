"""The signed tokens by which push services know the operator."""

from __future__ import annotations

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

RSA_BITS_MIN = 2_048
FCM_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
ASSERTION_S = 3_600
VAPID_S = 12 * 3_600


def read_ec_key(pem: str) -> EllipticCurvePrivateKey:
    """A key of the curve P-256, as Apple gives them.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    key = _load(pem)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("is no private key of the curve P-256")
    return key


def read_rsa_key(pem: str) -> RSAPrivateKey:
    """A key as Google gives them.

    Raises:
        ValueError: it is none, or too short; the message does not repeat it.
    """
    key = _load(pem)
    if not isinstance(key, RSAPrivateKey) or key.key_size < RSA_BITS_MIN:
        raise ValueError(f"is no private RSA key of {RSA_BITS_MIN} bits or more")
    return key


def _load(pem: str) -> object:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except Exception:
        # The library has many ways to say so, and some of them quote.
        raise ValueError("is no private key without a password, in PEM") from None


def google_assertion(
    key: RSAPrivateKey, *, key_id: str, email: str, audience: str, now_s: int
) -> str:
    """What is exchanged for an access token to FCM (RFC 7523)."""
    claims = {
        "iss": email,
        "scope": FCM_SCOPE,
        "aud": audience,
        "iat": now_s,
        "exp": now_s + ASSERTION_S,
    }
    return jwt.encode(claims, key, "RS256", headers={"kid": key_id})


def apple_token(key: EllipticCurvePrivateKey, *, key_id: str, team_id: str, now_s: int) -> str:
    """A provider token of APNs; Apple takes it for an hour."""
    return jwt.encode({"iss": team_id, "iat": now_s}, key, "ES256", headers={"kid": key_id})


def vapid_token(key: EllipticCurvePrivateKey, *, audience: str, contact: str, now_s: int) -> str:
    """Who sends to a web push service (RFC 8292)."""
    claims = {"aud": audience, "exp": now_s + VAPID_S, "sub": contact}
    return jwt.encode(claims, key, "ES256")
