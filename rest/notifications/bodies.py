"""What the routes of the inbox take and answer."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Page, PageQuery
from signalling.events import Shape

RECIPIENTS_MAX = 500

TypeWord = Annotated[str, Meta(pattern="^[A-Z][A-Z0-9_]{0,39}$")]


class InboxQuery(PageQuery, frozen=True):
    """`type` is a word as in the items, CALL_SUMMARY for one."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "unreadOnly": "INVALID_FILTER",
        "type": "INVALID_FILTER",
    }

    unread_only: bool = False
    type: TypeWord | None = None


class NotificationView(Shape, frozen=True):
    """`message` is English; an app in another language says it in its own words by `type` and
    the entity it is about (`relatedEntityType` "call": the call of that id)."""

    id: UUID
    type: str
    message: str
    related_entity_type: str | None
    related_entity_id: UUID | None
    is_read: bool
    created_at: datetime


class Inbox(Page, frozen=True):
    """`total` counts what matches the query, `unreadCount` all that is unread."""

    unread_count: int
    items: list[NotificationView]


class UnreadCount(Shape, frozen=True):
    unread_count: int


class ReadAnswer(Shape, frozen=True):
    notification: NotificationView
    unread_count: int


class ReadAllBody(Body, frozen=True):
    """`upTo` and everything older; without it all there is, also what has not been shown yet."""

    CODES: ClassVar[dict[str, str]] = {"upTo": "INVALID_NOTIFICATION_ID"}

    up_to: UUID | None = None


class ReadAllAnswer(Shape, frozen=True):
    """`readCount` were unread until now."""

    read_count: int
    unread_count: int


class AnnounceBody(Body, frozen=True):
    """To `userIds`, or to everybody. Category "marketing" goes to those who want it, null to all.

    The title is put before the message.
    """

    CODES: ClassVar[dict[str, str]] = {
        "title": "INVALID_TITLE",
        "message": "INVALID_MESSAGE",
        "category": "INVALID_CATEGORY",
        "userIds": "INVALID_USER_IDS",
    }

    message: Annotated[str, Meta(min_length=1, max_length=400)]
    title: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    category: Literal["marketing"] | None = "marketing"
    user_ids: Annotated[list[UUID], Meta(min_length=1, max_length=RECIPIENTS_MAX)] | None = None


class AnnouncementView(Shape, frozen=True):
    """`message` as it will stand in the inboxes."""

    id: UUID
    message: str
    category: str | None


class AnnouncementAnswer(Shape, frozen=True):
    announcement: AnnouncementView
