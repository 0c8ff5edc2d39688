"""Many pairs and a shopper, connected through the proxy, who go on through every fault."""

import asyncio
import time
from collections import Counter
from random import Random

import aiohttp

from tests.faults.cluster import CALL_MAX_S, Cluster
from tests.faults.line import Span
from tests.faults.pair import Pair, Plan
from tests.faults.people import PRICE_MINOR, RICH_MINOR, Person, make_earner, make_pairs
from tests.faults.shopper import Shopper

FAULTS_MAX = 200
# Every so-manieth caller has money for a few units only, and is cut off by the meter.
POOR_EVERY = 5
POOR_UNITS = 7
WATCH_EVERY = 4
SHOPPERS = 3
LAG_EVERY_S = 0.1
# A call may have been on its way when the node died.
SETUP_S = 5.0


class Crowd:
    """`faults` are broken promises, in plain words. In the `dark` nobody is sure of anything that
    costs money. `lag_ms` is how late the crowd itself has heard of things, at most."""

    def __init__(
        self, cluster: Cluster, dice: Random, *, resend: float = 0.08, talk_s: float = 4.0
    ) -> None:
        self.cluster = cluster
        self.pairs: list[Pair] = []
        self.faults: list[str] = []
        self.shopper: Shopper | None = None
        self.nobody: Person | None = None
        self.http: aiohttp.ClientSession | None = None
        self.dark: list[Span] = []
        self.lag_ms = 0
        self._talk_s = talk_s
        self._lagging: asyncio.Task[None] | None = None
        self._dice = dice
        self._resend = resend
        self._tasks: list[asyncio.Task[None]] = []

    def fault(self, text: str) -> None:
        if len(self.faults) < FAULTS_MAX and text not in self.faults:
            self.faults.append(text)

    async def prepare(self, count: int) -> None:
        """Make the accounts; needs the database, and no node yet."""
        money = [
            POOR_UNITS * PRICE_MINOR if number % POOR_EVERY == POOR_EVERY - 1 else RICH_MINOR
            for number in range(count)
        ]
        cluster = self.cluster
        people = await make_pairs(cluster.database.dsn, cluster.secret, [*money, 0])
        for number in range(count):
            dice = Random(self._dice.getrandbits(64))
            self.pairs.append(
                Pair(number, people[number], self.fault, dice, Plan(talk_s=self._talk_s))
            )
        # A provider who never connects.
        self.nobody = people[-1][1]
        earner = await make_earner(cluster.database.dsn, cluster.secret)
        self.shopper = Shopper(cluster.proxy.url, people[-1][0], earner, self.fault, self._dice)

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self.http = http = aiohttp.ClientSession(connector=connector)
        await asyncio.gather(
            *(
                pair.connect(
                    self.cluster.proxy.url,
                    http,
                    resend=self._resend,
                    watch=number % WATCH_EVERY == 0,
                )
                for number, pair in enumerate(self.pairs)
            )
        )
        loop = asyncio.get_running_loop()
        self._lagging = loop.create_task(self._measure_lag())
        self._tasks = [loop.create_task(pair.live()) for pair in self.pairs]
        if self.shopper is not None:
            # One may have to wait for a minute for a key whose first request has died.
            shopping = [self.shopper.live(http) for _ in range(SHOPPERS)]
            self._tasks += [loop.create_task(work) for work in shopping]

    async def quiet(self) -> None:
        """No new calls; wait until those there are have ended."""
        for pair in self.pairs:
            pair.closing_soon()
        if self.shopper is not None:
            self.shopper.closing = True
        _, late = await asyncio.wait(self._tasks, timeout=3 * CALL_MAX_S)
        if late:
            self.fault(f"{len(late)} of {len(self._tasks)} were not done in {3 * CALL_MAX_S:.0f} s")
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                self.fault(f"the harness itself failed: {task.exception()!r}")

    async def _measure_lag(self) -> None:
        while True:
            due_s = time.monotonic() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self.lag_ms = max(self.lag_ms, int((time.monotonic() - due_s) * 1_000))

    def judge_jumps(self) -> int:
        """A call goes on without its past only if a node died: how many did."""
        count = 0
        deaths = self.cluster.deaths
        for pair in self.pairs:
            for witness in pair.witnesses.values():
                for jump in witness.jumps:
                    count += 1
                    if not any(jump.since_s - SETUP_S < at_s <= jump.at_s for at_s in deaths):
                        self.fault(f"{witness.name}: call {jump.call} jumped, and no node had died")
        return count

    def lossy(self) -> None:
        """Parcels between nodes will be lost."""
        for pair in self.pairs:
            for witness in pair.witnesses.values():
                witness.lossy = True

    def judge_holes(self) -> None:
        for pair in self.pairs:
            for witness in pair.witnesses.values():
                for text in witness.holes:
                    self.fault(f"{witness.name}: {text}, and no new session has begun")

    def forgive(self, code: str) -> None:
        """Answers with this error are what is being tried."""
        for pair in self.pairs:
            for witness in pair.witnesses.values():
                witness.forgiven.add(code)

    async def close(self) -> None:
        if self._lagging is not None:
            self._lagging.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(pair.close() for pair in self.pairs))
        if self.http is not None:
            await self.http.close()

    # -- what rows ask

    @property
    def oks(self) -> int:
        return sum(len(pair.oks) for pair in self.pairs)

    @property
    def connected(self) -> int:
        """How many calls both sides are talking in."""
        return sum(
            line.connected.is_set() and not line.over
            for pair in self.pairs
            for line in list(pair.lines.values())[-1:]
        )

    @property
    def connects(self) -> int:
        """Welcomes so far, of all phones."""
        return sum(phone.connects for pair in self.pairs for phone in pair.phones.values())

    @property
    def refusals(self) -> Counter[str]:
        return sum((pair.refusals for pair in self.pairs), Counter[str]())

    async def recovered(self, since_s: float, *, within_s: float = CALL_MAX_S) -> float | None:
        """Seconds from `since_s` to the first call whose first unit was held after it.

        None, and a fault, if there is none `within_s`.
        """
        while True:
            found = [ok_s for pair in self.pairs for ok_s in pair.oks[-3:] if ok_s >= since_s]
            if found:
                return min(found) - since_s
            if time.monotonic() - since_s > within_s:
                self.fault(f"no call was taken within {within_s:.0f} s after the fault")
                return None
            await asyncio.sleep(0.02)

    async def busy(self, calls: int, *, within_s: float = 20.0) -> None:
        """Wait until so many calls are talking, as far as that is possible."""
        give_up_s = time.monotonic() + within_s
        while time.monotonic() < give_up_s:
            if self.connected >= calls:
                return
            await asyncio.sleep(0.02)
