"""`python -m tests.bench.compare OLD.json NEW.json`: what got better, what got worse.

A change counts when the ranges of the two files do not overlap; where a file has one run only, when
it is more than 5 %. With `--fail-over 10` the exit code is 1 when a figure that changed so got
worse by more than 10 %; 2 means that a file could not be read.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path

import msgspec
from rich.markup import escape
from rich.table import Table

from tests.bench.report import print_wide
from tests.bench.results import Direction, Figure, Result, digits, direction, read

NOISE = 0.05  # Of one value against another, where nothing is known of their spread.


class Verdict(Enum):
    BETTER = "better"
    WORSE = "worse"
    SAME = ""


class Row(msgspec.Struct, frozen=True):
    """A figure that is in both files, or in one.

    `ratio` is new to old, None where there is none. `worse` is how much worse the new one is as a
    share of the old one, infinite when that was 0, and 0 unless the verdict is WORSE.
    """

    bench: str
    name: str
    old: Figure | None
    new: Figure | None
    ratio: float | None
    verdict: Verdict
    worse: float


def compare(old: Result, new: Result) -> list[Row]:
    """In the order of the new file; what is only in the old one comes last."""
    rows = [_row(old.find(each.bench, each.name), each) for each in new.figures]
    gone = (each for each in old.figures if new.find(each.bench, each.name) is None)
    return rows + [_row(each, None) for each in gone]


def _row(old: Figure | None, new: Figure | None) -> Row:
    either = new or old
    assert either is not None
    ratio, verdict, worse = None, Verdict.SAME, 0.0
    if old is not None and new is not None and old.unit == new.unit:
        ratio = new.median / old.median if old.median else None
        verdict = _verdict(old, new)
        if verdict is Verdict.WORSE:
            change = abs(new.median - old.median)
            worse = change / abs(old.median) if old.median else math.inf
    return Row(either.bench, either.name, old, new, ratio, verdict, worse)


def _verdict(old: Figure, new: Figure) -> Verdict:
    good = direction(new.unit, new.target)
    if good is Direction.NEITHER or not _differ(old, new):
        return Verdict.SAME
    grew = new.median > old.median
    return Verdict.BETTER if grew == (good is Direction.MORE) else Verdict.WORSE


def _differ(old: Figure, new: Figure) -> bool:
    if len(old.values) > 1 and len(new.values) > 1:
        return old.max < new.min or new.max < old.min
    return abs(new.median - old.median) > NOISE * abs(old.median)


def differences(old: Result, new: Result) -> Iterator[str]:
    """What else is different, so that figures may differ for its sake."""
    pairs: list[tuple[str, object, object]] = [("runs", old.runs, new.runs)]
    pairs += [
        (field, getattr(old.machine, field), getattr(new.machine, field))
        for field in old.machine.__struct_fields__
    ]
    pairs.append(("python", old.python, new.python))
    for a, b in ((old.versions, new.versions), (old.options, new.options)):
        pairs += [(name, a.get(name), b.get(name)) for name in {**a, **b}]
    for name, before, after in pairs:
        if before != after:
            yield f"{name}: {_said(before)} → {_said(after)}"


def _said(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return "none" if value is None else str(value)


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(title="talktime bench, compared", title_justify="left")
    for column in ("benchmark", "figure"):
        table.add_column(column)
    for column in ("old", "new", "new ÷ old"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("unit", ""):
        table.add_column(column)
    colour = {Verdict.BETTER: "green", Verdict.WORSE: "red", Verdict.SAME: ""}
    before = ""
    for row in rows:
        if row.bench != before:
            table.add_section()
        table.add_row(
            row.bench if row.bench != before else "",
            escape(row.name),
            _shown(row.old),
            _shown(row.new),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            _unit(row),
            row.verdict.value,
            style=colour[row.verdict],
        )
        before = row.bench
    return table


def _shown(figure: Figure | None) -> str:
    return "–" if figure is None else digits(figure.median)


def _unit(row: Row) -> str:
    units = dict.fromkeys(each.unit for each in (row.old, row.new) if each is not None)
    return " → ".join(units)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare", description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    parser.add_argument("--fail-over", type=float, metavar="PERCENT", help="exit with 1 then")
    parser.add_argument("--only", action="append", metavar="BENCH", help="may be repeated")
    asked = parser.parse_args(given)
    try:
        old, new = read(asked.old), read(asked.new)
    except ValueError as fault:
        print(fault, file=sys.stderr)
        return 2
    rows = [row for row in compare(old, new) if not asked.only or row.bench in asked.only]
    print_wide(table_of(rows))
    print(f"old: {old.commit or 'no commit'}, {old.at}, runs: {old.runs}")
    print(f"new: {new.commit or 'no commit'}, {new.at}, runs: {new.runs}")
    for line in differences(old, new):
        print(f"differs: {line}")
    limit = math.inf if asked.fail_over is None else asked.fail_over / 100
    failed = [row for row in rows if row.verdict is Verdict.WORSE and row.worse > limit]
    for row in failed:
        print(f"worse by more than {asked.fail_over:g} %: {row.bench}: {row.name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
