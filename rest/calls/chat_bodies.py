"""Shapes of a call's chat. Times are ISO 8601 in UTC."""

from datetime import datetime
from uuid import UUID

from rest.http.pages import Page
from signalling.events import Shape


class MessageView(Shape, frozen=True):
    """`id` and `sender` are those of the socket's `chat_message`. `read`: the other side has read
    it, or of one of theirs, you have."""

    id: UUID
    sender: UUID
    text: str
    created_at: datetime
    read: bool


class MessageList(Page, frozen=True):
    items: list[MessageView]
