"""The console of a coturn server: who uses it, and an end to what they use.

coturn looks at the time in a user's name only when an allocation is made: one that is refreshed
in time lives on, whatever its name says, until it is cancelled here. The console speaks plain text
(telnet), so it belongs on the loopback address or in a private network.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

WAIT_S = 3.0
ANSWER_BYTES_MAX = 8 << 20
READ_BYTES = 65_536
READY = b"> "
ASKS = b"password: "
_user = re.compile(rb"user: <([^>\s]+)>")
_session = re.compile(rb"id=(\d+), user <")
# What goes into a command: nothing that could be the end of it.
_name = re.compile(r"[A-Za-z0-9:.-]{1,200}")


class CoturnFault(Exception):
    """The console does not do what it should; the message says what."""


class Console:
    """A conversation with a console that has taken our password. Made by `console`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def users(self) -> set[str]:
        """The names of all who have sessions now."""
        return {name.decode("latin-1") for name in _user.findall(await self._ask("pu"))}

    async def end(self, user: str) -> int:
        """Cancel this user's sessions, at once; how many there were.

        Raises:
            ValueError: a name that coturn's console cannot be given.
        """
        if not _name.fullmatch(user):
            raise ValueError("a name of letters, digits, ':', '.' and '-'")
        sessions = _session.findall(await self._ask(f"ps {user}"))
        for session in sessions:
            await self._ask(f"cs {session.decode()}")
        return len(sessions)

    async def log_in(self, password: str) -> None:
        await self._until(ASKS)
        self._writer.write(password.encode() + b"\r\n")
        if not (await self._until(READY, ASKS)).endswith(READY):
            raise CoturnFault("the console refuses the password")

    async def _ask(self, command: str) -> bytes:
        self._writer.write(command.encode() + b"\r\n")
        return await self._until(READY)

    async def _until(self, *ends: bytes) -> bytes:
        """What comes, up to one of `ends` with nothing but blanks and line ends behind it."""
        answer = bytearray()
        async with asyncio.timeout(WAIT_S):
            while not bytes(answer[-16:]).rstrip(b"\r\n").endswith(ends):
                part = await self._reader.read(READ_BYTES)
                if not part:
                    raise CoturnFault("the console has hung up")
                answer += part
                if len(answer) > ANSWER_BYTES_MAX:
                    raise CoturnFault("the console says more than it should")
        return bytes(answer.rstrip(b"\r\n"))


@asynccontextmanager
async def console(host: str, port: int, password: str) -> AsyncIterator[Console]:
    """Raises:
    CoturnFault: not a console, or not with this password.
    OSError, TimeoutError: nobody answers there.
    """
    async with asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_connection(host, port)
    try:
        made = Console(reader, writer)
        await made.log_in(password)
        yield made
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
