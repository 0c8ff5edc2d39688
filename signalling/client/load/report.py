"""What a load run came to: thresholds, a table by phase, violations, and who was the limit."""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from signalling.client.load.measure import Counts, Summary, Violation
from signalling.client.load.plan import Try

COLUMNS = ("avg", "p50", "p90", "p95", "p99", "max")
# In the order of a call; others follow.
PHASES = (
    *("connect", "start", "request", "ring", "ringing", "answer", "relay", "connected", "tick"),
    *("lateness", "end", "call", "resume", "reconnect", "top-up", "rest", "ping"),
)
FAILED_EXIT = 99
SATURATED = 0.85
LAG_MS_MAX = 50.0
SHOWN_MAX = 5
FRAME_CHARS = 200  # On the screen; the files have more.
_threshold = re.compile(
    r"^([a-z][a-z-]*)\.(avg|min|med|max|p\(?(?:50|90|95|99)\)?)\s*<\s*(\d+(?:\.\d+)?)(ms|s)?$"
)


class Threshold(msgspec.Struct, frozen=True):
    """`relay.p99<5ms`, and whether it held. `value_ms` is -1 if the phase never came."""

    text: str
    value_ms: float
    held: bool

    @property
    def missed(self) -> bool:
        """There were such times, and they were too long."""
        return not self.held and self.value_ms >= 0


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One second of the run. Rates are per second, times in ms, CPU in cores.

    `ring` and `relay` are 0 in seconds without any; `server_cpu` is -1 if it is not known.
    """

    at_s: float
    stage: str
    wanted: float
    started: int
    done: int
    failed: int
    dropped: int
    live: int
    users: int
    calls_per_s: float
    frames_per_s: float
    ring_p50: float
    ring_p95: float
    ring_p99: float
    relay_p50: float
    relay_p99: float
    cpu: float
    server_cpu: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` is from the first call to the end of the last. `cpu_busiest` is the share of a
    core that the busiest generator process took in that time, `server_busiest` the same of the
    server's processes (-1: not known), `lag` how late the generators' loops were: of a ladder at
    its highest rate. `best` is what the ladder found, in calls a second; `phases` are its then."""

    url: str
    mode: str
    began_at: str
    users: int
    workers: int
    seconds: float
    started: int
    done: int
    failed: int
    dropped: int
    calls_per_s: float
    sent: int
    received: int
    resent: int
    cpu_s: float
    cpu_busiest: float
    server_cpu_s: float
    server_busiest: float
    lag: Summary
    verdict: str
    phases: dict[str, Summary]
    errors: Counts
    outcomes: Counts
    billed: int
    compared: int
    charged_minor: int
    violations_count: int
    violations: list[Violation]
    thresholds: list[Threshold] = []
    tries: list[Try] = []
    best: float = 0
    history: list[Point] = []

    @property
    def exit_code(self) -> int:
        """99 for a threshold that did not hold, 1 for failures and broken promises, else 0.

        What fails while a ladder looks for the limit is what it looks for.
        """
        if not all(threshold.held for threshold in self.thresholds):
            return FAILED_EXIT
        failed = self.failed or self.errors.get("connect") or self.errors.get("books")
        if self.violations_count or (failed and not self.best):
            return 1
        return 0

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = []
        for threshold in self.thresholds:
            mark, style = ("✓", "green") if threshold.held else ("✗", "bold red")
            said = "no such times" if threshold.value_ms < 0 else f"{threshold.value_ms:.2f} ms"
            parts.append(Text(f"{mark} {threshold.text}  ({said})", style))
        parts += [_phases(self), _outcomes(self)]
        for each in self.tries:
            why = f"  ({each.why})" if each.why else ""
            parts.append(Text(f"{'✓' if each.good else '✗'} {each.rate:.1f} calls/s{why}"))
        if self.tries:
            text = f"highest good rate: {self.best:.1f} calls/s; the times above are those at it"
            parts.append(Text(text if self.best else "not even the lowest rate was good", "bold"))
        parts += [Text(line) for line in _lines(self)]
        if self.violations_count:
            parts.append(Text(f"broken promises: {self.violations_count}", "bold red"))
        for violation in self.violations[:SHOWN_MAX]:
            text = f"✗ {violation.rule}, {violation.device}: {violation.text}"
            parts.append(Text(text, "red"))
            parts += [Text(f"    {frame[:FRAME_CHARS]}", "dim") for frame in violation.frames]
        more = self.violations_count - len(self.violations[:SHOWN_MAX])
        if more:
            parts.append(Text(f"  … and {more} more; see --json"))
        return Group(*parts)


def _phases(report: Report) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("phase, ms", no_wrap=True)
    for column in ("count", *COLUMNS):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("errors")
    for name in ordered({**report.phases, **report.errors}):
        phase, errors = report.phases.get(name), report.errors.get(name, {})
        values = [short(getattr(phase, column)) if phase else "–" for column in COLUMNS]
        codes = " ".join(f"{code} {count}" for code, count in sorted(errors.items()))
        table.add_row(name, str(phase.count if phase else 0), *values, Text(codes, "red"))
    return table


def _outcomes(report: Report) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("scenario", "calls", "done", "failed"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    table.add_column("why")
    for name, results in sorted(report.outcomes.items()):
        calls, done = sum(results.values()), results.get("done", 0)
        why = " ".join(f"{code} {n}" for code, n in sorted(results.items()) if code != "done")
        table.add_row(name, str(calls), str(done), str(calls - done), Text(why, "red"))
    total = str(report.done + report.failed)
    table.add_row("total", total, str(report.done), str(report.failed), "", style="bold")
    return table


def _lines(report: Report) -> list[str]:
    lines = [
        f"calls {report.done} of {report.started} in {report.seconds:.2f} s: "
        f"{report.calls_per_s:.1f}/s by {report.users} users"
    ]
    if report.sent:
        lines[0] += (
            f"   frames {report.sent} out, {report.received} in, "
            f"{report.resent} commands sent twice"
        )
    if report.dropped:
        lines.append(
            f"{report.dropped} calls did not begin, because nobody was free: use more --users"
        )
    lines.append(
        f"books: {report.billed} calls, {report.charged_minor} in all; "
        f"{report.compared} receipts compared"
    )
    generators = "process" if report.workers == 1 else f"{report.workers} processes"
    lines.append(
        f"generator: {generators}, {report.cpu_s:.2f} s of CPU, the busiest "
        f"{report.cpu_busiest:.0%} of a core; its own loop late p99 {report.lag.p99:.1f} ms"
    )
    if report.server_cpu_s >= 0:
        lines.append(
            f"server: {report.server_cpu_s:.2f} s of CPU, the busiest process "
            f"{report.server_busiest:.0%} of a core"
        )
    return [*lines, report.verdict]


def short(ms: float) -> str:
    """Three digits or more of a time, and no digits that say nothing."""
    return f"{ms:.2f}" if ms < 100 else f"{ms:.0f}"


def ordered(names: Mapping[str, object]) -> list[str]:
    """Phases in the order of a call."""
    return sorted(names, key=lambda name: (_place(name), name))


def _place(name: str) -> int:
    return PHASES.index(name) if name in PHASES else len(PHASES)


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
        column = column.replace("(", "").replace(")", "")
        bound_ms = float(bound) * (1_000 if unit == "s" else 1)
        phase = phases.get(name)
        value = math.inf if phase is None else float(getattr(phase, column))
        judged.append(Threshold(text, value if phase else -1.0, value < bound_ms))
    return judged


def verdict(*, cpu: float, lag_p99_ms: float, server: float, dropped: int) -> str:
    """Which side was at its limit, in words. Shares of a core; `server` below 0: not known."""
    generator = cpu >= SATURATED
    if lag_p99_ms >= LAG_MS_MAX and not generator:
        return (
            "The generator did not get a core in time, though it needed little of one: this "
            "machine is busy with other things, and the times above are not the server's alone."
        )
    if generator and server >= SATURATED:
        return "Generator and server were both at their limit: use more --workers, on other cores."
    if generator:
        return (
            "The generator was the limit, so the times above are its own too: "
            "use more --workers, on cores that the server does not need."
        )
    if server >= SATURATED:
        return "The server was the limit."
    if dropped:
        return "There were too few users for this rate: use more --users."
    if server < 0:
        return "The generator was not the limit; --server-pid tells whether the server was."
    return "Neither side was at its limit."
