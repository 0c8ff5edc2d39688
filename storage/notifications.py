"""The inbox: what users are told besides the events of the socket.

Each row is made in the transaction of what it tells of, once for each `source`, and goes out to the
user's devices through the outbox after the commit.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from storage import outbox
from storage.ids import new_id
from storage.pool import Connection

TOPIC = "notification"

# The toggles; what has no category is always told.
Category = Literal["incoming_call", "call_summary", "wallet_alert", "marketing"]

ADD = """
insert into notification (id, user_id, type, message, related_type, related_id, source)
select $1, u.id, $3, $4, $5, $6, $7
  from users u left join notification_settings s on s.user_id = u.id
 where u.id = $2 and u.status = 'active'
   and case $8::text when 'incoming_call' then coalesce(s.incoming_call, true)
                     when 'call_summary' then coalesce(s.call_summary, true)
                     when 'wallet_alert' then coalesce(s.wallet_alert, true)
                     when 'marketing' then coalesce(s.marketing, false)
                     else true end
    on conflict do nothing
returning created_at
"""


async def add(
    conn: Connection,
    *,
    user_id: UUID,
    type: str,
    message: str,
    source: str,
    category: Category | None = None,
    related_type: str | None = None,
    related_id: UUID | None = None,
) -> bool:
    """Tell a user, in the caller's transaction; False if it was told before or is not wanted.

    `type` is a word in capitals (PAYMENT_COMPLETED), `message` a sentence for people, `source`
    names the occasion ("payment:<id>"). Call it after other locks, as `outbox.add`.
    """
    notification_id = new_id()
    created_at = await conn.fetchval(
        ADD, notification_id, user_id, type, message, related_type, related_id, source, category
    )
    if created_at is None:
        return False
    await outbox.add(
        conn,
        topic=TOPIC,
        user_id=user_id,
        body={
            "id": str(notification_id),
            "type": type,
            "message": message,
            "relatedEntityType": related_type,
            "relatedEntityId": None if related_id is None else str(related_id),
            "createdAt": int(created_at.timestamp() * 1000),
        },
    )
    return True
