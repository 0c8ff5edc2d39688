"""One connection to Redis under deadlines of our own, and the scripts that go over it.

The client's own retries are off: with them, a server that has stopped to answer is waited for
without an end.
"""

from __future__ import annotations

import asyncio
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from signalling.nodes.bus import Misconfigured
from signalling.nodes.wire import Wire
from storage.errors import Unavailable

DEADLINE_S = 0.5
CONNECT_S = 0.5
ERRORS = {
    "NOSCRIPT": NoScriptError,
    "NOAUTH": AuthenticationError,
    "WRONGPASS": AuthenticationError,
    "NOPERM": NoPermissionError,
}
REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)


class Script:
    def __init__(self, name: str) -> None:
        self.source = (Path(__file__).parent / "lua" / f"{name}.lua").read_text()
        self.digest = sha1(self.source.encode(), usedforsecurity=False).hexdigest()


class Server:
    """Where Redis is. `name` is for logs and has no password in it."""

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,  # Deadlines are ours, over connecting, sending and reading.
            socket_connect_timeout=CONNECT_S,
        )
        given = self._pool.connection_kwargs
        self.name = str(given.get("path") or f"{given.get('host')}:{given.get('port', 6379)}")

    def connection(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection


class Line:
    """One connection, opened when needed and closed by any trouble, for one caller at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: AbstractConnection | None = None
        self._wire: Wire | None = None

    async def call(self, *command: Any, deadline_s: float = DEADLINE_S) -> Any:
        """The answer, with texts as bytes.

        Raises:
            Unavailable: no answer, or an error instead of one.
            Misconfigured: this node may not do that.
        """
        try:
            wire = self._wire
            if wire is None or wire.lost:
                began_s = monotonic()
                async with asyncio.timeout(deadline_s):
                    wire = await self._open()
                deadline_s -= monotonic() - began_s
            return await wire.ask(command, deadline_s)
        except NoScriptError:
            raise
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise self._understood(error) from None
        except BaseException:  # Cancelled: an answer may still come, and it is for nobody else.
            await self.close()
            raise

    async def _open(self) -> Wire:
        """The client connects and logs in; what follows goes by the wire."""
        await self.close()
        connection = self._connection = self._server.connection()
        await connection.connect()  # type: ignore[no-untyped-call]
        # The client has no public name for what it reads and writes by.
        writer: asyncio.StreamWriter | None = connection._writer
        if writer is None or self._connection is not connection:
            raise ConnectionError("it was closed before it was open")
        self._wire = Wire(cast(asyncio.Transport, writer.transport), said)
        return self._wire

    async def run(self, script: Script, *arguments: Any) -> Any:
        """As `call`."""
        try:
            return await self.call("EVALSHA", script.digest, 0, *arguments)
        except NoScriptError:
            return await self.call("EVAL", script.source, 0, *arguments)

    def _understood(self, error: Exception) -> Misconfigured | Unavailable:
        # While it connects, the client wraps what the server said.
        for said in (error, error.__cause__):
            if isinstance(said, REFUSALS):
                return Misconfigured(
                    f"Redis at {self._server.name} refuses this node ({said}): "
                    "check the user and the password in REDIS_URL"
                )
        return Unavailable(f"Redis: {type(error).__name__}")

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._wire = None
        if connection is not None:
            await connection.disconnect(nowait=True)


def said(text: str) -> Exception:
    """An error of Redis, as the client raises it."""
    return ERRORS.get(text.partition(" ")[0], ResponseError)(text)
