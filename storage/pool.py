"""The PostgreSQL pool, its session settings, and the outer deadline of every operation.

Nothing may change the session of a pooled connection (`SET LOCAL` and `pg_advisory_xact_lock`
only): connections go back without asyncpg's reset query, which would cost a round trip each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from storage.deadline import Deadline
from storage.errors import Unavailable

if TYPE_CHECKING:
    Record: TypeAlias = asyncpg.Record
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    # At run time the classes of asyncpg are not generic.
    Record = asyncpg.Record
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection | PoolConnectionProxy

T = TypeVar("T")

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 2_000
IDLE_IN_TRANSACTION_MS = 10_000
CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 5.0
# A connection is replaced after so many.
QUERIES_MAX = 50_000
# So often it is looked which were not used since the last time: those are closed.
INACTIVE_S = 300.0
JSONB_VERSION = b"\x01"

# What asyncpg raises when the server is away, goes away, or cuts us off by one of the timeouts.
LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # The driver lost track of a connection that broke at an awkward moment.
    asyncpg.InternalClientError,
)
# asyncpg has one class for misuse, which is our mistake, and for a connection that is gone: closed
# before the end of a transaction, or taken back by the pool at that moment.
_GONE = ("clos", "released back to the pool")
# PostgreSQL gave up one of two transactions that stood in each other's way: nothing was done.
YIELDED = (asyncpg.TransactionRollbackError,)
NOW = "select (extract(epoch from clock_timestamp()) * 1000)::bigint"


def is_lost(error: BaseException) -> bool:
    """Whether `error`, raised by a driver, says that the database is away: try again later."""
    if isinstance(error, asyncpg.InterfaceError):
        return any(sign in str(error) for sign in _GONE)
    return isinstance(error, LOST)


async def read_now_ms(conn: Connection) -> int:
    """The database's clock, in Unix milliseconds: the one that all nodes share."""
    now_ms: int = await conn.fetchval(NOW)
    return now_ms


def _encode_jsonb(value: Any) -> bytes:
    return JSONB_VERSION + orjson.dumps(value)


def _decode_jsonb(data: bytes) -> Any:
    return orjson.loads(memoryview(data)[1:])


async def prepare_connection(conn: asyncpg.Connection[asyncpg.Record]) -> None:
    """Teach a fresh connection jsonb: Python values in and out, by orjson."""
    await conn.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
        format="binary",
    )


async def _keep_session(_conn: asyncpg.Connection[asyncpg.Record]) -> None:
    """Replaces the reset query; open transactions are rolled back by asyncpg all the same."""


class _Pool(Pool):
    """Lends a connection, and takes it back, at once where nothing has to be done with it.

    asyncpg makes a task and a shield of every return, for a reset query that we do not send, and
    sets a timer, which it takes back when it lends: a sixth of what a short request costs. It still
    does all but the timers whenever there is anything to do; `tend` stands for those.
    This uses its private parts; `tests/storage/test_pool_return.py` says which promises they keep.
    """

    __slots__ = ("_used",)

    def tend(self) -> None:
        """From now on close what nobody uses, but for as many as the pool is to keep."""
        # How often each had been given back when they were last looked at.
        self._used: dict[Any, int] = {}
        self._look_later()

    def _look_later(self) -> None:
        own: Any = self
        own._loop.call_later(INACTIVE_S, self._look)

    def _look(self) -> None:
        own: Any = self
        if self.is_closing():
            return
        used = {each._con: each._con._pool_release_ctr for each in own._holders if each._con}
        for conn, count in used.items():
            idle = conn._proxy is None and self._used.get(conn) == count
            if idle and self.get_size() > self.get_min_size():
                conn.terminate()
        self._used = used
        self._look_later()

    async def _acquire(self, timeout: float | None) -> Any:
        lent = self._lend() if timeout is None else None
        own: Any = super()
        return lent if lent is not None else await own._acquire(timeout)

    def _lend(self) -> Any:
        """The connection that came back last; None if it must be opened first, or waited for."""
        own: Any = self
        if own._closing or own._closed or own._queue is None or own._queue.empty():
            return None
        holder = own._queue._queue[-1]
        if not holder.is_connected() or holder._generation != own._generation:
            return None
        own._queue.get_nowait()
        holder._proxy = lent = PoolConnectionProxy(holder, holder._con)
        holder._in_use = own._loop.create_future()
        holder._timeout = None
        return lent

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:
        if not (type(connection) is PoolConnectionProxy and _is_clean(self, connection)):
            await super().release(connection, timeout=timeout)
            return
        lent: Any = connection
        # As `_on_release` of a connection that nobody listens to.
        lent._con._pool_release_ctr += 1
        lent._holder._release()


def _is_clean(pool: Any, lent: Any) -> bool:
    """Whether a lent connection of this pool is open, young, at rest, and as it was lent."""
    holder, conn = lent._holder, lent._con
    if conn is None or pool._closed or holder._pool is not pool or conn.is_closed():
        return False
    protocol = conn._protocol
    return not (
        protocol.is_in_transaction()
        or protocol._is_cancelling()
        or protocol.queries_count >= holder._max_queries
        or conn._top_xact is not None
        or conn._listeners
        or conn._log_listeners
        or holder._generation != pool._generation
    )


def server_settings(application_name: str) -> dict[str, str]:
    """The session settings every connection of ours starts with; the timeouts in ms."""
    return {
        "application_name": application_name,
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        # Our statements are short: compiling them costs more than it saves.
        "jit": "off",
        # Each is planned once per connection and stays right as tables grow: a plan made while a
        # table was small must not read all of it later, so whole-table scans are a last resort.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
    }


async def connect(
    dsn: str, *, application_name: str = "talktime", deadline_s: float | None = None
) -> asyncpg.Connection[asyncpg.Record]:
    """One connection outside any pool, with the pool's codec and session settings.

    `deadline_s` bounds each statement on our side too, for whoever has no deadline around it.
    """
    conn = await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=deadline_s,
        server_settings=server_settings(application_name),
    )
    await prepare_connection(conn)
    return conn


async def create_pool(
    dsn: str, *, min_size: int, max_size: int, application_name: str = "talktime"
) -> Pool:
    """Open a pool and its first `min_size` connections.

    Raises:
        Unavailable: the server does not answer.
    """
    pool = _Pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        max_queries=QUERIES_MAX,
        max_inactive_connection_lifetime=0,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        init=prepare_connection,
        reset=_keep_session,
        timeout=CONNECT_TIMEOUT_S,
        server_settings=server_settings(application_name),
    )
    try:
        await pool
    except LOST as error:
        raise Unavailable("the database does not answer") from error
    pool.tend()
    return pool


async def close_pool(pool: Pool) -> None:
    """Close all connections in an orderly way, or cut them if the server is not there for that."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await pool.close()
    except (*LOST, asyncpg.InterfaceError):
        pool.terminate()


# One for each length of time there is, which are few.
_deadline = lru_cache(maxsize=64)(Deadline)


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """Await a database operation, for `seconds` at most.

    Hand in a coroutine function called here, that awaits the driver inside: a lost pooled
    connection refuses even before there is anything to await.

    On the deadline the operation is cancelled, so its transaction is rolled back, unless the
    commit had already reached the server: what must happen once needs an operation key.

    Raises:
        Unavailable: out of time, or the connection was lost or refused.
    """
    try:
        async with _deadline(seconds)():
            return await awaitable
    except (*LOST, asyncpg.InterfaceError) as error:
        if is_lost(error):
            raise Unavailable("the database did not answer in time") from error
        raise
