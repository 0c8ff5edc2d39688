"""The tokens by which push services know the operator, as those services check them."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from server.push.tokens import (
    FCM_SCOPE,
    apple_token,
    google_assertion,
    read_ec_key,
    read_rsa_key,
    vapid_token,
)

NOW_S = 1_800_000_000
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65_537, 2_048)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> str:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


def claims(token: str, key: object, algorithm: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(
        token,
        key.public_key(),  # type: ignore[attr-defined]
        [algorithm],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
    )
    return found


def test_google_gets_an_assertion_for_an_hour_of_messaging() -> None:
    token = google_assertion(
        RSA_KEY, key_id="k1", email="a@b.example", audience="https://t", now_s=NOW_S
    )
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": "k1", "typ": "JWT"}
    assert claims(token, RSA_KEY, "RS256") == {
        "iss": "a@b.example",
        "scope": FCM_SCOPE,
        "aud": "https://t",
        "iat": NOW_S,
        "exp": NOW_S + 3_600,
    }


def test_apple_gets_the_team_and_the_time() -> None:
    token = apple_token(EC_KEY, key_id="K1", team_id="T1", now_s=NOW_S)
    assert jwt.get_unverified_header(token)["kid"] == "K1"
    assert claims(token, EC_KEY, "ES256") == {"iss": "T1", "iat": NOW_S}


def test_a_web_push_service_gets_a_contact_for_less_than_a_day() -> None:
    token = vapid_token(EC_KEY, audience="https://p", contact="mailto:a@b.example", now_s=NOW_S)
    assert claims(token, EC_KEY, "ES256") == {
        "aud": "https://p",
        "sub": "mailto:a@b.example",
        "exp": NOW_S + 12 * 3_600,
    }


def test_keys_are_read_from_pem() -> None:
    assert read_ec_key(pem(EC_KEY)).private_numbers() == EC_KEY.private_numbers()
    assert read_rsa_key(pem(RSA_KEY)).private_numbers() == RSA_KEY.private_numbers()


def test_other_keys_are_refused_without_quoting_them() -> None:
    short = rsa.generate_private_key(65_537, 1_024)
    other = ec.generate_private_key(ec.SECP384R1())
    for text in ("", "ä", "not a key", pem(EC_KEY, b"locked"), pem(RSA_KEY), pem(other)):
        with pytest.raises(ValueError, match=r"^is no private key"):
            read_ec_key(text)
    for text in ("", pem(EC_KEY), pem(short)):
        with pytest.raises(ValueError, match=r"^is no private"):
            read_rsa_key(text)
