"""Messages of development: on the terminal, and the last ones in memory. Never in a log."""

from __future__ import annotations

import sys
from collections import deque
from typing import TextIO

from rest.auth.sms.port import Message

KEPT_MAX = 50


class ConsoleSms:
    """`sent` holds the last 50 messages, oldest first. Production refuses to start with it."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.sent: deque[Message] = deque(maxlen=KEPT_MAX)
        self._out = out

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        print(f"SMS to {message.phone}: {message.text}", file=self._out or sys.stdout, flush=True)

    async def close(self) -> None:
        """Nothing is open."""
