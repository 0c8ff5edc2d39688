"""What a load run came to: figures for each phase, thresholds, a table and a JSON file."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

COLUMNS = ("avg", "min", "med", "max", "p90", "p95", "p99")
FAILED_EXIT = 99
_threshold = re.compile(r"^(\w+)\.(avg|min|med|max|p90|p95|p99)\s*<\s*(\d+(?:\.\d+)?)(ms|s)?$")


class Summary(msgspec.Struct, frozen=True):
    """Times of one phase in ms."""

    count: int
    avg: float
    min: float
    med: float
    max: float
    p90: float
    p95: float
    p99: float


class Threshold(msgspec.Struct, frozen=True):
    """`relay.p99<5ms`, and whether it held."""

    text: str
    value_ms: float
    held: bool


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` is the time from the first request to the last end; CPU is the generator's own."""

    pairs: int
    calls: int
    completed: int
    failed: int
    seconds: float
    calls_per_s: float
    frames_sent: int
    frames_received: int
    client_cpu_s: float
    connect_s: float
    errors: dict[str, int]
    phases: dict[str, Summary]
    thresholds: list[Threshold] = []

    @property
    def exit_code(self) -> int:
        """99 for a threshold that did not hold, 1 for calls that failed, else 0."""
        if not all(threshold.held for threshold in self.thresholds):
            return FAILED_EXIT
        return 1 if self.failed else 0

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = []
        for threshold in self.thresholds:
            mark, style = ("✓", "green") if threshold.held else ("✗", "bold red")
            parts.append(Text(f"{mark} {threshold.text}  ({threshold.value_ms:.2f} ms)", style))
        table = Table(box=box.SIMPLE, pad_edge=False)
        table.add_column("phase, ms")
        for column in ("count", *COLUMNS):
            table.add_column(column, justify="right")
        for name, phase in self.phases.items():
            values = [f"{getattr(phase, column):.2f}" for column in COLUMNS]
            table.add_row(name, str(phase.count), *values)
        parts.append(table)
        parts.append(
            Text(
                f"calls {self.completed} of {self.calls} in {self.seconds:.2f} s: "
                f"{self.calls_per_s:.0f}/s   frames {self.frames_sent} out, "
                f"{self.frames_received} in   generator CPU {self.client_cpu_s:.2f} s"
            )
        )
        for code, count in sorted(self.errors.items()):
            parts.append(Text(f"error {code}: {count}", "red"))
        return Group(*parts)


def summarise(times_ms: Sequence[float]) -> Summary:
    """`times_ms` must not be empty."""
    ordered = sorted(times_ms)

    def at(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Summary(
        count=len(ordered),
        avg=sum(ordered) / len(ordered),
        min=ordered[0],
        med=at(0.5),
        max=ordered[-1],
        p90=at(0.9),
        p95=at(0.95),
        p99=at(0.99),
    )


def judge(wanted: Sequence[str], phases: Mapping[str, Summary]) -> list[Threshold]:
    """Thresholds like `connect.p95<800ms`; one of a phase that never came does not hold.

    Raises:
        ValueError: not a threshold.
    """
    judged = []
    for text in wanted:
        found = _threshold.match(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is not a threshold like relay.p99<5ms.")
        name, column, bound, unit = found.groups()
        bound_ms = float(bound) * (1_000 if unit == "s" else 1)
        phase = phases.get(name)
        value = math.inf if phase is None else float(getattr(phase, column))
        judged.append(Threshold(text, value if phase else -1.0, value < bound_ms))
    return judged
