"""What the routes of profiles and block lists take and answer."""

from datetime import date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Page
from rest.http.toggles import Toggles
from signalling.events import Shape


class ProfileChange(Body, frozen=True):
    """Only what changes; an empty `bio` clears it."""

    CODES: ClassVar[dict[str, str]] = {"name": "INVALID_NAME", "bio": "INVALID_BIO"}

    name: Annotated[str, Meta(max_length=300)] | None = None
    bio: Annotated[str, Meta(max_length=4_000)] | None = None


class FullProfile(Shape, frozen=True):
    """The caller's own account."""

    id: UUID
    name: str
    email: str | None
    phone: str | None
    avatar: str | None
    avatar_url: str | None
    bio: str | None
    gender: str | None
    birthday: date | None
    balance: int
    roles: list[str]
    role: str
    notifications: Toggles
    created_at: datetime


class FullProfileAnswer(Shape, frozen=True):
    user: FullProfile


class PublicProfile(Shape, frozen=True):
    """What anybody may see. `isProvider`: there is more at `/otomo/{id}`."""

    id: UUID
    name: str
    avatar_url: str | None
    bio: str | None
    is_provider: bool


class PublicProfileAnswer(Shape, frozen=True):
    user: PublicProfile


class BlockedUser(Shape, frozen=True):
    user_id: UUID
    name: str
    avatar_url: str | None
    blocked_at: datetime


class BlockList(Page, frozen=True):
    items: list[BlockedUser]


class BlockState(Shape, frozen=True):
    user_id: UUID
    blocked: bool
