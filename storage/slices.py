"""One slice of call work: everything that came, in one transaction on the combiner's connection."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from asyncpg.prepared_stmt import PreparedStatement

from storage import authorise, calls, meters, nodes
from storage.pool import LOST, Connection, Pool
from storage.works import (
    Authorise,
    Charge,
    HandOver,
    Note,
    NoteLegs,
    Outcome,
    Record,
    Settle,
    Work,
    accounts_of,
)

# The same slice may succeed on a new connection.
AGAIN = (
    *LOST,
    asyncpg.InterfaceError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InvalidSQLStatementNameError,
)


class Locked(Exception):
    """Some accounts are locked elsewhere, or do not exist; nothing was written."""

    def __init__(self, accounts: frozenset[int]) -> None:
        super().__init__()
        self.accounts = accounts


async def _record(conn: Connection, _epoch: int, works: Sequence[Record]) -> Sequence[Outcome]:
    return await calls.record(conn, works)


# Settling first frees slots and money for those who come after.
Step = Callable[[Connection, int, Sequence[Any]], Awaitable[Sequence[Outcome]]]
STEPS: tuple[tuple[type[Work], Step], ...] = (
    (Settle, meters.settle),
    (Charge, meters.charge),
    (Note, calls.note),
    (NoteLegs, calls.note_legs),
    (Record, _record),
    (HandOver, nodes.hand_over),
    (Authorise, authorise.authorise),
)


class Slices:
    """The connection on which slices are written, from the first one until `drop` or `release`."""

    def __init__(self, pool: Pool, epoch: int) -> None:
        self._pool = pool
        self._epoch = epoch
        self._conn: PoolConnectionProxy[asyncpg.Record] | None = None
        self._begin: PreparedStatement[asyncpg.Record] | None = None

    async def write(self, works: Sequence[Work], beat_ms: int) -> list[Outcome]:
        """One transaction for all works; returns their outcomes in order.

        `beat_ms` is as for `meters.begin`.

        Raises:
            Fenced: nothing was written. Locked: see there. Errors of AGAIN: written or not, nobody
            knows; `drop` must follow. Any other: nothing was written.
        """
        conn = self._conn
        if conn is None:
            conn = self._conn = await self._pool.acquire()
        if self._begin is None:
            self._begin = await conn.prepare(meters.BEGIN_ALL)
        accounts = {account for work in works for account in accounts_of(work)}
        places: dict[type[Work], list[int]] = {}
        for place, work in enumerate(works):
            places.setdefault(type(work), []).append(place)
        outcomes: list[Outcome | None] = [None] * len(works)
        try:
            name = self._begin.get_name()
            if not await meters.begin_all(conn, name, self._epoch, beat_ms, accounts):
                locked = await meters.begin(conn, self._epoch, beat_ms, accounts)
                if len(locked) < len(accounts):
                    raise Locked(frozenset(accounts) - locked)
            for kind, step in STEPS:
                group = places.get(kind)
                if group is None:
                    continue
                answers = await step(conn, self._epoch, [works[place] for place in group])
                for place, outcome in zip(group, answers, strict=True):
                    outcomes[place] = outcome
        except AGAIN:
            raise  # Out of reach: a rollback might hang, and dropping the connection is one.
        except Exception:
            await conn.execute("rollback")
            raise
        await conn.execute("commit")
        return cast(list[Outcome], outcomes)

    async def missing(self, accounts: Collection[int]) -> frozenset[int]:
        """Those of the accounts that do not exist. Only after a `write`."""
        assert self._conn is not None
        rows = await self._conn.fetch(
            "select id from account where id = any ($1::bigint[])", list(accounts)
        )
        return frozenset(accounts).difference(row[0] for row in rows)

    def drop(self) -> None:
        """Leave the connection: the server rolls back, or has committed already."""
        conn, self._conn, self._begin = self._conn, None, None
        if conn is not None:
            # One that broke by itself has gone back to the pool already.
            with contextlib.suppress(asyncpg.InterfaceError):
                conn.terminate()

    async def release(self) -> None:
        """Give the connection back to the pool."""
        conn, self._conn, self._begin = self._conn, None, None
        if conn is not None:
            await self._pool.release(conn)
