"""Single keys from a terminal, while other things run."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable

ENTER = ("\n", "\r")
ESCAPE = "\x1b"
BACKSPACE = ("\x7f", "\b")


class Keys:
    """`with Keys() as keys:` keys come one by one from `queue`, without Enter and without echo.

    Without a terminal (`there` is False) none ever come. The terminal is put back at the end.
    """

    def __init__(self, fd: int | None = None) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.there = False
        self._fd = fd
        self._restore: Callable[[], None] = lambda: None

    def __enter__(self) -> Keys:
        try:
            fd = sys.stdin.fileno() if self._fd is None else self._fd
            if os.isatty(fd):
                before = termios.tcgetattr(fd)
                self._restore = lambda: termios.tcsetattr(fd, termios.TCSADRAIN, before)
                tty.setcbreak(fd)
                asyncio.get_running_loop().add_reader(fd, self._read)
                self._fd, self.there = fd, True
        except (OSError, ValueError, termios.error):
            self.there = False  # Closed, or not a real terminal.
        return self

    def __exit__(self, *_: object) -> None:
        if self.there and self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._restore()

    def _read(self) -> None:
        assert self._fd is not None
        data = os.read(self._fd, 256)
        if not data:
            asyncio.get_running_loop().remove_reader(self._fd)
        for key in data.decode(errors="ignore"):
            self.queue.put_nowait(key)

    async def line(self) -> str:
        """Keys up to Enter as a text; nothing after Escape."""
        text = ""
        while (key := await self.queue.get()) not in ENTER:
            if key == ESCAPE:
                return ""
            text = text[:-1] if key in BACKSPACE else text + key
        return text.strip()
