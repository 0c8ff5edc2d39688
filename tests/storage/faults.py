"""A pool whose connections break where a test wants them to."""

import asyncio
from typing import Any, cast

import asyncpg

from storage.pool import Connection, Pool


class Faults:
    """`lose_replies` commits happen, and their answer is lost; `lose_commits` connections break
    just before the commit; `refuse` turns every new connection down. With `gate` set, commits
    wait for it, and `at_gate` says that one does. `commits` counts those that reached the server.
    """

    def __init__(self, pool: Pool) -> None:
        self.inner = pool
        self.lose_replies = 0
        self.lose_commits = 0
        self.refuse = False
        self.gate: asyncio.Event | None = None
        self.at_gate = asyncio.Event()
        self.commits = 0

    @property
    def pool(self) -> Pool:
        return cast(Pool, self)

    async def acquire(self) -> Any:
        if self.refuse:
            raise ConnectionRefusedError("refused by the test")
        return _Connection(self, await self.inner.acquire())

    async def release(self, conn: Any) -> None:
        await self.inner.release(conn.inner)


class _Connection:
    def __init__(self, faults: Faults, inner: Connection) -> None:
        self._faults = faults
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def transaction(self) -> "_Transaction":
        return _Transaction(self._faults, self.inner)


class _Transaction:
    def __init__(self, faults: Faults, conn: Connection) -> None:
        self._faults = faults
        self._conn = conn
        self._inner = conn.transaction()

    async def start(self) -> None:
        await self._inner.start()

    async def rollback(self) -> None:
        await self._inner.rollback()

    async def commit(self) -> None:
        faults = self._faults
        if faults.gate is not None:
            faults.at_gate.set()
            await faults.gate.wait()
        if faults.lose_commits:
            faults.lose_commits -= 1
            self._conn.terminate()
            raise asyncpg.ConnectionDoesNotExistError("broken by the test before the commit")
        await self._inner.commit()
        faults.commits += 1
        if faults.lose_replies:
            faults.lose_replies -= 1
            raise asyncpg.ConnectionDoesNotExistError("broken by the test after the commit")
