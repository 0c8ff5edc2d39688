import asyncio
import resource

import pytest

from signalling.client.load.collect import Collector
from signalling.client.load.device import Login, Pair
from signalling.client.load.measure import Tally
from signalling.client.load.plan import Ladder, Plan, parse_scenarios
from signalling.client.load.report import Point
from signalling.client.load.run import Job, Remote, check_target, make_room, run_load, wrong_with
from tests.signalling.client.load.conftest import Town

PAIR = Pair(Login("u1", "t"), Login("u2", "t"))
PLAN = Plan(scenarios={"answered": 1}, calls=1)


async def test_a_ladder_finds_the_highest_rate_without_a_failure(town: Town) -> None:
    stages: list[str] = []

    def show(point: Point, collector: Collector) -> None:
        stages.append(point.stage)

    report = await town.load(
        {"rejected": 1},
        calls=0,
        couples=4,
        duration_s=0.3,
        ladder=Ladder(10, 20),
        show=show,
    )
    assert (report.violations, report.errors) == ([], {})
    assert [each.rate for each in report.tries] == [10, 20]
    assert report.best == 20
    assert report.started == report.done == 3 + 6
    assert stages[-1] == "books"
    assert report.exit_code == 0


async def test_a_ladder_whose_first_rate_is_too_much_finds_nothing(town: Town) -> None:
    report = await town.load(
        {"no-answer": 1}, calls=0, couples=1, duration_s=0.2, ladder=Ladder(50, 100)
    )
    assert [each.good for each in report.tries] == [False]
    assert "found nobody free" in report.tries[0].why
    assert (report.best, report.exit_code) == (0, 0)
    assert report.dropped > 0


def test_a_rate_is_good_when_nothing_failed_and_its_thresholds_hold() -> None:
    seen = Tally(done=5)
    seen.note("ring", 40)
    assert wrong_with(seen, ["ring.max<50ms", "connect.max<1ms"]) == ""
    assert wrong_with(seen, ["ring.max<30ms"]) == "ring.max<30ms: 40.0 ms"
    seen.add(Tally(failed=2, dropped=1, violations_count=3))
    assert wrong_with(seen, []) == "2 failed, 1 found nobody free, 3 broken promises"


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_run_that_is_stopped_ends_as_any_other(town: Town, workers: int) -> None:
    stop = asyncio.Event()

    def show(point: Point, collector: Collector) -> None:
        if collector.total.done:
            stop.set()

    report = await town.load(
        {"answered": 1},
        calls=0,
        couples=4,
        rate=10,
        duration_s=3_600,
        workers=workers,
        show=show,
        stop=stop,
    )
    assert (report.violations, report.errors) == ([], {})
    assert report.started == report.done > 0
    assert report.compared == report.billed == report.done


async def test_all_scenarios_at_once_for_some_time(town: Town) -> None:
    mix = parse_scenarios("all")
    del mix["out-of-money"]
    report = await town.load(mix, calls=0, couples=10, rate=20, duration_s=2, resend=0.2)
    assert (report.violations, report.errors) == ([], {})
    assert report.failed == 0
    assert len(report.outcomes) > 5
    assert len(report.history) >= 3


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (Job(url="http://127.0.0.1:9", plan=PLAN, pairs=[]), "at least two users"),
        (Job(url="http://127.0.0.1:9", plan=PLAN, pairs=[PAIR], workers=2), "Each worker"),
        (
            Job(url="http://127.0.0.1:9", plan=PLAN, pairs=[PAIR], thresholds=("fast",)),
            "threshold",
        ),
        (
            Job(url="http://127.0.0.1:9", plan=Plan(scenarios={"answered": 1}), pairs=[PAIR]),
            "when it ends",
        ),
        (
            Job(
                url="http://127.0.0.1:9",
                plan=Plan(scenarios={"glare": 1}, calls=1, mode="media"),
                pairs=[PAIR],
            ),
            "With media",
        ),
    ],
)
async def test_what_makes_no_sense_does_not_begin(job: Job, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        await run_load(job)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ws://[::1]:1/ws", "http://localhost:8080"])
def test_this_machine_may_be_loaded(url: str) -> None:
    check_target(url, allow_remote=False)


@pytest.mark.parametrize(
    "url",
    ["https://talk.example.org", "http://192.0.2.7:8080", "http://localhost.example.org:1"],
)
def test_another_machine_only_when_it_is_meant(url: str) -> None:
    with pytest.raises(Remote, match="--allow-remote"):
        check_target(url, allow_remote=False)
    check_target(url, allow_remote=True)


def test_an_address_names_a_host() -> None:
    with pytest.raises(ValueError, match="no address"):
        check_target("8080", allow_remote=True)


@pytest.mark.parametrize(
    ("soft", "hard", "couples", "workers", "after", "warned"),
    [
        (5_000, 5_000, 1_000, 1, None, False),
        (1_024, 20_000, 1_000, 1, 2_325, False),
        (1_024, resource.RLIM_INFINITY, 1_000, 1, 2_325, False),
        (1_024, 2_000, 1_000, 1, 2_000, True),
        (1_024, 1_024, 1_000, 4, None, False),
    ],
)
def test_room_is_made_for_all_sockets_or_a_warning_given(
    monkeypatch: pytest.MonkeyPatch,
    soft: int,
    hard: int,
    couples: int,
    workers: int,
    after: int | None,
    warned: bool,
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: given.append(both))
    warning = make_room([PAIR] * couples, workers)
    assert given == ([] if after is None else [(after, hard)])
    assert bool(warning) is warned
    assert not warned or "ulimit -n" in warning
