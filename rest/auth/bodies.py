"""What the routes of sign-up, log-in and sessions take and answer."""

from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rest.http.body import Body
from signalling.events import Shape

# Outer bounds only; the rules that name the limits are in `rest/auth/rules.py`.
Text = Annotated[str, Meta(max_length=300)]
Password = Annotated[str, Meta(max_length=300)]


class Signup(Body, frozen=True):
    """`name`, or `first_name` and `last_name`. Nobody chooses roles."""

    CODES: ClassVar[dict[str, str]] = {
        "name": "INVALID_NAME",
        "first_name": "INVALID_NAME",
        "last_name": "INVALID_NAME",
        "firstName": "INVALID_NAME",
        "lastName": "INVALID_NAME",
        "email": "INVALID_EMAIL",
        "password": "INVALID_PASSWORD",
    }

    email: Text
    password: Password
    name: Text | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    first_name_snake: Text | None = msgspec.field(default=None, name="first_name")
    last_name_snake: Text | None = msgspec.field(default=None, name="last_name")


class Login(Body, frozen=True):
    """`email` or `phone`, and the password."""

    password: Password
    email: Text | None = None
    phone: Text | None = None


class Refresh(Body, frozen=True):
    """`refreshToken`, or `refresh_token`."""

    refresh_token: Text | None = None
    refresh_token_snake: Text | None = msgspec.field(default=None, name="refresh_token")


class SessionUser(Shape, frozen=True):
    """The caller's own account. `role` is the one to show first; `status` is a provider's."""

    id: UUID
    name: str
    email: str | None
    phone: str | None
    avatar: str | None
    avatar_url: str | None
    intro: str | None
    balance: int
    roles: list[str]
    role: str
    status: str | UnsetType = UNSET


class Tokens(Shape, frozen=True):
    """`token` is `accessToken`; both lifetimes are seconds of the access token."""

    token: str
    access_token: str
    refresh_token: str
    expires_in: int
    expires_in_snake: int = msgspec.field(name="expires_in")


class Session(Tokens, frozen=True):
    """A fresh log-in."""

    user: SessionUser


class Me(Shape, frozen=True):
    user: SessionUser
