"""The database as a node sees it: statements take their time, get lost, or were done all the same.

Slices of the combiner are done by the model ledger, in one step each. The few statements that are
asked besides are answered by `rows.py`.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Any, cast
from uuid import UUID

from storage import nodes, works
from storage.combiner import Clock, Combiner
from storage.errors import Refusal
from storage.pool import NOW, Pool
from storage.slices import Slices
from tests.simulation.ledger import Ledger
from tests.simulation.loop import ProcessLoop, Time
from tests.simulation.rows import Rows


class Database:
    """`away`: nobody can connect. `slow_until_ms`: whatever is asked waits until then."""

    def __init__(
        self, time: Time, ledger: Ledger, rows: Rows, dice: Random, trace: Callable[[str], None]
    ) -> None:
        self.ledger = ledger
        self.rows = rows
        self.away = False
        self.slow_until_ms = 0
        self.lossy = False  # now and then a connection breaks
        self.lost_answers = 0
        self._time = time
        self._dice = dice
        self._trace = trace
        self._outages = 0
        self._busy_until_ms: dict[int, int] = {}

    def fail_over(self, ms: int) -> None:
        """All connections break, and with them the locks on names; new ones wait for `ms`."""
        self._outages += 1
        self.away = True
        outage = self._outages
        for life in self.ledger.lives.values():
            life.locked = False

        def back() -> None:
            if self._outages == outage:
                self.away = False

        self._time.later(ms, back)

    def stall(self, ms: int) -> None:
        self.slow_until_ms = max(self.slow_until_ms, self._time.now_ms + ms)

    async def do(self, run: Callable[[], Any]) -> Any:
        """One statement on a connection of its own, from a process.

        Raises:
            OSError: the connection broke; it was done, or not.
        """
        answer = asyncio.get_running_loop().create_future()
        self._send(self._delay_ms(), run, answer)
        return await answer

    async def slice(self, epoch: int, beat_ms: int, batch: list[works.Work]) -> list[works.Outcome]:
        """As `do`, for the transaction of a node's combiner; one after the other."""
        answer = asyncio.get_running_loop().create_future()
        at_ms = max(self._time.now_ms + self._delay_ms(), self._busy_until_ms.get(epoch, 0))
        self._busy_until_ms[epoch] = at_ms

        def run() -> list[works.Outcome]:
            outcomes = self.ledger.commit(epoch, beat_ms, batch)
            for work, outcome in zip(batch, outcomes, strict=True):
                self._trace(f"{epoch} {work} {outcome}")
            return outcomes

        self._send(at_ms - self._time.now_ms, run, answer)
        found: list[works.Outcome] = await answer
        return found

    def _delay_ms(self) -> int:
        waits_ms = self.slow_until_ms - self._time.now_ms
        return self._dice.randint(1, 6) + max(0, waits_ms)

    def _send(self, delay_ms: int, run: Callable[[], Any], answer: "asyncio.Future[Any]") -> None:
        loop = cast(ProcessLoop, answer.get_loop())
        outages = self._outages
        refused = self.away
        broken = refused or (self.lossy and self._dice.random() < 0.04)
        done = self._dice.random() < 0.5

        def arrive() -> None:
            gone = answer.done() or loop.dead
            failed = broken or gone or self._outages != outages
            if failed and (refused or not done):
                self._answer(loop, answer, OSError("the connection was lost"))
                return
            try:
                found: Any = run()
            except Refusal as refusal:
                found = refusal
            if failed:
                self.lost_answers += 1
                found = OSError("the connection was lost")
            self._answer(loop, answer, found)

        self._time.later(delay_ms, arrive)

    def _answer(self, loop: ProcessLoop, answer: "asyncio.Future[Any]", found: Any) -> None:
        def give() -> None:
            if answer.done():
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        loop.after(0, give)


class SimSlices(Slices):
    """A transaction is one step of the model."""

    def __init__(self, database: Database, epoch: int) -> None:
        super().__init__(SimPool.of(database), epoch)
        self._database = database

    async def write(self, batch: Sequence[works.Work], beat_ms: int) -> list[works.Outcome]:
        return await self._database.slice(self._epoch, beat_ms, list(batch))


class SimCombiner(Combiner):
    """The real queue on the model's slices."""

    def __init__(
        self, database: Database, *, epoch: int, clock: Clock, on_fenced: Callable[[], None]
    ) -> None:
        super().__init__(SimPool.of(database), epoch=epoch, clock=clock, on_fenced=on_fenced)
        self._slices = SimSlices(database, epoch)


class SimPool:
    """What `Pool` is asked for besides: connections that know the statements of `rows`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of(cls, database: Database) -> Pool:
        return cast(Pool, cls(database))

    def acquire(self) -> "SimConn":
        return SimConn(self._database)


class SimConn:
    """An adoption inside a transaction is done with its commit; until then nobody else has it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: SimTransaction | None = None

    async def __aenter__(self) -> "SimConn":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def transaction(self) -> "SimTransaction":
        self._open = SimTransaction(self._database)
        return self._open

    async def fetch(self, sql: str, *given: Any) -> Sequence[Any]:
        if sql == NOW:  # Reads no table: it takes no time here.
            return [(self._database.rows.now_ms(),)]
        if sql == nodes.ADOPT and self._open is not None:
            return await self._open.adopt(given)
        found: Sequence[Any] = await self._database.do(
            lambda: self._database.rows.answer(sql, given)
        )
        return found

    async def fetchrow(self, sql: str, *given: Any) -> Any:
        rows = await self.fetch(sql, *given)
        return rows[0] if rows else None

    async def fetchval(self, sql: str, *given: Any) -> Any:
        row = await self.fetchrow(sql, *given)
        return None if row is None else row[0]


class SimTransaction:
    """Only an adoption has to be taken back when it fails; other statements stand alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: list[UUID] = []
        self._epoch = 0
        self._loop = cast(ProcessLoop, asyncio.get_running_loop())
        self._over = False

    async def adopt(self, given: Sequence[Any]) -> Sequence[Any]:
        call_ids, self._epoch = given

        def run() -> Sequence[Any]:
            if self._over:
                return []  # Who asked has given up, and its connection is closed.
            rows = self._database.rows.orphans(call_ids, self._epoch)
            self._ids = [row["call_id"] for row in rows]
            for call_id in self._ids:
                self._database.rows.locked[call_id] = self._loop
            return rows

        found: Sequence[Any] = await self._database.do(run)
        return found

    async def __aenter__(self) -> "SimTransaction":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        rows = self._database.rows

        def commit() -> None:
            if not self._over:
                rows.adopt(self._ids, self._epoch, self._loop)

        try:
            if error is None and self._ids:
                await self._database.do(commit)
        finally:
            self._over = True
            rows.unlock(self._ids, self._loop)
