"""Announcements: what the house tells some or all of its users, a batch of them at a time.

Each batch is one transaction that also promises the job of the next one, so a crash neither loses
nor repeats anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from rest.notifications.texts import ANNOUNCEMENT
from storage import jobs, notifications, users
from storage.notifications import Category, Notice
from storage.pool import Connection, Pool

JOB = "announce"
BATCH_MAX = 500


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """The job's payload. To `user_ids`, or to everybody from the one after `after` on."""

    id: UUID
    message: str
    category: Category | None
    user_ids: list[UUID] | None = None
    after: UUID = UUID(int=0)


async def promise(conn: Connection, announcement: Announcement) -> None:
    """Have it told after the caller's transaction."""
    payload = msgspec.to_builtins(announcement)
    await jobs.enqueue(conn, JOB, payload, key=f"{JOB}:{announcement.id}:{announcement.after}")


class Announcer:
    def __init__(self, pool: Pool, *, kick: Callable[[], None]) -> None:
        """`kick` wakes the outbox relay of this node."""
        self._pool = pool
        self._kick = kick

    async def announce(self, payload: dict[str, object]) -> None:
        """The job: tell the next batch. Done twice it tells nobody twice."""
        announcement = msgspec.convert(payload, Announcement)
        async with self._pool.acquire() as conn, conn.transaction():
            batch = announcement.user_ids
            if batch is None:
                batch = await users.list_active(conn, announcement.after, BATCH_MAX)
                if len(batch) == BATCH_MAX:
                    await promise(conn, msgspec.structs.replace(announcement, after=batch[-1]))
            await notifications.add_all(conn, _notices(announcement, batch))
        self._kick()


def _notices(announcement: Announcement, user_ids: Sequence[UUID]) -> list[Notice]:
    return [
        Notice(
            user_id=user_id,
            type=ANNOUNCEMENT,
            message=announcement.message,
            source=f"announcement:{announcement.id}",
            category=announcement.category,
            related_type="announcement",
            related_id=announcement.id,
        )
        for user_id in user_ids
    ]
