"""What the benchmarks leave behind: figures with their spread, and where they came from."""

import statistics
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

import msgspec

from tests.bench.environment import Machine

Options = dict[str, bool | int | str | list[str]]


class Direction(Enum):
    """Which way a figure gets better."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


class Figure(msgspec.Struct, frozen=True):
    """One measured figure, with its value in each run that had one, in their order.

    `target` is what the project aims at, in words.
    """

    bench: str
    name: str
    unit: str
    target: str
    median: float
    min: float
    max: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, bench: str, name: str, unit: str, target: str, values: Sequence[float]) -> "Figure":
        middle = statistics.median(values)
        return cls(bench, name, unit, target, middle, min(values), max(values), tuple(values))


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A result file. `at` is UTC; `commit` ends in `-dirty` when the tree was not that commit's."""

    at: str
    commit: str
    options: Options
    runs: int
    machine: Machine
    python: str
    versions: dict[str, str]
    load_average: tuple[float, float, float]
    figures: tuple[Figure, ...]

    def find(self, bench: str, name: str) -> Figure | None:
        return next(
            (each for each in self.figures if (each.bench, each.name) == (bench, name)), None
        )


def read(path: Path) -> Result:
    """
    Raises:
        ValueError: it is no result file; the message names the file and the field.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ValueError(f"{path}: {fault}") from None


def write(path: Path, result: Result) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def direction(unit: str, target: str) -> Direction:
    """The target says it, where there is one; else the unit.

    A plain `×` is how many times a floor's cost something takes; `× the rate` is a share of a
    floor's throughput.
    """
    if "≥" in target:
        return Direction.MORE
    if "≤" in target or target == "0":
        return Direction.LESS
    if unit.endswith(("/s", "/CPU-s")) or unit == "× the rate":
        return Direction.MORE
    if unit.split("/")[0] in ("ns", "µs", "ms", "s", "KiB", "MiB", "%", "×"):
        return Direction.LESS
    return Direction.NEITHER


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def digits(value: float) -> str:
    """Three digits or more, thousands apart."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
