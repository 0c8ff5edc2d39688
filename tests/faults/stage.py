"""What a fault is given: nodes, a database and a crowd on them, dice, and a result to fill."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random

import msgspec

from tests.faults import books
from tests.faults.cluster import Cluster, Node
from tests.faults.crowd import Crowd
from tests.faults.postgres import Database

WORDS_MAX = 12
# After a fault is healed, until everybody knows how things are.
DAWN_S = 2.0
LAG_WORTH_TELLING_MS = 300
# Of so many interrupted calls some go on; of a few, all may be hung up on first.
MANY = 10


class Result(msgspec.Struct):
    """One line of the table. `skipped` says why there is none."""

    row: str
    fault: str
    how: str
    seed: int
    cycles: int = 0
    calls: int = 0
    units: int = 0
    payments: int = 0
    lost: int = 0
    doubled: int = 0
    short: int = 0
    violations: list[str] = []
    recovery_s: list[float] = []
    notes: list[str] = []
    skipped: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not (self.violations or self.lost or self.doubled or self.short)


class Stage:
    """`node` is the first one. `say` prints a line of progress."""

    def __init__(
        self,
        cluster: Cluster,
        crowd: Crowd,
        dice: Random,
        result: Result,
        say: Callable[[str], None],
        cycles: int,
        unproved_ms: int = 0,
    ) -> None:
        self.cluster = cluster
        self.database = cluster.database
        self.crowd = crowd
        self.dice = dice
        self.result = result
        self.say = say
        self.cycles = cycles
        self.unproved_ms = unproved_ms

    @property
    def node(self) -> Node:
        return self.cluster.nodes[0]

    async def calm(self, low_s: float, high_s: float) -> None:
        """Let calls go on for a random while."""
        await asyncio.sleep(self.dice.uniform(low_s, high_s))

    @contextlib.contextmanager
    def dark(self) -> Iterator[None]:
        """While a fault lasts that keeps time from being billed: nothing must be charged then."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.crowd.dark.append((began_s, time.monotonic() + DAWN_S))

    async def recovered(self, since_s: float, *, within_s: float = 60.0) -> None:
        seconds = await self.crowd.recovered(since_s, within_s=within_s)
        if seconds is not None:
            self.result.recovery_s.append(seconds)

    async def cycle_done(self, what: str = "") -> None:
        """Check the books beside the calls that go on, and count the cycle."""
        self.result.cycles += 1
        for fault in await books.invariants(self.database.dsn):
            self.violated(f"cycle {self.result.cycles}: {fault}")
        last = f"{self.result.recovery_s[-1]:.2f} s" if self.result.recovery_s else ""
        self.say(
            f"{self.result.cycles}/{self.cycles} {what} {last} "
            f"{self.crowd.connected} talking, {self.crowd.oks} calls, "
            f"{len(self.result.violations) + len(self.crowd.faults)} violations"
        )

    def violated(self, text: str) -> None:
        self.result.violations.append(text)

    def note(self, text: str) -> None:
        if text not in self.result.notes and len(self.result.notes) < WORDS_MAX:
            self.result.notes.append(text)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `run` injects it `stage.cycles` times; `absent` says why it cannot be run here.

    `quick` and `short` are the cycles of the quick form and of the tests (0: not among the tests).
    `checks` is what is looked at besides that which every row is judged by.
    """

    name: str
    fault: str
    how: str
    run: Callable[[Stage], Awaitable[None]]
    checks: str = ""
    cycles: int
    quick: int = 1
    short: int = 0
    pairs: int = 20
    talk_s: float = 4.0
    # Each interruption must go on: the row shows that calls survive.
    survives: bool = False
    # Parcels between nodes are lost.
    lossy: bool = False
    nodes: int = 1
    absent: Callable[[], str] = lambda: ""
    tmpfs_mb: int = 0
    # How long the server may bill without proof before it notices: where it hears nothing.
    unproved_ms: int = 0
    settings: dict[str, str] = {}
    prepare: Callable[[Cluster], Awaitable[None]] | None = None
    clean: Callable[[Cluster], Awaitable[None]] | None = None


@contextlib.asynccontextmanager
async def _staged(
    row: Row, result: Result, say: Callable[[str], None], cycles: int, pairs: int, directory: Path
) -> AsyncIterator[Stage]:
    dice = Random(result.seed)
    database = Database(directory / "database", tmpfs_mb=row.tmpfs_mb)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await database.start()
        cluster = Cluster(directory, database, dice)
        stack.push_async_callback(cluster.close)
        if row.clean is not None:
            stack.push_async_callback(row.clean, cluster)
        await cluster.proxy.start()
        crowd = Crowd(cluster, dice, talk_s=row.talk_s)
        await crowd.prepare(pairs)
        if row.lossy:
            crowd.lossy()
        for _ in range(row.nodes):
            cluster.add(**row.settings)
        if row.prepare is not None:
            await row.prepare(cluster)
        for node in cluster.nodes:
            await node.start()
        stack.push_async_callback(crowd.close)
        await crowd.start()
        yield Stage(cluster, crowd, dice, result, say, cycles, row.unproved_ms)


def _scratch() -> Path:
    """A directory that the database's own user can pass through."""
    directory = Path(tempfile.mkdtemp(prefix="talktime-faults-"))
    for each in (directory, directory / "database"):
        each.mkdir(exist_ok=True)
        each.chmod(0o711)
    return directory


async def perform(
    row: Row,
    *,
    seed: int,
    cycles: int,
    pairs: int,
    say: Callable[[str], None] = lambda _: None,
    keep: bool = False,
) -> Result:
    """Inject the fault, heal it, let everything end, and check all there is to check."""
    result = Result(row=row.name, fault=row.fault, how=row.how, seed=seed)
    result.skipped = row.absent()
    if result.skipped:
        return result
    began_s = time.monotonic()
    directory = _scratch()
    try:
        async with _staged(row, result, say, cycles, pairs, directory) as stage:
            await row.run(stage)
            await _judge(stage, row)
            if not result.good:
                keep = True
                for text in result.violations[:WORDS_MAX]:
                    say(f"  ! {text}")
                say(f"logs are kept in {directory}")
    finally:
        result.seconds = time.monotonic() - began_s
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
    return result


async def _judge(stage: Stage, row: Row) -> None:
    result, crowd, dsn = stage.result, stage.crowd, stage.database.dsn
    await crowd.quiet()
    result.violations += await books.quiet(dsn)
    sums = await books.compare(dsn, crowd, stage.unproved_ms)
    result.calls, result.units = sums.calls, sums.units
    result.lost, result.doubled, result.short = sums.lost, sums.doubled, sums.short
    if crowd.shopper is not None:
        shopper = crowd.shopper
        result.payments = len(shopper.paid) + len(shopper.moved) + len(shopper.taken)
    jumps = crowd.judge_jumps()
    crowd.judge_holes()
    result.violations += sums.faults + crowd.faults
    result.violations += await books.verified_by_command(dsn)
    stage.note("ends: " + ", ".join(f"{n} {why}" for why, n in sorted(sums.reasons.items())))
    stage.note(
        f"{sums.interrupted} times reconnecting, {sums.resumed} times talking again after a break, "
        f"{jumps} times told of a takeover"
    )
    if row.survives and sums.interrupted >= MANY and not sums.resumed:
        result.violations.append("no interrupted call went on")
    if crowd.lag_ms > LAG_WORTH_TELLING_MS:
        stage.note(f"the crowd was up to {crowd.lag_ms} ms late itself")
    if crowd.refusals:
        refused = ", ".join(f"{n} {code}" for code, n in sorted(crowd.refusals.items()))
        stage.note(f"refusals: {refused}")
    if not sums.units:
        result.violations.append("nothing was charged: the row shows nothing")
