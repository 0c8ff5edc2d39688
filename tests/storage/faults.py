"""A pool whose connections break where a test wants them to."""

import asyncio
from typing import Any, cast

import asyncpg

from storage.pool import Connection, Pool


class Faults:
    """`lose_replies` commits happen, and their answer is lost; `lose_commits` connections break
    just before the commit; `refuse` turns every new connection down. With `gate` set, commits
    wait for it, and `at_gate` says that one does. `commits` counts those that reached the server.
    `lent` is the connection that was given last.
    """

    def __init__(self, pool: Pool) -> None:
        self.inner = pool
        self.lose_replies = 0
        self.lose_commits = 0
        self.refuse = False
        self.gate: asyncio.Event | None = None
        self.at_gate = asyncio.Event()
        self.commits = 0
        self.lent: Connection | None = None

    @property
    def pool(self) -> Pool:
        return cast(Pool, self)

    async def acquire(self) -> Any:
        if self.refuse:
            raise ConnectionRefusedError("refused by the test")
        self.lent = await self.inner.acquire()
        return _Connection(self, self.lent)

    async def release(self, conn: Any) -> None:
        await self.inner.release(conn.inner)


class _Connection:
    def __init__(self, faults: Faults, inner: Connection) -> None:
        self._faults = faults
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def execute(self, query: str) -> str:
        if query != "commit":
            return await self.inner.execute(query)
        faults = self._faults
        if faults.gate is not None:
            faults.at_gate.set()
            await faults.gate.wait()
        if faults.lose_commits:
            faults.lose_commits -= 1
            self.inner.terminate()
            raise asyncpg.ConnectionDoesNotExistError("broken by the test before the commit")
        done = await self.inner.execute(query)
        faults.commits += 1
        if faults.lose_replies:
            faults.lose_replies -= 1
            raise asyncpg.ConnectionDoesNotExistError("broken by the test after the commit")
        return done
