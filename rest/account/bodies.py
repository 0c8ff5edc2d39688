"""What the routes of profiles and block lists take and answer."""

from datetime import UTC, date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body, Query
from rest.http.pages import Page
from rest.http.toggles import Toggles
from signalling.events import Shape


class ProfileChange(Body, frozen=True):
    """Only what changes. An empty text clears `bio`, `gender` or `birthday`; null is as not sent.

    `birthday` is a date, YYYY-MM-DD.
    """

    CODES: ClassVar[dict[str, str]] = {
        "name": "INVALID_NAME",
        "bio": "INVALID_BIO",
        "gender": "INVALID_GENDER",
        "birthday": "INVALID_BIRTHDAY",
    }

    name: Annotated[str, Meta(max_length=300)] | None = None
    bio: Annotated[str, Meta(max_length=4_000)] | None = None
    gender: Annotated[str, Meta(max_length=300)] | None = None
    birthday: Annotated[str, Meta(max_length=10)] | None = None


class Deletion(Query, frozen=True):
    """`forfeit`: the money left in the wallet may go to the house."""

    forfeit: bool = False


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


class AvatarAnswer(Shape, frozen=True):
    """The address of the picture; a path is one on this server. `avatar` is `avatarUrl`."""

    avatar: str
    avatar_url: str


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


SOMEBODY = UUID("0192f1a0-0000-7000-8000-000000000001")
SOMEBODY_S_PICTURE = f"/media/avatars/{SOMEBODY}/6f1e0c1d2b3a49587766554433221100.webp"
FULL_PROFILE_EXAMPLE = FullProfileAnswer(
    user=FullProfile(
        id=SOMEBODY,
        name="Mia",
        email="mia@example.org",
        phone="+4915112345678",
        avatar=SOMEBODY_S_PICTURE,
        avatar_url=SOMEBODY_S_PICTURE,
        bio="Loves long walks.",
        gender="female",
        birthday=date(1996, 2, 29),
        balance=1_000,
        roles=["customer"],
        role="customer",
        notifications=Toggles(
            incoming_call=True, call_summary=True, wallet_alert=True, marketing=False
        ),
        created_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
    )
)
PUBLIC_PROFILE_EXAMPLE = PublicProfileAnswer(
    user=PublicProfile(
        id=SOMEBODY,
        name="Mia",
        avatar_url=SOMEBODY_S_PICTURE,
        bio="Loves long walks.",
        is_provider=False,
    )
)
AVATAR_EXAMPLE = AvatarAnswer(avatar=SOMEBODY_S_PICTURE, avatar_url=SOMEBODY_S_PICTURE)
BLOCK_LIST_EXAMPLE = BlockList(
    total=1,
    limit=20,
    offset=0,
    items=[
        BlockedUser(
            user_id=SOMEBODY,
            name="Mia",
            avatar_url=None,
            blocked_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
        )
    ],
)
