"""The summary: one line for each fault."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.faults.stage import Result

SHOWN_MAX = 25


def print_results(results: Sequence[Result], console: Console) -> None:
    table = Table(title="faults", title_justify="left")
    table.add_column("row")
    table.add_column("fault")
    table.add_column("how injected", overflow="fold")
    for name in ("cycles", "calls", "units", "payments", "lost", "doubled", "violations"):
        table.add_column(name, justify="right")
    table.add_column("recovery s\nmedian / max", justify="right")
    table.add_column("took s", justify="right")
    for each in results:
        table.add_row(*_line(each))
    console.print(table)
    for each in results:
        for text in each.notes:
            console.print(f"  {each.row}: {text}", markup=False, highlight=False)
    for each in results:
        for text in each.violations[:SHOWN_MAX]:
            console.print(f"{each.row} (seed {each.seed}): {text}", style="red", markup=False)
        if len(each.violations) > SHOWN_MAX:
            console.print(f"{each.row}: and {len(each.violations) - SHOWN_MAX} more", style="red")


def _line(each: Result) -> list[str]:
    if each.skipped:
        how = f"{each.how}\n[yellow]not run: {each.skipped}[/]"
        return [each.row, each.fault, how, *["–"] * 7, "–", "–"]
    recovery = "–"
    if each.recovery_s:
        recovery = f"{statistics.median(each.recovery_s):.2f} / {max(each.recovery_s):.2f}"
    numbers = (each.cycles, each.calls, each.units, each.payments)
    wrong = (each.lost, each.doubled, len(each.violations))
    return [
        each.row,
        each.fault,
        each.how,
        *(str(number) for number in numbers),
        *(f"[bold red]{number}[/]" if number else "0" for number in wrong),
        recovery,
        f"{each.seconds:.0f}",
    ]


def write_results(results: Sequence[Result], path: Path) -> None:
    encoded = msgspec.json.encode({"rows": list(results)})
    path.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
