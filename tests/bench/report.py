"""Figures as they come, over one or several runs, and their table."""

import os
import time
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench import environment
from tests.bench.results import Figure, Options, Result, digits, quantile

WIDTH = 120  # Also where the output is no terminal.


class _Kept(msgspec.Struct):
    """A figure that may get more values."""

    unit: str
    target: str
    values: list[float]


class Report:
    """Keeps figures in the order in which they first came, and every run's value of each."""

    def __init__(self) -> None:
        self.bench = ""
        self.runs = 0
        self.versions: dict[str, str] = {}  # Of what else was measured.
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._run: dict[tuple[str, str], float] = {}

    def begin_run(self) -> None:
        """What is added from here on belongs to the next run."""
        self.runs += 1
        self._run = {}

    def add(self, name: str, value: float, unit: str, target: str = "") -> None:
        key = (self.bench, name)
        self._kept.setdefault(key, _Kept(unit, target, [])).values.append(float(value))
        self._run[key] = float(value)

    def times(self, name: str, times_ms: Sequence[float], target: str = "") -> None:
        """The median and the 99th percentile of times in milliseconds."""
        if times_ms:
            self.add(f"{name} p50", quantile(times_ms, 0.5), "ms", target)
            self.add(f"{name} p99", quantile(times_ms, 0.99), "ms")

    def value(self, bench: str, name: str) -> float | None:
        """What another benchmark has found in the same run, for ratios."""
        return self._run.get((bench, name))

    @property
    def figures(self) -> tuple[Figure, ...]:
        return tuple(
            Figure.of(bench, name, kept.unit, kept.target, kept.values)
            for (bench, name), kept in self._kept.items()
        )

    def table(self) -> Table:
        several = self.runs > 1
        title = f"talktime bench, medians of {self.runs} runs" if several else "talktime bench"
        table = Table(title=title, title_justify="left")
        for column in ("benchmark", "figure"):
            table.add_column(column)
        for column in ("median", "min", "max") if several else ("value",):
            table.add_column(column, justify="right", no_wrap=True)
        for column in ("unit", "target"):
            table.add_column(column)
        before = ""
        # Of a figure that came late, as a failure in the second run, the benchmark was before.
        order = {bench: n for n, bench in enumerate(dict.fromkeys(key[0] for key in self._kept))}
        for each in sorted(self.figures, key=lambda figure: order[figure.bench]):
            if each.bench != before:
                table.add_section()
            shown = each.bench if each.bench != before else ""
            spread = (digits(each.min), digits(each.max)) if several else ()
            table.add_row(shown, each.name, digits(each.median), *spread, each.unit, each.target)
            before = each.bench
        return table

    def print(self) -> None:
        print_wide(self.table())

    def result(self, options: Options) -> Result:
        return Result(
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            commit=environment.commit(),
            options=options,
            runs=self.runs,
            machine=environment.machine(),
            python=environment.python(),
            versions=environment.versions() | self.versions,
            load_average=os.getloadavg(),
            figures=self.figures,
        )


def print_wide(table: Table) -> None:
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)
