"""Arrivals and figures, with a stage on which nothing really happens."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from server.config import Config
from server.loading import make_pairs
from signalling.client.load.books import Books, RestFailed, Web
from signalling.client.load.device import Meter, Pair
from signalling.client.load.drive import Generator, Sockets
from signalling.client.load.measure import Tally
from signalling.client.load.plan import Plan, Step
from signalling.client.load.scenarios import NobodyFree
from signalling.client.load.talk import CallFailed
from tests.served import served
from tests.signalling.client.waiting import until

URL = "http://127.0.0.1:9"


class Stage:
    """`free` couples, who are named by numbers; `play` is what a call does."""

    free = 2
    users = 2
    play: Callable[[str], None] = staticmethod(lambda _: None)
    lasting: asyncio.Event | None = None

    def __init__(
        self, meter: Meter, url: str, pairs: Sequence[Pair], plan: Plan, web: Web, books: Books
    ) -> None:
        self.meter = meter
        self.couples = list(range(self.free))
        self.played: Counter[str] = Counter()
        self.finished = self.closed = False

    async def connect(self) -> set[str]:
        self.meter.users = self.users
        return {"http_503"}

    def take(self, *, poor: bool = False) -> int | None:
        return self.couples.pop() if self.couples else None

    def give_back(self, couple: int) -> None:
        self.couples.append(couple)

    def anybody(self, *, poor: bool = False) -> bool:
        return self.users > 0

    async def perform(self, name: str, couple: int) -> None:
        self.played[name] += 1
        if self.lasting is not None:
            await self.lasting.wait()
        type(self).play(name)

    def finish(self) -> None:
        self.finished = True

    async def close(self) -> None:
        self.closed = True


class Driven:
    def __init__(self, kind: type[Stage], **plan: object) -> None:
        whole = {"scenarios": {"answered": 1.0}, **plan}
        self.total = Tally()
        self.tallies: list[Tally] = []
        self.generator = Generator(URL, [], Plan(**whole), self.take, kind)  # type: ignore[arg-type]

    @property
    def stage(self) -> Stage:
        stage = self.generator._stage
        assert isinstance(stage, Stage)
        return stage

    def take(self, tally: Tally) -> None:
        self.tallies.append(tally)
        self.total.add(tally)

    async def run(self, step: Step) -> Tally:
        await self.generator.start()
        await self.generator.run(step)
        await self.generator.finish()
        await self.generator.close()
        return self.total


async def test_calls_begin_when_others_end_until_there_were_enough() -> None:
    driven = Driven(Stage)
    total = await driven.run(Step(0, 0, 7))
    assert (total.started, total.done, total.failed, total.dropped) == (7, 7, 0, 0)
    assert total.outcomes == {"answered": {"done": 7}}
    assert driven.stage.finished
    assert driven.stage.closed


async def test_a_closed_loop_ends_with_its_time_too() -> None:
    total = await Driven(Stage).run(Step(0, 0.05, 0))
    assert total.started == total.done > 0


async def test_calls_begin_on_time_and_are_left_out_when_nobody_is_free() -> None:
    class Busy(Stage):
        lasting = asyncio.Event()

    driven = Driven(Busy)
    await driven.generator.start()
    running = asyncio.create_task(driven.generator.run(Step(1_000, 0, 10)))
    await until(lambda: driven.generator.meter.tally.dropped == 8)
    assert Busy.lasting is not None
    Busy.lasting.set()
    await running
    await driven.generator.finish()
    await driven.generator.close()
    assert (driven.total.started, driven.total.done, driven.total.dropped) == (2, 2, 8)
    assert driven.total.phases["start"].count == 2


async def test_what_fails_is_counted_by_phase_scenario_and_code() -> None:
    outcomes = iter(
        [CallFailed("no_ring", "ring"), RestFailed("FORBIDDEN"), NobodyFree(), CallFailed("x", "y")]
    )

    class Failing(Stage):
        @staticmethod
        def play(name: str) -> None:
            raise next(outcomes)

    total = await Driven(Failing).run(Step(0, 0, 4))
    assert (total.started, total.done, total.failed, total.dropped) == (3, 0, 3, 1)
    assert total.errors == {"ring": {"no_ring": 1}, "rest": {"FORBIDDEN": 1}, "y": {"x": 1}}
    assert total.outcomes == {"answered": {"no_ring": 1, "FORBIDDEN": 1, "x": 1}}


async def test_scenarios_come_by_their_weights_and_the_same_with_the_same_seed() -> None:
    async def played(seed: int) -> Counter[str]:
        driven = Driven(Stage, scenarios={"answered": 3.0, "busy": 1.0}, seed=seed)
        await driven.run(Step(0, 0, 200))
        return driven.stage.played

    first = await played(1)
    assert first == await played(1)
    assert 120 < first["answered"] < 180


async def test_where_nobody_comes_through_there_is_no_run() -> None:
    class Closed(Stage):
        users = 0

    driven = Driven(Closed)
    with pytest.raises(ConnectionError, match="http_503"):
        await driven.generator.start()
    await driven.generator.close()
    assert driven.stage.closed


async def test_a_run_whose_users_have_all_gone_ends_all_the_same() -> None:
    class Gone(Stage):
        free = 0

        def anybody(self, *, poor: bool = False) -> bool:
            return False

    total = await Driven(Gone).run(Step(0, 0, 2))
    assert (total.started, total.dropped) == (0, 2)


async def test_a_call_that_is_never_over_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalling.client.load.drive.DRAIN_S", 0.01)

    class Endless(Stage):
        lasting = asyncio.Event()

    total = await Driven(Endless).run(Step(0, 0, 1))
    assert total.errors == {"call": {"not_over": 1}}


async def test_tallies_have_their_time_their_cpu_and_how_late_the_loop_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signalling.client.load.drive.EMIT_S", 0.01)
    monkeypatch.setattr("signalling.client.load.drive.LAG_EVERY_S", 0.001)
    driven = Driven(Stage)
    total = await driven.run(Step(0, 0.1, 0))
    assert len(driven.tallies) > 3
    assert all(tally.seconds > 0 for tally in driven.tallies)
    assert total.cpu_s > 0
    assert total.lag.count > 0


async def test_a_server_that_goes_away_breaks_no_promise_and_fails_the_run(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = Tally()
    async with served(dsn, tmp_path, monkeypatch) as url:
        pairs = await make_pairs(Config.load(dev=True), dsn, 1)
        plan = Plan(scenarios={"answered": 1}, talk_s=60)
        load = Generator(url, pairs, plan, total.add, Sockets)
        await load.start()
        running = asyncio.create_task(load.run(Step(0, 0, 1)))
        await until(lambda: load.meter.tally.phases.get("tick") or total.phases.get("tick"))
    await running
    await load.finish()
    await load.close()
    assert total.violations == []
    assert (total.done, total.failed) == (0, 1)
    assert total.errors["socket"]["not_back"] == 3
    assert "books" in total.errors
