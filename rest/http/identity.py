"""Who is asking, as the access token said, and from where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from uuid import UUID

from aiohttp import web

from rest.http.errors import CHALLENGE, Fault, Problem
from storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Identity:
    """`expires_ms` is when the access token ends, in Unix ms."""

    user_id: UUID
    session_id: UUID
    roles: frozenset[str]
    expires_ms: int


NO_USER = Fault(404, "USER_NOT_FOUND", "There is no such account.")
# A stolen access token alone must not be enough to take an account over, to end it or to empty it.
FRESH_LOGIN_REQUIRED = Fault(
    403, "FRESH_LOGIN_REQUIRED", "Log in again; for ten minutes from then on this is allowed."
)
# Raises that for callers who have logged in too long ago.
CheckFresh = Callable[[Connection, Identity], Awaitable[None]]

ROLE_RANK = ("admin", "companion", "technician", "store_owner", "delivery_partner", "customer")
IDENTITY = web.RequestKey("identity", Identity)


def caller(request: web.Request) -> Identity:
    """The authenticated caller. Only for handlers of routes with `auth`.

    Raises:
        Problem: 401 UNAUTHORIZED, the request carries no identity.
    """
    found: Identity | None = request.get(IDENTITY)
    if found is None:
        raise unauthorized("UNAUTHORIZED", "Log in first.")
    return found


def unauthorized(code: str, message: str, *, error: str | None = None) -> Problem:
    """A 401 with its challenge (RFC 6750); `error` is the RFC's word, if a token was given."""
    challenge = f'{CHALLENGE}, error="{error}"' if error else CHALLENGE
    return Problem(401, code, message, headers={"WWW-Authenticate": challenge})


def main_role(roles: Collection[str]) -> str:
    """The role to show when an account has several; "customer" is everybody's."""
    return min(roles, key=lambda role: ROLE_RANK.index(role) if role in ROLE_RANK else 99)


def address_of(request: web.Request) -> str:
    """The client's address, as the key of a limit: an IPv6 client counts by its /64."""
    try:
        address = ip_address((request.remote or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
