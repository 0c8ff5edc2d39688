"""Figures over several runs."""

from rich.console import Console

from tests.bench.report import Report


def filled() -> Report:
    report = Report()
    for value in (10.0, 30.0, 20.0):
        report.begin_run()
        report.bench = "machine"
        report.add("rate", value, "/s", "≥ 5")
        report.bench = "calls"
        report.times("ring", [value, value + 1])
    return report


def shown(report: Report) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(report.table())
    return captured.get()


def test_a_figure_of_several_runs_keeps_every_value() -> None:
    rate, p50, p99 = filled().figures
    assert (rate.bench, rate.name, rate.unit, rate.target) == ("machine", "rate", "/s", "≥ 5")
    assert (rate.median, rate.min, rate.max, rate.values) == (20, 10, 30, (10, 30, 20))
    assert (p50.name, p50.values) == ("ring p50", (10, 30, 20))
    assert (p99.name, p99.values) == ("ring p99", (11, 31, 21))


def test_a_ratio_uses_what_the_same_run_has_found() -> None:
    report = filled()
    assert report.value("machine", "rate") == 20
    report.begin_run()
    assert report.value("machine", "rate") is None


def test_the_table_of_several_runs_shows_the_spread() -> None:
    table = shown(filled())
    assert "medians of 3 runs" in table
    assert [word in table for word in ("median", "min", "max")] == [True] * 3


def test_the_table_of_one_run_shows_one_value() -> None:
    report = Report()
    report.begin_run()
    report.add("rate", 10, "/s")
    table = shown(report)
    assert "value" in table
    assert "median" not in table


def test_a_figure_that_came_in_a_later_run_stands_with_its_benchmark() -> None:
    report = filled()
    report.begin_run()
    report.bench = "machine"
    report.add("failed", 1, "calls", "0")
    lines = [line for line in shown(report).splitlines() if "failed" in line or "ring p50" in line]
    assert "failed" in lines[0]


def test_nothing_is_added_for_times_that_nobody_took() -> None:
    report = Report()
    report.begin_run()
    report.times("ring", [])
    assert report.figures == ()


def test_a_result_tells_where_it_comes_from() -> None:
    result = filled().result({"quick": True})
    assert result.runs == 3
    assert result.options == {"quick": True}
    assert result.machine.cores >= 1
    assert result.machine.memory_bytes > 2**20
    assert {"aiohttp", "uvloop", "asyncpg", "msgspec"} <= set(result.versions)
    assert result.python
