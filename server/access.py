"""The one place where aiohttp-jwt is set up: who may pass to the routes that need a caller.

The library's middleware runs only in front of those routes (`Access.guard`), never as middleware
of the whole application, so that its whitelist stays empty and an unknown path stays a 404.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from uuid import UUID

import jwt
from aiohttp import hdrs, web
from aiohttp_jwt import JWTMiddleware

from rest.auth.tokens import ALGORITHM, AUDIENCE, ODD, TOKEN_CHARS_MAX, TokenKeys
from rest.http.errors import Problem
from rest.http.identity import IDENTITY, Identity, unauthorized
from rest.http.route import Handler
from signalling.codes import Refused

CHECKED_MAX = 20_000

_compact = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class Access:
    """Checks access tokens; `session_is_live` says whether a session has not been revoked."""

    def __init__(
        self,
        keys: TokenKeys,
        *,
        session_is_live: Callable[[UUID], bool],
        admit: Callable[[Identity], None] = lambda _: None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """`admit` may refuse a caller who is known; `wall_s` is the clock that PyJWT judges expiry
        by."""
        self._keys = keys
        self._session_is_live = session_is_live
        self._admit = admit
        self._wall_s = wall_s
        # Tokens whose signature was checked before: a phone sends the same one for minutes.
        self._checked: dict[str, Identity] = {}
        self._check = JWTMiddleware(
            keys.secret,
            request_property="access_claims",
            token_getter=bearer_token,
            is_revoked=self._is_revoked,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=keys.issuer,
        )
        # It logs a traceback for each bad token, which any passer-by can send.
        logging.getLogger("aiohttp_jwt.middleware").setLevel(logging.CRITICAL + 1)

    def guard(self, handler: Handler) -> Handler:
        """`handler`, but only for requests with a valid token; others get a 401."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            self._admit(await self.identify(request))
            return await handler(request)

        return guarded

    async def identify(self, request: web.Request) -> Identity:
        """Check the request's token and remember who it belongs to.

        Raises:
            Problem: 401 UNAUTHORIZED or TOKEN_EXPIRED, with its challenge.
        """
        token = bearer_token(request)
        known = None if token is None else self._known(token)
        if known is not None:
            request[IDENTITY] = known
            return known
        try:
            # The library passes on to an empty handler, so that whatever it raises is its own.
            await self._check(request, _passed)
        except (web.HTTPUnauthorized, web.HTTPForbidden, *ODD) as fault:
            raise _challenge(request, fault) from None
        found: Identity | None = request.get(IDENTITY)
        if found is None:
            # It lets OPTIONS pass without a look.
            raise unauthorized("UNAUTHORIZED", "Log in first.")
        if token is not None:
            self._remember(token, found)
        return found

    def _known(self, token: str) -> Identity | None:
        """Whose token this is, if it was checked before, still holds, and its session lives."""
        found = self._checked.get(token)
        if found is None:
            return None
        if found.expires_ms <= self._wall_s() * 1000 or not self._session_is_live(found.session_id):
            del self._checked[token]
            return None
        return found

    def _remember(self, token: str, identity: Identity) -> None:
        while len(self._checked) >= CHECKED_MAX:
            del self._checked[next(iter(self._checked))]  # The oldest stands first.
        self._checked[token] = identity

    def _is_revoked(self, request: web.Request, payload: Mapping[str, object]) -> bool:
        """What the library does not check: that every claim is there, and the session."""
        try:
            claims = self._keys.claims_of(payload)
        except Refused:
            return True
        if not self._session_is_live(claims.session_id):
            return True
        request[IDENTITY] = Identity(
            claims.user_id, claims.session_id, claims.roles, claims.expires_s * 1000
        )
        return False


def bearer_token(request: web.Request) -> str | None:
    """The token of the one `Authorization: Bearer ...` header; None for anything else."""
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(given) != 1:
        return None
    scheme, _, token = given[0].strip(" ").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or len(token) > TOKEN_CHARS_MAX:
        return None
    return token if _compact.fullmatch(token) else None


async def _passed(_request: web.Request) -> web.StreamResponse:
    return web.Response()


def _challenge(request: web.Request, fault: Exception) -> Problem:
    if hdrs.AUTHORIZATION not in request.headers:
        return unauthorized("UNAUTHORIZED", "Log in first.")
    if isinstance(fault.__context__, jwt.ExpiredSignatureError):
        return unauthorized("TOKEN_EXPIRED", "The access token has expired.", error="invalid_token")
    return unauthorized("UNAUTHORIZED", "The access token is not valid.", error="invalid_token")
