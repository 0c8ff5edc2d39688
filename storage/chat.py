"""Conversations, their members and messages."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection


class Message(msgspec.Struct, frozen=True):
    """A message as stored; `client_id` is its sender's own name for it."""

    id: UUID
    conversation: UUID
    sender: UUID
    client_id: str
    text: str
    created_ms: int


class Listed(msgspec.Struct, frozen=True):
    """A message in a list; `read`: by somebody it was written to."""

    id: UUID
    sender: UUID
    text: str
    created_at: datetime
    read: bool


COLUMNS = """id, conversation_id, sender_id, client_id, text,
       floor(extract(epoch from created_at) * 1000)::bigint"""

# Only a member's message is inserted; a repeated one is not.
SEND = f"""
insert into message (id, conversation_id, sender_id, client_id, text)
select $1, conversation_id, user_id, $4, $5
  from conversation_member where conversation_id = $2 and user_id = $3
    on conflict (conversation_id, sender_id, client_id) do nothing
returning {COLUMNS}
"""
SENT = f"""
select {COLUMNS} from message
 where conversation_id = $1 and sender_id = $2 and client_id = $3
"""
# Message ids grow with time, so the greatest one read is the last.
READ = """
update conversation_member m set read_up_to = $3
 where m.conversation_id = $1 and m.user_id = $2
   and (m.read_up_to is null or m.read_up_to < $3)
   and exists (select from message s where s.id = $3 and s.conversation_id = $1)
returning m.user_id
"""
# By id, as reading is: ids grow with time.
LIST = """
select m.id, m.sender_id, m.text, m.created_at,
       exists (select from conversation_member c
                where c.conversation_id = m.conversation_id and c.user_id <> m.sender_id
                  and c.read_up_to >= m.id)
  from message m where m.conversation_id = $1
 order by m.id desc limit $2 offset $3
"""
MEMBERS = "select user_id from conversation_member where conversation_id = $1 order by user_id"


async def open_call_conversation(conn: Connection, call_id: UUID, user_ids: Sequence[UUID]) -> UUID:
    """The conversation of a call, made if missing; its id is the call's."""
    await conn.execute(
        "with made as (insert into conversation (id, kind) values ($1, 'call') "
        "on conflict do nothing) "
        "insert into conversation_member (conversation_id, user_id) "
        "select $1, u from unnest($2::uuid[]) u on conflict do nothing",
        call_id,
        list(user_ids),
    )
    return call_id


async def members(conn: Connection, conversation: UUID) -> list[UUID]:
    """The members of a conversation; nobody if there is no such conversation."""
    return [row[0] for row in await conn.fetch(MEMBERS, conversation)]


async def send_message(
    conn: Connection, conversation: UUID, sender: UUID, client_id: str, text: str
) -> tuple[Message, bool, list[UUID]]:
    """Store a message, once for each `client_id` of a sender: the first one's text stands.

    Returns the message, whether it was stored just now, and the ids of all members.

    Raises:
        NotFound: no such conversation, or the sender is no member of it.
    """
    everybody = await members(conn, conversation)
    if sender not in everybody:
        raise NotFound("no such conversation")
    row = await conn.fetchrow(SEND, new_id(), conversation, sender, client_id, text)
    if row is not None:
        return Message(*row), True, everybody
    row = await conn.fetchrow(SENT, conversation, sender, client_id)
    if row is None:  # The member left in the meantime.
        raise NotFound("no such conversation")
    return Message(*row), False, everybody


async def mark_read(
    conn: Connection, conversation: UUID, user_id: UUID, message: UUID
) -> tuple[bool, list[UUID]]:
    """Everything up to `message` was read; never goes back.

    Returns whether that was news, and the ids of all members.

    Raises:
        NotFound: the user is no member, or the conversation has no such message.
    """
    everybody = await members(conn, conversation)
    if user_id not in everybody:
        raise NotFound("no such conversation")
    moved = await conn.fetchval(READ, conversation, user_id, message)
    if moved is None and not await conn.fetchval(
        "select exists (select from message where id = $1 and conversation_id = $2)",
        message,
        conversation,
    ):
        raise NotFound("no such message")
    return moved is not None, everybody


async def list_messages(
    conn: Connection, conversation: UUID, limit: int, offset: int
) -> tuple[list[Listed], int]:
    """A page of what was written, the newest first, and how much there is; none if nobody wrote.

    Whether the asker may read it is for the caller to know.
    """
    rows = await conn.fetch(LIST, conversation, limit, offset)
    total: int = await conn.fetchval(
        "select count(*) from message where conversation_id = $1", conversation
    )
    return [Listed(*row) for row in rows], total
