"""The caller's inbox, and announcements by the house."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency
from rest.http.identity import caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.notifications.announce import Announcement, promise
from rest.notifications.bodies import (
    AnnounceBody,
    AnnouncementAnswer,
    AnnouncementView,
    Inbox,
    InboxQuery,
    NotificationView,
    ReadAllAnswer,
    ReadAllBody,
    ReadAnswer,
    UnreadCount,
)
from signalling.events import Event, NotificationsRead
from storage import notifications
from storage.ids import new_id
from storage.notifications import Notification
from storage.pool import Connection, Pool, within

DB_S = 4.0

NO_NOTIFICATION = Fault(404, "NOTIFICATION_NOT_FOUND", "You have no such notification.")

ITEM_EXAMPLE = {
    "id": "0192f1a0-0000-7000-8000-000000000001",
    "type": "CALL_SUMMARY",
    "message": "You talked 3 min 20 s with Kai: 480 PTS.",
    "relatedEntityType": "call",
    "relatedEntityId": "0192f1a0-0000-7000-8000-000000000002",
    "isRead": False,
    "createdAt": "2026-01-05T09:30:00Z",
}


class NotificationRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        idempotency: Idempotency,
        tell: Callable[[UUID, Event], None],
    ) -> None:
        """`tell` sends an event to all devices of a user; it never waits."""
        self._pool = pool
        self._idempotency = idempotency
        self._tell = tell

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/notifications",
                self.inbox,
                summary="Your notifications, newest first",
                returns=Inbox,
                query=InboxQuery,
                tag="notifications",
                example={
                    "total": 1,
                    "limit": 20,
                    "offset": 0,
                    "unreadCount": 1,
                    "items": [ITEM_EXAMPLE],
                },
            ),
            Route(
                "GET",
                "/notifications/unread-count",
                self.unread,
                summary="How many of your notifications are unread",
                returns=UnreadCount,
                tag="notifications",
                example={"unreadCount": 1},
            ),
            Route(
                "PATCH",
                "/notifications/{id}/read",
                self.read,
                summary="Mark one of your notifications as read",
                returns=ReadAnswer,
                tag="notifications",
                errors=(NO_NOTIFICATION,),
                example={"notification": ITEM_EXAMPLE | {"isRead": True}, "unreadCount": 0},
            ),
            Route(
                "POST",
                "/notifications/read-all",
                self.read_all,
                summary="Mark your notifications as read, up to the newest that was shown",
                returns=ReadAllAnswer,
                body=ReadAllBody,
                body_optional=True,
                tag="notifications",
                errors=(NO_NOTIFICATION,),
                example={"readCount": 3, "unreadCount": 0},
            ),
            Route(
                "DELETE",
                "/notifications/{id}",
                self.delete,
                summary="Delete one of your notifications",
                returns=UnreadCount,
                tag="notifications",
                errors=(NO_NOTIFICATION,),
                example={"unreadCount": 0},
            ),
            Route(
                "POST",
                "/notifications/announce",
                self.announce,
                summary="Tell some or all users something, in the background",
                returns=AnnouncementAnswer,
                body=AnnounceBody,
                tag="notifications",
                status=202,
                roles=("admin",),
                errors=KEY_ERRORS,
                example={
                    "announcement": {
                        "id": "0192f1a0-0000-7000-8000-000000000003",
                        "message": "Summer: twice the bonus on every top-up until Sunday.",
                        "category": "marketing",
                    }
                },
            ),
        ]

    async def inbox(self, request: web.Request) -> web.Response:
        query = read_query(request, InboxQuery)
        offset = first_row(query)
        async with self._pool.acquire(timeout=DB_S) as conn:
            found, total, unread = await within(
                DB_S,
                notifications.list_of(
                    conn,
                    caller(request).user_id,
                    unread_only=query.unread_only,
                    type=query.type,
                    limit=query.limit,
                    offset=offset,
                ),
            )
        return reply(
            Inbox(
                total=total,
                limit=query.limit,
                offset=offset,
                unread_count=unread,
                items=[_view(each) for each in found],
            )
        )

    async def unread(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            count = await within(DB_S, notifications.count_unread(conn, caller(request).user_id))
        return reply(UnreadCount(unread_count=count))

    async def read(self, request: web.Request) -> web.Response:
        user_id = caller(request).user_id
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await within(DB_S, notifications.mark_read(conn, user_id, path_id(request)))
            if found is None:
                raise NO_NOTIFICATION.problem()
            unread = await self._tell_unread(conn, user_id)
        return reply(ReadAnswer(notification=_view(found), unread_count=unread))

    async def read_all(self, request: web.Request) -> web.Response:
        body = await read_body(request, ReadAllBody, optional=True)
        user_id = caller(request).user_id
        async with self._pool.acquire(timeout=DB_S) as conn:
            count = await within(DB_S, notifications.mark_all_read(conn, user_id, body.up_to))
            if count is None:
                raise NO_NOTIFICATION.problem(field="upTo")
            unread = await self._tell_unread(conn, user_id)
        return reply(ReadAllAnswer(read_count=count, unread_count=unread))

    async def delete(self, request: web.Request) -> web.Response:
        user_id = caller(request).user_id
        async with self._pool.acquire(timeout=DB_S) as conn:
            if not await within(DB_S, notifications.delete(conn, user_id, path_id(request))):
                raise NO_NOTIFICATION.problem()
            unread = await self._tell_unread(conn, user_id)
        return reply(UnreadCount(unread_count=unread))

    async def _tell_unread(self, conn: Connection, user_id: UUID) -> int:
        """What is left unread, after telling it to the user's other devices."""
        unread = await within(DB_S, notifications.count_unread(conn, user_id))
        self._tell(user_id, NotificationsRead(unread_count=unread))
        return unread

    async def announce(self, request: web.Request) -> web.Response:
        body = await read_body(request, AnnounceBody)

        async def work() -> web.Response:
            announcement = Announcement(
                id=new_id(),
                message=f"{body.title}: {body.message}" if body.title else body.message,
                category=body.category,
                user_ids=body.user_ids,
            )
            async with self._pool.acquire(timeout=DB_S) as conn:
                await within(DB_S, promise(conn, announcement))
            view = AnnouncementView(
                id=announcement.id, message=announcement.message, category=announcement.category
            )
            return reply(AnnouncementAnswer(announcement=view), 202)

        return await self._idempotency.once(request, body, work)


def _view(found: Notification) -> NotificationView:
    return NotificationView(
        id=found.id,
        type=found.type,
        message=found.message,
        related_entity_type=found.related_type,
        related_entity_id=found.related_id,
        is_read=found.is_read,
        created_at=found.created_at,
    )
