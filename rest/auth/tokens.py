"""Access tokens (JWT, HS256) and refresh tokens (random, known to the database by hash only)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import jwt
import msgspec

from signalling.codes import Code, Refused
from storage.ids import new_id

ALGORITHM = "HS256"
AUDIENCE = "talktime"
TOKEN_CHARS_MAX = 3_000
SECRET_BYTES_MIN = 32
REFRESH_BYTES = 32
# What PyJWT and json raise for tokens that are not even malformed in the usual way.
ODD = (ValueError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says; times in Unix seconds."""

    user_id: UUID
    session_id: UUID
    roles: frozenset[str]
    issued_s: int
    expires_s: int
    token_id: str


class _Payload(msgspec.Struct, frozen=True):
    """The claims as they stand in the token; every one of them is required."""

    iss: str
    aud: Literal["talktime"]
    sub: UUID
    sid: UUID
    jti: Annotated[str, msgspec.Meta(min_length=1)]
    typ: Literal["access"]
    roles: list[str]
    iat: int
    exp: int


class TokenKeys:
    """Issues and reads access tokens. One secret signs them; another is derived for refreshing."""

    def __init__(self, secret: str, ttl_s: int = 900, issuer: str = "talktime") -> None:
        """
        Raises:
            ValueError: the secret has fewer than 32 bytes.
        """
        if len(secret.encode()) < SECRET_BYTES_MIN:
            raise ValueError(f"the token secret needs at least {SECRET_BYTES_MIN} bytes")
        self.secret = secret
        self.ttl_s = ttl_s
        self.issuer = issuer
        self._refresh_key = hmac.digest(secret.encode(), b"talktime refresh successor", "sha256")

    def issue(self, user_id: UUID, session_id: UUID, roles: Iterable[str], now_s: int) -> str:
        """A token valid from `now_s` for `ttl_s`. `now_s` is wall time: PyJWT compares with it."""
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": str(new_id()),
            "typ": "access",
            "roles": sorted(roles),
            "iat": now_s,
            "exp": now_s + self.ttl_s,
        }
        return jwt.encode(claims, self.secret, algorithm=ALGORITHM)

    def read(self, token: str) -> Claims:
        """The claims of a valid token. Whether its session still lives is the caller's question.

        Raises:
            Refused: token_expired, or unauthorized for anything else that is wrong with it.
        """
        if len(token) > TOKEN_CHARS_MAX:
            raise _unauthorized()
        try:
            payload = jwt.decode(
                token,
                self.secret,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self.issuer,
                options={"require": ["exp", "iat", "sub", "jti", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise Refused(Code.TOKEN_EXPIRED, "The access token has expired.") from None
        except (jwt.InvalidTokenError, *ODD):
            raise _unauthorized() from None
        return self.claims_of(payload)

    def claims_of(self, payload: Mapping[str, object]) -> Claims:
        """Check what signature and clock do not: every claim there, and of its own kind.

        Raises:
            Refused: unauthorized.
        """
        try:
            given = msgspec.convert(payload, _Payload)
        except msgspec.ValidationError:
            raise _unauthorized() from None
        if given.iss != self.issuer:
            raise _unauthorized()
        return Claims(given.sub, given.sid, frozenset(given.roles), given.iat, given.exp, given.jti)

    def next_refresh(self, token: str) -> str:
        """The one successor of a refresh token.

        Being derived, it is the same for a repeated request whose first answer got lost, and
        nobody without the server's secret can get from one token to the next.
        """
        return _text(hmac.digest(self._refresh_key, token.encode(), "sha256"))


def new_refresh() -> str:
    """A fresh refresh token: 256 random bits as 43 characters."""
    return _text(secrets.token_bytes(REFRESH_BYTES))


def refresh_hash(token: str) -> bytes:
    """What the database keeps of a refresh token."""
    return hashlib.sha256(token.encode()).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unauthorized() -> Refused:
    return Refused(Code.UNAUTHORIZED, "The access token is not valid.")
