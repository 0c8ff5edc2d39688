"""Result files and what their figures mean."""

from pathlib import Path

import pytest

from tests.bench.made import figure, result
from tests.bench.results import Direction, Figure, digits, direction, quantile, read, write


def test_a_figure_has_the_median_and_the_range_of_its_values() -> None:
    of = Figure.of("calls", "rate", "/s", "", [3.0, 1.0, 2.0, 10.0])
    assert (of.median, of.min, of.max) == (2.5, 1.0, 10.0)
    assert of.values == (3.0, 1.0, 2.0, 10.0), "in the order of the runs"


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    kept = result(figure(1.0, 2.0), runs=2, commit="abc-dirty")
    write(tmp_path / "a.json", kept)
    assert read(tmp_path / "a.json") == kept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"at":"2026"}', "commit"),
        ('{"figures":1}', "figures"),
        ('{"at"', "truncated"),
        ("", "truncated"),
    ],
)
def test_a_file_that_is_no_result_is_named_with_its_field(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.json.*" + said):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json"):
        read(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("unit", "target", "expected"),
    [
        ("calls/CPU-s", "", Direction.MORE),
        ("rows/s", "", Direction.MORE),
        ("× the rate", "", Direction.MORE),
        ("µs/call", "", Direction.LESS),
        ("ns", "", Direction.LESS),
        ("KiB", "", Direction.LESS),
        ("×", "", Direction.LESS),
        ("×", "≥ 1.7", Direction.MORE),
        ("calls", "0", Direction.LESS),
        ("calls/s", "≤ 3", Direction.LESS),
        ("sockets", "", Direction.NEITHER),
        ("", "", Direction.NEITHER),
    ],
)
def test_the_target_says_what_is_better_and_else_the_unit(
    unit: str, target: str, expected: Direction
) -> None:
    assert direction(unit, target) is expected


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (123.4, "123"),
        (999.7, "1 000"),
        (1_234_567, "1 234 567"),
    ],
)
def test_digits_are_as_many_as_one_can_read(value: float, shown: str) -> None:
    assert digits(value) == shown


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [quantile(values, share) for share in (0, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert quantile([7.0], 0.99) == 7
