"""What a user wants to be told of. `storage/notifications.py` obeys it when it tells."""

from __future__ import annotations

from uuid import UUID

import msgspec

from storage.errors import NotFound
from storage.pool import Connection


class Toggles(msgspec.Struct, frozen=True):
    """One switch for each category of notifications; these are everybody's until they say else."""

    incoming_call: bool = True
    call_summary: bool = True
    wallet_alert: bool = True
    marketing: bool = False


READ = """
select incoming_call, call_summary, wallet_alert, marketing
  from notification_settings where user_id = $1
"""

CHANGE = """
insert into notification_settings as s
       (user_id, incoming_call, call_summary, wallet_alert, marketing)
select u.id, coalesce($2, true), coalesce($3, true), coalesce($4, true), coalesce($5, false)
  from users u where u.id = $1 and u.status <> 'deleted'
    on conflict (user_id) do update
   set incoming_call = coalesce($2, s.incoming_call), call_summary = coalesce($3, s.call_summary),
       wallet_alert = coalesce($4, s.wallet_alert), marketing = coalesce($5, s.marketing),
       updated_at = now()
returning incoming_call, call_summary, wallet_alert, marketing
"""


async def read_toggles(conn: Connection, user_id: UUID) -> Toggles:
    row = await conn.fetchrow(READ, user_id)
    return Toggles() if row is None else Toggles(*row)


async def change_toggles(
    conn: Connection,
    user_id: UUID,
    *,
    incoming_call: bool | None = None,
    call_summary: bool | None = None,
    wallet_alert: bool | None = None,
    marketing: bool | None = None,
) -> Toggles:
    """Change what is not None; returns all of them as they are then.

    Raises:
        NotFound: no such account.
    """
    row = await conn.fetchrow(CHANGE, user_id, incoming_call, call_summary, wallet_alert, marketing)
    if row is None:
        raise NotFound("There is no such account.", code="user_not_found")
    return Toggles(*row)
