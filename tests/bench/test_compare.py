"""Two result files against each other."""

import math
from pathlib import Path

import msgspec
import pytest

from tests.bench.compare import Row, Verdict, compare, differences, main
from tests.bench.made import HERE, figure, result
from tests.bench.results import Figure, Result, write


def row_of(old: Figure, new: Figure) -> Row:
    (row,) = compare(result(old), result(new))
    return row


def files(directory: Path, old: Result, new: Result) -> list[str]:
    paths = [directory / "old.json", directory / "new.json"]
    for path, each in zip(paths, (old, new), strict=True):
        write(path, each)
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("unit", "old", "new", "verdict"),
    [
        ("/s", 100, 110, Verdict.BETTER),
        ("/s", 100, 90, Verdict.WORSE),
        ("ms", 100, 90, Verdict.BETTER),
        ("ms", 100, 110, Verdict.WORSE),
        ("ms", 100, 104, Verdict.SAME),
        ("sockets", 100, 200, Verdict.SAME),
    ],
)
def test_one_run_each_differs_by_more_than_five_percent(
    unit: str, old: float, new: float, verdict: Verdict
) -> None:
    row = row_of(figure(old, unit=unit), figure(new, unit=unit))
    assert row.verdict is verdict
    assert row.ratio == pytest.approx(new / old)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ((100, 101, 102), (102.1, 103, 104), Verdict.BETTER),
        ((100, 150, 200), (190, 300, 400), Verdict.SAME),
        ((100, 101, 102), (90, 95, 99), Verdict.WORSE),
    ],
)
def test_of_several_runs_each_the_ranges_decide(
    old: tuple[float, ...], new: tuple[float, ...], verdict: Verdict
) -> None:
    assert row_of(figure(*old), figure(*new)).verdict is verdict


def test_several_runs_against_one_are_as_one_against_one() -> None:
    assert row_of(figure(100, 101, 102), figure(103)).verdict is Verdict.SAME
    assert row_of(figure(100, 101, 102), figure(120)).verdict is Verdict.BETTER


def test_a_first_failure_is_infinitely_worse() -> None:
    row = row_of(figure(0, unit="calls", target="0"), figure(3, unit="calls", target="0"))
    assert (row.verdict, row.worse, row.ratio) == (Verdict.WORSE, math.inf, None)


def test_a_figure_whose_unit_has_changed_is_not_compared() -> None:
    row = row_of(figure(1, unit="s"), figure(1_000, unit="ms"))
    assert (row.verdict, row.ratio) == (Verdict.SAME, None)


def test_figures_of_one_file_are_shown_without_the_other() -> None:
    old, new = figure(1, name="gone"), figure(2, name="fresh")
    rows = compare(result(old), result(new))
    assert [(row.name, row.old, row.new) for row in rows] == [
        ("fresh", None, new),
        ("gone", old, None),
    ]


def test_another_machine_python_version_or_option_is_said() -> None:
    old = result()
    new = msgspec.structs.replace(
        result(machine=msgspec.structs.replace(HERE, cores=8)),
        python="CPython 3.13.1",
        versions={"aiohttp": "3.15.0"},
        options={"quick": True, "benches": ["calls", "relay"]},
    )
    assert list(differences(old, new)) == [
        "cores: 2 → 8",
        "python: CPython 3.11.7 → CPython 3.13.1",
        "aiohttp: 3.14.5 → 3.15.0",
        "quick: False → True",
        "benches: calls → calls relay",
    ]
    assert list(differences(old, old)) == []


def test_the_table_and_both_commits_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = result(figure(100), commit="aaa"), result(figure(50), commit="bbb")
    assert main(files(tmp_path, old, new)) == 0
    said = capsys.readouterr().out
    for word in ("rate", "100", "0.50", "worse", "old: aaa", "new: bbb"):
        assert word in said


@pytest.mark.parametrize(("value", "code"), [(89, 1), (91, 0), (120, 0)])
def test_the_exit_code_tells_of_what_got_worse_by_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float, code: int
) -> None:
    paths = files(tmp_path, result(figure(100)), result(figure(value)))
    assert main([*paths, "--fail-over", "10"]) == code
    assert ("worse by more than 10 %: calls: rate" in capsys.readouterr().out) == bool(code)


def test_other_benchmarks_can_be_left_out(tmp_path: Path) -> None:
    bad = figure(1, bench="machine")
    paths = files(tmp_path, result(figure(100, bench="machine")), result(bad))
    assert main([*paths, "--fail-over", "10", "--only", "calls"]) == 0


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "new.json", result())
    assert main([str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 2
    assert "old.json" in capsys.readouterr().err
