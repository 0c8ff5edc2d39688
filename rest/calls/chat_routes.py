"""What the two wrote to each other in a call, for them to read again."""

from __future__ import annotations

from aiohttp import web

from rest.calls.chat_bodies import MessageList, MessageView
from rest.calls.table import CALL_NOT_FOUND
from rest.http.body import read_query
from rest.http.identity import caller
from rest.http.pages import PageQuery, first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from storage import calls, chat
from storage.deadline import Deadline
from storage.pool import Pool

DEADLINE = Deadline(4.0)

_ID = "0198f2a0-0000-7000-8000-00000000000"
EXAMPLE = {
    "items": [
        {
            "id": f"{_ID}5",
            "sender": f"{_ID}3",
            "text": "Not at all.",
            "createdAt": "2026-01-01T10:00:40Z",
            "read": False,
        },
        {
            "id": f"{_ID}4",
            "sender": f"{_ID}2",
            "text": "Is sourdough hard?",
            "createdAt": "2026-01-01T10:00:30Z",
            "read": True,
        },
    ],
    "total": 2,
    "limit": 20,
    "offset": 0,
}


class ChatRoutes:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/calls/{id}/messages",
                self.messages,
                summary="The chat of a call of yours, live or over, the newest message first",
                returns=MessageList,
                query=PageQuery,
                tag="calls",
                aliases=("/conversations/{id}/messages",),
                errors=(CALL_NOT_FOUND,),
                example=EXAMPLE,
            )
        ]

    async def messages(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset, call_id = first_row(query), path_id(request)
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            if await calls.read_call(conn, caller(request).user_id, call_id) is None:
                raise CALL_NOT_FOUND.problem()
            # A call and its conversation share the id.
            found, total = await chat.list_messages(conn, call_id, query.limit, offset)
        items = [
            MessageView(
                id=each.id,
                sender=each.sender,
                text=each.text,
                created_at=each.created_at,
                read=each.read,
            )
            for each in found
        ]
        return reply(MessageList(items=items, total=total, limit=query.limit, offset=offset))
