"""The port to whoever carries text messages. An adapter implements `Sms`; nothing else knows it.

An adapter's exceptions are kept with failed jobs and logged: they name neither phone nor text.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec


class Message(msgspec.Struct, frozen=True):
    """`phone` is E.164. `id` is the same when the same message is sent again."""

    id: UUID
    phone: str
    text: str


class SmsDown(Exception):
    """Not sent; it may go later, or when the operator has mended the settings."""


class SmsRefused(Exception):
    """This message will never go: the number does not exist, or has opted out."""


class Sms(Protocol):
    async def send(self, message: Message) -> None:
        """Hand the message over; whether it arrives is not known here.

        Raises:
            SmsDown, SmsRefused: it was not taken.
        """
        ...

    async def close(self) -> None: ...
