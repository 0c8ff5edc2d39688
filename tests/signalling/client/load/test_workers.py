"""Generators in processes of their own, against a whole server."""

import asyncio
import sys

import msgspec
import pytest

from signalling.client.load.device import Login, Pair
from signalling.client.load.drive import Generator
from signalling.client.load.measure import Tally
from signalling.client.load.plan import Mode, Plan, Step
from signalling.client.load.workers import (
    Answer,
    Child,
    Fleet,
    Order,
    WorkerFailed,
    generator,
    new_loop,
)
from tests.signalling.client.load.conftest import Town

NOBODY = Pair(Login("u1", "no token"), Login("u2", "no token"))
PLAN = Plan(scenarios={"answered": 1}, calls=5)


async def test_what_two_processes_saw_adds_up(town: Town) -> None:
    workers: set[int] = set()
    report = await town.load(
        {"answered": 1, "rejected": 1},
        calls=7,
        couples=4,
        workers=2,
        show=lambda _, collector: workers.update(collector._gauges),
    )
    assert (report.violations, report.errors) == ([], {})
    assert (report.started, report.done) == (7, 7)
    assert (report.users, report.workers) == (8, 2)
    assert report.billed == report.compared == 7
    assert report.phases["ring"].count == 7
    assert workers == {0, 1}
    assert report.cpu_s > 0


async def test_a_process_that_fails_says_why() -> None:
    fleet = Fleet("http://127.0.0.1:9", [NOBODY, NOBODY], PLAN, lambda _, __: None, count=2)
    with pytest.raises(WorkerFailed, match="nobody was let in"):
        await fleet.start()
    await fleet.close()


async def test_a_process_that_dies_is_told() -> None:
    child = Child(Order("start"), lambda _: None)
    child._process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "raise SystemExit(7)"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    with pytest.raises(WorkerFailed, match="ended with 7"):
        await child.run(Step(1, 1, 0))
    await child.close()


async def test_calls_and_rate_are_shared_and_nobody_gets_a_step_without_calls() -> None:
    steps: list[Step] = []

    class Recorder:
        async def start(self) -> None: ...

        async def run(self, step: Step) -> None:
            steps.append(step)

        def stop(self) -> None: ...

        async def finish(self) -> None: ...

        async def close(self) -> None: ...

    fleet = Fleet("http://127.0.0.1:9", [NOBODY], PLAN, lambda _, __: None)
    fleet._workers = [Recorder(), Recorder(), Recorder()]
    await fleet.run(Step(9, 2, 2))
    assert steps == [Step(3, 2, 1), Step(3, 2, 1)]
    steps.clear()
    await fleet.run(Step(9, 2, 0))
    assert steps == [Step(3, 2, 0)] * 3


def test_orders_and_answers_are_lines() -> None:
    order = Order("start", "http://x", [NOBODY], PLAN)
    line = msgspec.json.encode(order)
    assert b"\n" not in line
    assert msgspec.json.decode(line, type=Order) == order
    tally = Tally(started=1)
    tally.note("ring", 5)
    answer = msgspec.json.decode(msgspec.json.encode(Answer(tally=tally)), type=Answer)
    assert answer.tally is not None
    assert answer.tally.phases["ring"].count == 1


@pytest.mark.parametrize(("mode", "stage"), [("signalling", "Sockets"), ("media", "Phones")])
async def test_the_mode_decides_what_plays(mode: Mode, stage: str) -> None:
    plan = Plan(scenarios={"answered": 1}, mode=mode)
    made = generator("http://127.0.0.1:9", [NOBODY], plan, lambda _: None)
    assert isinstance(made, Generator)
    assert type(made._stage).__name__ == stage


def test_the_loop_is_a_loop() -> None:
    loop = new_loop()
    assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    loop.close()
