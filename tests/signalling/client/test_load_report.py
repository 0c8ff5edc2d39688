import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from signalling.client.load_report import LoadReport, judge, summarise

TIMES = [float(n) for n in range(1, 101)]


def report(**changed: object) -> LoadReport:
    values: dict[str, object] = {
        "pairs": 1,
        "calls": 2,
        "completed": 2,
        "failed": 0,
        "seconds": 1.0,
        "calls_per_s": 2.0,
        "frames_sent": 1,
        "frames_received": 1,
        "client_cpu_s": 0.1,
        "connect_s": 0.1,
        "errors": {},
        "phases": {"relay": summarise(TIMES)},
        **changed,
    }
    return LoadReport(**values)  # type: ignore[arg-type]


def test_percentiles_are_values_that_were_measured() -> None:
    summary = summarise(TIMES)
    assert (summary.min, summary.med, summary.max) == (1, 50, 100)
    assert (summary.p90, summary.p95, summary.p99) == (90, 95, 99)
    assert summary.avg == 50.5
    assert summarise([7.0]).p99 == 7.0


def test_a_threshold_holds_below_its_bound_in_either_unit() -> None:
    phases = {"relay": summarise(TIMES)}
    held = [t.held for t in judge(["relay.p99<99.5ms", "relay.p99 < 0.1s", "relay.p99<99"], phases)]
    assert held == [True, True, False]


def test_a_threshold_of_a_phase_that_never_came_does_not_hold() -> None:
    assert not judge(["tick.p95<1s"], {})[0].held


@pytest.mark.parametrize("text", ["", "relay", "relay.p50<1", "relay.p99>1", "relay.p99<x"])
def test_a_threshold_must_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="threshold"):
        judge([text], {})


def test_the_exit_code_tells_broken_thresholds_from_failed_calls() -> None:
    assert report().exit_code == 0
    assert report(failed=1).exit_code == 1
    broken = judge(["relay.p99<1ms"], {"relay": summarise(TIMES)})
    assert report(failed=1, thresholds=broken).exit_code == 99


def test_the_table_names_phases_thresholds_and_errors() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    held = judge(["relay.p99<1s"], {"relay": summarise(TIMES)})
    console.print(report(thresholds=held, errors={"cooldown": 3}))
    text = console.export_text()
    assert "✓ relay.p99<1s" in text
    assert "p95" in text
    assert "error cooldown: 3" in text


def test_the_file_is_json(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    report().write(path)
    assert json.loads(path.read_text())["phases"]["relay"]["count"] == 100
