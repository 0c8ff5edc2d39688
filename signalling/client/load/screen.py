"""The run while it goes on: a live view in a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from signalling.client.load.collect import RUN, Collector
from signalling.client.load.measure import summarise
from signalling.client.load.report import Point, ordered

# Seconds between two plain lines; each takes the figures of its last second.
LINE_EVERY = 5
BARS = " ▁▂▃▄▅▆▇█"
BARS_MAX = 60


class Screen:
    """`with Screen(console) as screen: run_load(job, show=screen.show)`."""

    def __init__(self, console: Console, *, plain: bool = False) -> None:
        self._console = console
        self._live: Live | None = None
        if console.is_terminal and not plain:
            self._live = Live(console=console, auto_refresh=False, transient=True)
        self._points = 0
        self._stage = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, point: Point, collector: Collector) -> None:
        if self._live is not None:
            self._live.update(view(point, collector), refresh=True)
            return
        changed, self._stage = point.stage != self._stage, point.stage
        if changed or self._points % LINE_EVERY == 0:
            self._console.print(line(point), highlight=False, soft_wrap=True)
        self._points = 1 if changed else self._points + 1


def line(point: Point) -> str:
    """One second in one line."""
    server = "" if point.server_cpu < 0 else f", server {point.server_cpu:.0%}"
    wanted = f" of {point.wanted:.1f}" if point.wanted else ""
    return (
        f"{point.at_s:6.0f} s  {point.stage:7}  {point.users} users, {point.live} live, "
        f"{point.calls_per_s:.1f}{wanted} calls/s, {point.failed} failed, "
        f"ring p50 {point.ring_p50:.1f} p99 {point.ring_p99:.1f} ms, "
        f"relay p50 {point.relay_p50:.2f} p99 {point.relay_p99:.2f} ms, "
        f"CPU {point.cpu:.0%}{server}"
    )


def view(point: Point, collector: Collector) -> RenderableType:
    """The last second, the rates so far as bars, and the times of all of the run by phase."""
    table = Table(box=None, pad_edge=False)
    table.add_column("ms")
    for column in ("count", "p50", "p95", "p99", "max"):
        table.add_column(column, justify="right")
    for name in ordered(collector.total.phases):
        phase = summarise(collector.total.phases[name])
        values = (phase.p50, phase.p95, phase.p99, phase.max)
        table.add_row(name, str(phase.count), *(f"{value:.2f}" for value in values))
    rates = [each.calls_per_s for each in collector.history if each.stage == RUN]
    parts: list[RenderableType] = [Text(line(point)), Text(bars(rates), "green"), table]
    if collector.total.violations_count:
        parts.append(Text(f"broken promises: {collector.total.violations_count}", "bold red"))
    return Group(*parts)


def bars(values: list[float]) -> str:
    """The last values as bars, the highest of them full."""
    shown = values[-BARS_MAX:]
    top = max(shown, default=0) or 1
    return "".join(BARS[round(value / top * (len(BARS) - 1))] for value in shown)
