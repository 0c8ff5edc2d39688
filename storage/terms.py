"""What a call request is judged by; requests of one moment are read together.

Moments are the node clock's Unix milliseconds, amounts minor units.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from msgspec.structs import astuple

from storage.calls import Person
from storage.errors import Unavailable
from storage.pool import LOST, Connection, Pool, Record, within

READ_S = 4.0
# The same query may succeed on another connection.
BROKEN = (*LOST, asyncpg.InterfaceError)


class Offering(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's terms for the kind of call that is asked for.

    `tariff` names the stock tariff; `share_bps` None means the deployment's default.
    """

    display_name: str
    tariff: str
    price_minor: int
    share_bps: int | None
    availability: str


class KnownCall(msgspec.Struct, frozen=True):
    call_id: UUID
    caller_id: UUID
    callee_id: UUID
    state: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides on a call request, as of one moment.

    `wallet` is the caller's call credits account, `bonus` that of their bonus money if it holds
    any, and `available_minor` what may be spent from both; `earnings` the callee's pending
    earnings, None without a provider profile. `known` is the call stored for this (caller, device,
    request id), or else any call with the wished id.
    `unanswered` counts the caller's calls to this callee in the last 10 minutes that nobody came
    to talk in, the oldest at `unanswered_since_ms`; `calls_last_hour` all calls the caller
    requested, up to the ask's `calls_max`. `wakeable`: a device of the callee's is registered for
    pushes.
    """

    caller: Person
    callee: Person
    provider: Offering | None
    blocked: bool
    wallet: int
    bonus: int | None = None
    available_minor: int
    currency: str
    earnings: int | None
    known: KnownCall | None
    unanswered: int
    unanswered_since_ms: int | None
    calls_last_hour: int
    wakeable: bool = False


class Ask(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A request, as far as its terms depend on it; the fields in the order of the parameters.

    The callee is named by id, or else by phone number (E.164). Calls of the last hour are counted
    up to `calls_max`: whoever compares them with a maximum need not know by how much they exceed.
    """

    caller_id: UUID
    callee_id: UUID | None
    callee_phone: str | None
    kind: str
    device: str
    request_id: str | None
    call_id: UUID | None
    now_ms: int
    calls_max: int


# One plan is kept for all batches, perhaps made while the tables were empty, and must stay good:
# - the limit leaves none out, but makes the planner expect few asks and look each of them up;
# - what callers did lately is looked for among their own calls, which are limited; a callee's and
#   those of a caller's whole life are not. The orders, and `between`, name the index to use.
# The arrays are in the select list because there they are taken apart in step, which is cheaper
# than in the from clause. The reasons are ends for which nobody came to talk, and not by the
# server's fault.
TERMS = """
select q.n, caller.name, caller.avatar_url, caller.status,
       callee.id, callee.name, callee.avatar_url, callee.status,
       p.display_name, p.tariff,
       case when q.kind = 'video' then p.price_video_minor else p.price_audio_minor end,
       p.share_bps, p.availability,
       exists (select from block b where b.user_id = caller.id and b.blocked_id = callee.id)
       or exists (select from block b where b.user_id = callee.id and b.blocked_id = caller.id),
       wallet.id,
       wallet.posted - wallet.held - wallet.floor + coalesce(bonus.posted - bonus.held, 0),
       wallet.currency, earnings.id,
       known.id, known.caller_id, known.callee_id, known.state,
       tried.times, (extract(epoch from tried.since) * 1000)::bigint,
       least(tried.calls, q.calls_max), bonus.id,
       exists (select from push_device d where d.user_id = callee.id)
  from (select unnest($1::int[]) as n, unnest($2::uuid[]) as caller_id,
               unnest($3::uuid[]) as callee_id, unnest($4::text[]) as callee_phone,
               unnest($5::text[]) as kind, unnest($6::text[]) as device,
               unnest($7::text[]) as request_id, unnest($8::uuid[]) as call_id,
               unnest($9::bigint[]) as now_ms, unnest($10::bigint[]) as calls_max
         limit $11) q
  join users caller on caller.id = q.caller_id
  join account wallet on wallet.owner = caller.id and wallet.kind = 'call_credits'
  left join account bonus on bonus.owner = caller.id and bonus.kind = 'bonus'
                         and bonus.currency = wallet.currency and bonus.posted > bonus.held
  join users callee
    on callee.id = coalesce(q.callee_id, (select u.id from users u where u.phone = q.callee_phone))
  left join provider p on p.user_id = callee.id
  left join account earnings on earnings.owner = p.user_id and earnings.kind = 'earnings_pending'
                            and earnings.currency = wallet.currency
  left join call known
    on known.id = coalesce((select c.id from call c
                             where c.caller_id = q.caller_id and c.caller_device = q.device
                               and c.request_id between q.request_id and q.request_id
                             order by c.request_id limit 1), q.call_id)
 cross join lateral (
       select count(*) as calls, count(*) filter (where o.nobody) as times,
              min(o.created_at) filter (where o.nobody) as since
         from (select c.created_at,
                      c.callee_id = callee.id and c.connected_at is null
                      and c.reason in ('declined', 'busy', 'unavailable', 'cancelled', 'no_answer',
                                       'unreachable', 'connect_failed')
                      and c.created_at
                          > 'epoch'::timestamptz + (q.now_ms - 600000) * interval '1 ms' as nobody
                 from call c
                where c.caller_id = caller.id
                  and c.created_at
                      > 'epoch'::timestamptz + (q.now_ms - 3600000) * interval '1 ms'
                order by c.created_at desc) o
       ) tried
"""


def _plain(found: UUID) -> UUID:
    """The driver's UUIDs are of a class of its own, which is slow to compare with the usual one."""
    return found if type(found) is UUID else UUID(int=found.int)


def _terms(ask: Ask, row: Record) -> Terms:
    provider = None
    if row[8] is not None:
        provider = Offering(
            display_name=row[8],
            tariff=row[9],
            price_minor=row[10],
            share_bps=row[11],
            availability=row[12],
        )
    known = None
    if row[18] is not None:
        known = KnownCall(_plain(row[18]), _plain(row[19]), _plain(row[20]), row[21])
    return Terms(
        caller=Person(_plain(ask.caller_id), *row[1:4]),
        callee=Person(_plain(row[4]), *row[5:8]),
        provider=provider,
        blocked=row[13],
        wallet=row[14],
        bonus=row[25],
        available_minor=row[15],
        currency=row[16],
        earnings=row[17],
        known=known,
        unanswered=row[22],
        unanswered_since_ms=row[23],
        calls_last_hour=row[24],
        wakeable=row[26],
    )


async def read_terms(conn: Connection, asks: Sequence[Ask]) -> list[Terms | None]:
    """What decides on each of the asks, in their order; None without such a caller or callee.

    Users who are not active are returned: what their status means is the asker's business.
    """
    columns = zip(*map(astuple, asks), strict=True)
    found: list[Terms | None] = [None] * len(asks)
    for row in await conn.fetch(TERMS, range(len(asks)), *columns, len(asks)):
        found[row[0]] = _terms(asks[row[0]], row)
    return found


class _Waiting(msgspec.Struct, frozen=True, eq=False):
    ask: Ask
    answer: asyncio.Future[Terms | None]


class TermsReader:
    """Reads the terms of requests, one query at a time for all that came in the meantime.

    A quiet reader asks in the turn of the loop that follows; what is answered was read after it
    was asked. Keeps a connection of the pool from the first ask to `close`.
    """

    def __init__(self, pool: Pool, *, batch_max: int = 100) -> None:
        self._pool = pool
        self._batch_max = batch_max
        self._waiting: deque[_Waiting] = deque()
        self._conn: PoolConnectionProxy[asyncpg.Record] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def read(self, ask: Ask) -> Terms | None:
        """None when there is no such caller or callee.

        Raises:
            Unavailable: the database did not answer in time, or the connection was lost.
        """
        if self._closed:
            raise Unavailable("the server is stopping")
        loop = asyncio.get_running_loop()
        item = _Waiting(ask, loop.create_future())
        self._waiting.append(item)
        if self._task is None:
            self._task = loop.create_task(self._run(), name="terms")
        # Counts the time in the queue too, where a query that hangs may be ahead.
        alarm = loop.call_later(READ_S, _expire, item.answer)
        try:
            return await item.answer
        finally:
            alarm.cancel()

    async def close(self) -> None:
        """Answer those who wait, and give the connection back."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._conn is not None:
            conn, self._conn = self._conn, None
            await self._pool.release(conn)

    async def _run(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._batch_max)
                await self._answer([self._waiting.popleft() for _ in range(size)])
        finally:
            self._task = None

    async def _answer(self, batch: Iterable[_Waiting]) -> None:
        """Ask for those who have not given up, and answer each of them."""
        batch = [item for item in batch if not item.answer.done()]
        if not batch:
            return
        try:
            found = await within(READ_S, self._read([item.ask for item in batch]))
        except asyncpg.DataError as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            # One of them cannot even be asked; the others are not to blame.
            for item in batch:
                await self._answer([item])
        except Exception as error:
            self._drop()
            _fail(batch, error)
        else:
            for item, terms in zip(batch, found, strict=True):
                if not item.answer.done():
                    item.answer.set_result(terms)

    async def _read(self, asks: list[Ask]) -> list[Terms | None]:
        if self._conn is not None:
            try:
                return await read_terms(self._conn, asks)
            except BROKEN:
                self._drop()  # It may have been lost long ago, with nobody to notice.
        self._conn = await self._pool.acquire()
        return await read_terms(self._conn, asks)

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            # One that broke by itself has gone back to the pool already.
            with contextlib.suppress(asyncpg.InterfaceError):
                conn.terminate()


def _fail(batch: Iterable[_Waiting], error: Exception) -> None:
    for item in batch:
        if not item.answer.done():
            item.answer.set_exception(error)


def _expire(answer: asyncio.Future[Terms | None]) -> None:
    if not answer.done():
        answer.set_exception(Unavailable("the database did not answer in time"))
