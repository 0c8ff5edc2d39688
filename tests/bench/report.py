"""Figures, their table, and their JSON."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table


class Figure(msgspec.Struct, frozen=True):
    """One measured value; `target` is what the project aims at, in words."""

    bench: str
    name: str
    value: float
    unit: str
    target: str = ""


class Report:
    """Keeps figures in the order in which they came."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.bench = ""

    def add(self, name: str, value: float, unit: str, target: str = "") -> None:
        self.figures.append(Figure(self.bench, name, value, unit, target))

    def times(self, name: str, times_ms: Sequence[float], target: str = "") -> None:
        """The median and the 99th percentile of times in milliseconds."""
        if times_ms:
            self.add(f"{name} p50", quantile(times_ms, 0.5), "ms", target)
            self.add(f"{name} p99", quantile(times_ms, 0.99), "ms")

    def value(self, bench: str, name: str) -> float | None:
        """What another benchmark of this run has found, for ratios."""
        return next(
            (each.value for each in self.figures if (each.bench, each.name) == (bench, name)), None
        )

    def table(self) -> Table:
        table = Table(title="talktime bench", title_justify="left")
        for column in ("benchmark", "figure"):
            table.add_column(column)
        table.add_column("value", justify="right")
        for column in ("unit", "target"):
            table.add_column(column)
        before = ""
        for each in self.figures:
            if each.bench != before:
                table.add_section()
            shown = each.bench if each.bench != before else ""
            table.add_row(shown, each.name, digits(each.value), each.unit, each.target)
            before = each.bench
        return table

    def print(self) -> None:
        # Wide enough also where the output is no terminal.
        console = Console()
        console.width = max(console.width, 110)
        console.print(self.table())

    def write(self, path: Path, *, quick: bool) -> None:
        body = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "quick": quick,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
            "cpus": os.cpu_count(),
            "load_average": os.getloadavg(),
            "figures": self.figures,
        }
        path.write_bytes(msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n")


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def digits(value: float) -> str:
    if value == 0 or abs(value) >= 1_000:
        return f"{value:,.0f}".replace(",", " ")
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
