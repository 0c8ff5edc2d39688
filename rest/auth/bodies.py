"""What the routes of sign-up, log-in and sessions take and answer."""

from datetime import datetime
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
    """`name`, or `first_name` and `last_name`; all of them are optional at `/users/register` only.

    Nobody chooses roles.
    """

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


PhoneText = Annotated[str, Meta(max_length=32)]
Digits = Annotated[str, Meta(pattern="^[0-9]{6}$")]


class OtpSend(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"phone": "INVALID_PHONE"}

    phone: PhoneText


class OtpVerify(Body, frozen=True):
    """`role`, `name` and `password` are for an account that is made now, and ignored otherwise."""

    CODES: ClassVar[dict[str, str]] = {
        "phone": "INVALID_PHONE",
        "otp": "INVALID_OTP",
        "role": "INVALID_ROLE",
        "name": "INVALID_NAME",
        "password": "INVALID_PASSWORD",
    }

    phone: PhoneText
    otp: Digits
    role: Text | None = None
    name: Text | None = None
    password: Password | None = None


class PhoneVerify(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"phone": "INVALID_PHONE", "otp": "INVALID_OTP"}

    phone: PhoneText
    otp: Digits


class OtpSent(Shape, frozen=True):
    """`ttl` and `expiresIn` are the seconds for which the code is good.

    `devCode` is the code itself, in development only.
    """

    message: str
    ttl: int
    expires_in: int
    dev_code: str | UnsetType = UNSET


class SessionUser(Shape, frozen=True):
    """The caller's own account. `role` is the one to show first.

    `status` is a provider's presence now: online, break, busy or offline.
    """

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
    created_at: datetime
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


class SessionView(Shape, frozen=True):
    """One log-in of the caller. `current` is the one that asks."""

    id: UUID
    device: str | None
    created_at: datetime
    current: bool


class SessionList(Shape, frozen=True):
    sessions: list[SessionView]


class Me(Shape, frozen=True):
    user: SessionUser
