import io

import pytest
from rich.console import Console

from signalling.client.load.measure import Histogram, Summary, Violation, summarise
from signalling.client.load.plan import Try
from signalling.client.load.report import Report, judge, ordered, verdict


def phase() -> Summary:
    """1 ms to 100 ms."""
    times = Histogram()
    for ms in range(1, 101):
        times.note(ms)
    return summarise(times)


def report(**changed: object) -> Report:
    values: dict[str, object] = {
        "url": "http://127.0.0.1:1",
        "mode": "signalling",
        "began_at": "2026-01-01T10:00:00Z",
        "users": 2,
        "workers": 1,
        "seconds": 2.0,
        "started": 3,
        "done": 2,
        "failed": 0,
        "dropped": 0,
        "calls_per_s": 1.0,
        "sent": 1,
        "received": 1,
        "resent": 0,
        "cpu_s": 0.1,
        "cpu_busiest": 0.1,
        "server_cpu_s": -1.0,
        "server_busiest": -1.0,
        "lag": summarise(Histogram()),
        "verdict": "Neither.",
        "phases": {"relay": phase()},
        "errors": {},
        "outcomes": {},
        "billed": 2,
        "compared": 2,
        "charged_minor": 240,
        "violations_count": 0,
        "violations": [],
        **changed,
    }
    return Report(**values)  # type: ignore[arg-type]


def text_of(made: Report) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(made, soft_wrap=True)
    return console.export_text()


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("relay.p99<99.5ms", True),
        ("relay.p99 < 0.1s", True),
        ("relay.p99<98", False),
        ("relay.p(95)<96ms", True),
        ("relay.p50<50ms", False),
        ("relay.med<51", True),
        ("relay.max<100ms", False),
        ("tick.p95<1s", False),
    ],
)
def test_a_threshold_holds_below_its_bound_if_the_phase_ever_came(text: str, held: bool) -> None:
    assert judge([text], {"relay": phase()})[0].held is held


@pytest.mark.parametrize("text", ["", "relay", "relay.p42<1", "relay.p99>1", "relay.p99<x"])
def test_a_threshold_must_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="threshold"):
        judge([text], {})


def test_the_exit_code_tells_missed_thresholds_from_failed_calls_and_broken_promises() -> None:
    missed = judge(["relay.p99<1ms"], {"relay": phase()})
    assert report().exit_code == 0
    assert report(failed=1).exit_code == 1
    assert report(violations_count=1).exit_code == 1
    assert report(errors={"books": {"timeout": 1}}).exit_code == 1
    assert report(errors={"request": {"rate_limited": 1}}).exit_code == 0
    assert report(failed=1, thresholds=missed).exit_code == 99


def test_what_fails_while_a_ladder_looks_for_the_limit_is_no_failure_of_the_run() -> None:
    assert report(failed=5, best=40.0).exit_code == 0
    assert report(failed=5, best=0).exit_code == 1
    assert report(failed=5, best=40.0, violations_count=1).exit_code == 1


def test_thresholds_come_first_then_phases_outcomes_and_violations() -> None:
    broken = Violation("rev", "call 7 has rev 5 after 3", "load-caller", ["< {first}", "> {last}"])
    said = text_of(
        report(
            thresholds=judge(["relay.p99<1s", "tick.p50<1s"], {"relay": phase()}),
            errors={"request": {"unavailable": 3}},
            outcomes={"answered": {"done": 2, "timeout": 1}},
            violations=[broken],
            violations_count=9,
            tries=[Try(10, True), Try(20, False)],
            best=10.0,
        )
    )
    wanted = (
        *("✓ relay.p99<1s", "✗ tick.p50<1s  (no such times)", "p95", "unavailable 3", "relay"),
        *("answered", "timeout 1", "✓ 10.0 calls/s", "✗ 20.0 calls/s", "10.0 calls/s"),
        *("Neither.", "broken promises: 9", "call 7 has rev 5", "< {first}", "> {last}", "8 more"),
    )
    at = 0
    for text in wanted:
        at = said.index(text, at)


def test_phases_stand_in_the_order_of_a_call() -> None:
    assert ordered({"end": 1, "odd": 1, "ring": 1, "connect": 1}) == [
        *("connect", "ring", "end", "odd")
    ]


@pytest.mark.parametrize(
    ("cpu", "lag_ms", "server", "dropped", "said"),
    [
        (0.9, 1, 0.1, 0, "The generator was the limit"),
        (0.95, 80, 0.1, 0, "The generator was the limit"),
        (0.1, 80, 0.95, 0, "did not get a core in time"),
        (0.2, 1, 0.95, 3, "The server was the limit"),
        (0.9, 1, 0.95, 0, "both"),
        (0.2, 1, 0.2, 3, "too few users"),
        (0.2, 1, 0.2, 0, "Neither"),
        (0.2, 1, -1, 0, "--server-pid"),
    ],
)
def test_it_says_which_side_was_the_limit(
    cpu: float, lag_ms: float, server: float, dropped: int, said: str
) -> None:
    assert said in verdict(cpu=cpu, lag_p99_ms=lag_ms, server=server, dropped=dropped)
