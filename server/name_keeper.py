"""This process's hold on its name, which tells the others that it lives."""

from __future__ import annotations

import asyncio

import structlog

from server.poller import stop_task
from storage import nodes
from storage.nodes import NodeClaim
from storage.pool import LOST, Connection, connect

RETRY_S = 0.1
RETRY_MAX_S = 1.0

_log = structlog.stdlib.get_logger(__name__)


class NameKeeper:
    """Claims a name, and takes hold of it again whenever the connection that holds it is lost.

    Others may take this node for dead 2.5 s after that, if it does not beat either.
    """

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.conn: Connection

    async def claim(self, now_ms: int, currency: str) -> NodeClaim:
        """Begin a life under the name, and keep hold of it until `stop`.

        Raises:
            NodeTaken: another live process runs under this name.
        """
        self.conn = await self._connect()
        try:
            claim = await nodes.claim_node(self.conn, self._name, now_ms, currency)
        except BaseException:
            await self.conn.close()
            raise
        self._watch()
        self._task = asyncio.create_task(self._keep(), name="name keeper")
        return claim

    async def stop(self, epoch: int) -> None:
        """This life is over: nobody need wait for it to be taken for dead."""
        await stop_task(self._task)
        try:
            async with asyncio.timeout(RETRY_MAX_S):
                if not self.conn.is_closed():
                    await nodes.leave(self.conn, epoch)
        except LOST:
            pass  # Its silence will tell.
        finally:
            await self.conn.close(timeout=RETRY_MAX_S)

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            self._lost.clear()
            self.conn = await self._hold_again()
            self._watch()

    def _watch(self) -> None:
        """Only the connection that holds the name is missed when it ends."""
        self.conn.add_termination_listener(lambda _: self._lost.set())
        if self.conn.is_closed():
            self._lost.set()

    async def _hold_again(self) -> Connection:
        wait_s = 0.0
        while True:
            await asyncio.sleep(wait_s)
            wait_s = min(RETRY_MAX_S, wait_s * 2 or RETRY_S)
            try:
                conn = await self._hold()
            except LOST:
                continue
            if conn is not None:
                return conn
            # The old connection may not be dead yet for the database, or another process came.
            _log.warning("name_not_free", node=self._name)

    async def _hold(self) -> Connection | None:
        """A connection that holds the name; None if another one does."""
        conn = await self._connect()
        held = False
        try:
            held = await nodes.hold_name(conn, self._name)
        finally:
            if not held:
                await conn.close(timeout=RETRY_MAX_S)
        return conn if held else None

    async def _connect(self) -> Connection:
        return await connect(self._dsn, application_name="talktime claim", deadline_s=5.0)
