"""One generator: connects its users, lets calls begin on time, and hands over what it counted."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Generic, Protocol, TypeVar

from signalling.client.load.books import Books, RestFailed, Web
from signalling.client.load.crew import Couple, Crew
from signalling.client.load.device import Meter, Pair
from signalling.client.load.measure import Tally, Violation
from signalling.client.load.plan import Plan, Step, arrivals
from signalling.client.load.scenarios import TABLE, NobodyFree, Play
from signalling.client.load.talk import CallFailed

EMIT_S = 1.0
LAG_EVERY_S = 0.05
FREE_S = 0.002
NOBODY_S = 0.1
DRAIN_S = 120.0
DONE = "done"


C = TypeVar("C")


class Stage(Protocol[C]):
    """The couples of a generator, and how they play a scenario."""

    async def connect(self) -> set[str]:
        """Connect everybody; the codes of what kept some from it."""
        ...

    def take(self, *, poor: bool = False) -> C | None: ...

    def give_back(self, couple: C) -> None: ...

    def anybody(self, *, poor: bool = False) -> bool: ...

    async def perform(self, name: str, couple: C) -> None:
        """
        Raises:
            CallFailed, RestFailed, NobodyFree: it did not go as it must.
        """
        ...

    def finish(self) -> None:
        """All is quiet: everybody must know of every end."""
        ...

    async def close(self) -> None: ...


class Sockets(Crew):
    """Devices that signal, without media."""

    def __init__(
        self, meter: Meter, url: str, pairs: Sequence[Pair], plan: Plan, web: Web, books: Books
    ) -> None:
        super().__init__(meter, url, pairs, Random(plan.seed))
        self._plan = plan
        self._web = web
        self._books = books

    async def perform(self, name: str, couple: Couple) -> None:
        play = Play(self, self._plan, couple, self._web, self._books)
        try:
            await TABLE[name](play)
        finally:
            await play.clear()

    def finish(self) -> None:
        for device in self.devices:
            if device.connected:
                device.witness.finish()
            else:
                self.meter.tally.error("socket", "not_back")


MakeStage = Callable[[Meter, str, Sequence[Pair], Plan, Web, Books], Stage[C]]


class Generator(Generic[C]):
    """`start`, any number of `run`, `finish`, `close`. `emit` gets a tally every second, and at the
    end of each of them; together they are everything that was seen."""

    def __init__(
        self,
        url: str,
        pairs: Sequence[Pair],
        plan: Plan,
        emit: Callable[[Tally], None],
        stage: MakeStage[C],
    ) -> None:
        self.plan = plan
        self.meter = Meter()
        self._dice = Random(plan.seed)
        self._emit = emit
        self._web = Web(self.meter, url)
        self._books = Books(self.meter, self._web, pairs, self._dice)
        self._stage = stage(self.meter, url, pairs, plan, self._web, self._books)
        self._stopping = False
        self._helpers: list[asyncio.Task[None]] = []
        self._playing: set[asyncio.Task[None]] = set()
        self._cpu_s = time.process_time()
        self._at_s = time.perf_counter()

    async def start(self) -> None:
        """Connect everybody and read their wallets.

        Raises:
            ConnectionError: nobody came through.
        """
        loop = asyncio.get_running_loop()
        self._cpu_s, self._at_s = time.process_time(), time.perf_counter()
        self._helpers = [loop.create_task(self._tell()), loop.create_task(self._measure_lag())]
        await self._web.__aenter__()
        codes = await self._stage.connect()
        if not self.meter.users:
            raise ConnectionError(f"nobody was let in ({', '.join(sorted(codes))})")
        with self._reading():
            await self._books.open()
        self._hand_over()

    async def run(self, step: Step) -> None:
        """Calls at this rate until the step is over and the last of them has ended."""
        if step.rate:
            await self._open_loop(step)
        else:
            await self._closed_loop(step)
        if self._playing:
            longest_s = DRAIN_S + self.plan.talk_s + 2 * self.plan.think_s[1]
            await asyncio.wait(self._playing, timeout=longest_s)
        self._hand_over()

    def stop(self) -> None:
        """No more calls begin."""
        self._stopping = True

    async def finish(self) -> None:
        """Everybody has been told of every end, and the ledger says the same as they do."""
        self._stage.finish()
        for _ in self._playing:
            self.meter.tally.error("call", "not_over")
        with self._reading():
            await self._books.close()
        await self._stage.close()
        self.meter.users = 0
        self._hand_over()

    async def close(self) -> None:
        """Let go of everything, also after a fault."""
        for task in (*self._playing, *self._helpers):
            task.cancel()
        await asyncio.gather(*self._playing, *self._helpers, return_exceptions=True)
        await self._stage.close()
        await self._web.__aexit__(None, None, None)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """The ledger's answers: whatever is wrong with them is counted."""
        try:
            yield
        except RestFailed as failed:
            self.meter.tally.error("books", failed.code)
        except (KeyError, TypeError) as fault:
            text = f"an answer of the API is not as it should be: {fault!r}"
            self.meter.blame(Violation("books", text, "ledger"))

    # -- arrivals

    async def _open_loop(self, step: Step) -> None:
        """Each call begins when it is due, whatever has become of the others."""
        began_s = time.perf_counter()
        for at_s in arrivals(step, self.plan.ramp_s):
            due_s = began_s + at_s
            wait_s = due_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if self._stopping:
                return
            name = self._choose()
            couple = self._stage.take(poor=name == "out-of-money")
            if couple is None:
                self.meter.tally.dropped += 1
                continue
            self.meter.note("start", due_s)
            self._begin(name, couple)

    async def _closed_loop(self, step: Step) -> None:
        """The next call when somebody is free."""
        end_s = time.perf_counter() + step.duration_s if step.duration_s else None
        number = 0
        while not self._stopping and (not step.calls or number < step.calls):
            name = self._choose()
            couple = self._stage.take(poor=name == "out-of-money")
            while couple is None and not self._over(end_s):
                if not self._stage.anybody(poor=name == "out-of-money"):
                    self.meter.tally.dropped += 1
                    await asyncio.sleep(NOBODY_S)
                    break
                await asyncio.sleep(FREE_S)
                couple = self._stage.take(poor=name == "out-of-money")
            if self._over(end_s):
                if couple is not None:
                    self._stage.give_back(couple)
                return
            if couple is not None:
                self._begin(name, couple)
            number += 1

    def _over(self, end_s: float | None) -> bool:
        return self._stopping or (end_s is not None and time.perf_counter() >= end_s)

    def _choose(self) -> str:
        weights = self.plan.scenarios
        return self._dice.choices(list(weights), list(weights.values()))[0]

    # -- calls

    def _begin(self, name: str, couple: C) -> None:
        task = asyncio.get_running_loop().create_task(self._play(name, couple))
        self._playing.add(task)
        task.add_done_callback(self._playing.discard)

    async def _play(self, name: str, couple: C) -> None:
        meter = self.meter
        meter.tally.started += 1
        meter.live += 1
        result = DONE
        try:
            await self._stage.perform(name, couple)
        except NobodyFree:
            result = ""
        except CallFailed as failed:
            result = failed.code
            meter.tally.error(failed.phase, failed.code)
        except RestFailed as failed:
            result = failed.code
            meter.tally.error("rest", failed.code)
        finally:
            meter.live -= 1
            self._stage.give_back(couple)
        if not result:
            meter.tally.started -= 1
            meter.tally.dropped += 1
            return
        meter.tally.outcome(name, result)
        if result == DONE:
            meter.tally.done += 1
        else:
            meter.tally.failed += 1

    # -- figures

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(EMIT_S)
            self._hand_over()

    def _hand_over(self) -> None:
        tally = self.meter.take()
        now_s, cpu_s = time.perf_counter(), time.process_time()
        tally.seconds, self._at_s = now_s - self._at_s, now_s
        tally.cpu_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        self._emit(tally)

    async def _measure_lag(self) -> None:
        """How late the generator's own loop is: what it measures cannot be more exact."""
        while True:
            due_s = time.perf_counter() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self.meter.tally.lag.note(max(0.0, (time.perf_counter() - due_s) * 1_000))
