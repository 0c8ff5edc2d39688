import os
from collections.abc import Callable

from signalling.client.load.collect import Collector, cpu_s_of
from signalling.client.load.measure import Tally
from signalling.client.load.plan import Plan, Try

PLAN = Plan(scenarios={"answered": 1})


def tally(**values: object) -> Tally:
    made = Tally(**values)  # type: ignore[arg-type]
    made.note("ring", 5)
    return made


def counting(*readings: float | None) -> Callable[[int], float | None]:
    left = list(readings)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_seconds_and_totals_hold_what_came() -> None:
    collector = Collector()
    collector.begin("run", 4)
    collector.add(0, tally(started=3, done=2, users=4, live=1))
    collector.add(1, tally(started=1, failed=1, users=2, live=0))
    point = collector.tick()
    assert (point.started, point.done, point.failed, point.users, point.live) == (4, 2, 1, 6, 1)
    assert (point.stage, point.wanted, point.ring_p50) == ("run", 4, 5)
    collector.add(1, tally(started=2, done=2, users=1))
    assert collector.tick().started == 2
    collector.begin("books")
    report = collector.report(PLAN, ["ring.p99<6ms"], url="http://x", workers=2)
    assert (report.started, report.done, report.failed, report.users) == (6, 4, 1, 6)
    assert report.phases["ring"].count == 3
    assert report.thresholds[0].held
    assert len(report.history) == 2


def test_a_rate_is_of_the_time_that_the_generators_speak_of() -> None:
    """Whenever they report: a second may hold two of their seconds, or none."""
    collector = Collector()
    for worker in (0, 1):
        for _ in range(2):
            collector.add(worker, tally(done=50, seconds=1.0, cpu_s=0.25, sent=10))
    point = collector.tick()
    assert (point.calls_per_s, point.cpu, point.frames_per_s) == (100.0, 0.5, 20.0)


def test_a_stretch_holds_what_came_since_it_began() -> None:
    collector = Collector()
    collector.begin("run", 10)
    collector.add(0, tally(failed=1))
    collector.begin("run", 20)
    collector.add(0, tally(done=1))
    seen = collector.stretch.tally
    assert (seen.failed, seen.done, collector.total.failed) == (0, 1, 1)


def test_a_ladder_tells_the_times_of_its_best_rate_and_the_limit_at_its_highest() -> None:
    collector = Collector()
    collector.add(0, Tally(phases={"connect": tally().phases["ring"]}))
    for wanted, ring_ms, lag_ms in ((10, 1, 1), (20, 2, 1), (40, 900, 800)):
        collector.begin("run", wanted)
        seen = Tally(done=wanted)
        seen.note("ring", ring_ms)
        seen.lag.note(lag_ms)
        collector.add(0, seen)
        collector.begin("rest")
        collector.tries.append(Try(wanted, wanted < 40))
    report = collector.report(PLAN, ["ring.max<3ms"], url="http://x", workers=1)
    assert (report.best, report.done) == (20, 70)
    assert (report.phases["ring"].count, report.phases["ring"].max) == (1, 2)
    assert report.phases["connect"].count == 1
    assert report.thresholds[0].held
    assert report.lag.max == 800
    assert "did not get a core in time" in report.verdict


def test_only_the_run_counts_for_who_was_the_limit() -> None:
    collector = Collector()
    slow = tally(cpu_s=1_000.0)
    slow.lag.note(900)
    collector.add(0, slow)
    collector.begin("run")
    collector.add(0, tally(cpu_s=0.0))
    collector.begin("books")
    collector.add(0, slow)
    report = collector.report(PLAN, [], url="http://x", workers=1)
    assert (report.cpu_s, report.lag.count) == (0, 0)
    assert "not the limit" in report.verdict


def test_the_servers_cpu_is_read_by_process() -> None:
    collector = Collector([7], cpu_of=counting(1.0, 2.0, 4.5, 4.5))
    collector.begin("run")
    point = collector.tick()
    assert point.server_cpu > 0
    collector.begin("books")
    report = collector.report(PLAN, [], url="http://x", workers=1)
    assert report.server_cpu_s == 2.5
    assert "The server was the limit" in report.verdict


def test_a_server_that_is_gone_is_no_fault_of_the_reading() -> None:
    collector = Collector([7], cpu_of=counting(1.0, None))
    collector.begin("run")
    assert collector.tick().server_cpu == 0
    assert Collector().tick().server_cpu == -1


def test_the_ladders_tries_are_in_the_report() -> None:
    collector = Collector()
    collector.tries += [Try(10, True), Try(20, False)]
    assert collector.report(PLAN, [], url="http://x", workers=1).best == 10


def test_cpu_of_a_process() -> None:
    own = cpu_s_of(os.getpid())
    assert own is not None
    assert own > 0
    assert cpu_s_of(2**22 + 1) is None
