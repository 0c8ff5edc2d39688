"""Shapes of the routes about people and where they are logged in."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body, Query
from rest.http.pages import Page, PageQuery
from signalling.events import Shape
from storage.people import Status

Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Role = Literal["customer", "admin", "companion", "technician", "store_owner", "delivery_partner"]


class ReasonBody(Body, frozen=True):
    """Why, for those who read the audit log."""

    CODES: ClassVar[dict[str, str]] = {"reason": "INVALID_REASON"}

    reason: Reason


class ReasonQuery(Query, frozen=True):
    """Why, for those who read the audit log."""

    CODES: ClassVar[dict[str, str]] = {"reason": "INVALID_REASON"}

    reason: Reason


class PersonQuery(PageQuery, frozen=True):
    """`q` is an id, a whole phone number, or the beginning of a name or an e-mail address."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "q": "INVALID_FILTER",
        "role": "INVALID_FILTER",
        "status": "INVALID_FILTER",
    }

    q: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    role: Role | None = None
    status: Status | None = None


class PersonView(Shape, frozen=True):
    """`balance` is what the wallet for calls holds, bonus included; `earnings` what is pending and
    available. `lastSeenAt` is the last log-in or renewal of one. Prices are per minute, null for
    those who sell nothing."""

    id: UUID
    name: str
    email: str | None
    phone: str | None
    roles: list[str]
    status: str
    created_at: datetime
    last_seen_at: datetime | None
    balance: int
    earnings: int
    currency: str
    price_audio: int | None
    price_video: int | None


class PersonList(Page, frozen=True):
    """`total` counts to 10,000."""

    items: list[PersonView]


class PersonDetail(PersonView, frozen=True):
    """`blocks` is how many they block, `blockedBy` how many block them. What refunded calls cost
    and earned is not in `spent` and `earned`."""

    blocks: int
    blocked_by: int
    calls_made: int
    calls_taken: int
    spent: int
    earned: int
    live_call_id: UUID | None


class PersonAnswer(Shape, frozen=True):
    user: PersonDetail


class StandingAnswer(Shape, frozen=True):
    """`sessionsEnded` is how many log-ins ended with it."""

    user: PersonView
    sessions_ended: int


class LoginView(Shape, frozen=True):
    """`device` is what the client called itself; `lastSeenAt` when the log-in was last renewed."""

    id: UUID
    device: str | None
    created_at: datetime
    last_seen_at: datetime


class LoginList(Page, frozen=True):
    items: list[LoginView]


class LoginsEnded(Shape, frozen=True):
    ended: int


_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOMEBODY = UUID("0198f2a0-0000-7000-8000-000000000002")
PERSON_EXAMPLE = PersonView(
    id=SOMEBODY,
    name="Kai",
    email="kai@example.org",
    phone="+4915112345678",
    roles=["customer", "companion"],
    status="active",
    created_at=_AT,
    last_seen_at=_AT,
    balance=1_200,
    earnings=3_400,
    currency="PTS",
    price_audio=120,
    price_video=200,
)
LOGIN_EXAMPLE = LoginView(
    id=UUID("0198f2a0-0000-7000-8000-000000000003"),
    device="TalkApp/2.1 (Android 15)",
    created_at=_AT,
    last_seen_at=_AT,
)
REASON_EXAMPLE = ReasonBody(reason="Reported by several callers.")
