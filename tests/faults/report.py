"""The summary: one line for each fault."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.faults.rows import ELSEWHERE, ROWS
from tests.faults.stage import Result

SHOWN_MAX = 25
EVERY_ROW = """\
After every cycle the rules of `talktime ledger verify` hold beside the calls that go on. At the
end of every row: no call, place, hold or meter is left; what any client was told of calls,
charges, payments and payouts is in the books, once; nothing is there that nobody asked for; no
call cost more than the time both legs proved and one unit, nor less than the time both were
surely talking, less one unit for each interruption; `seq` and `rev` had no gap and no repeat, and
`rev` jumped only where a node had died; every call ended once for every device; the same command
had the same answer; no signal went to a device that is no leg; the command `talktime ledger
verify` agrees."""
HEAD = (
    *("row", "fault", "how injected", "cycles", "calls", "units", "payments"),
    *("lost", "doubled", "short", "violations", "recovery s, median / max", "took s"),
)


def print_rows(console: Console) -> None:
    """What can be run, what each row is about, and where the other faults of the matrix are."""
    table = Table(title="rows", title_justify="left")
    for name in ("row", "fault", "how injected", "looked at besides", "cycles, quick", "nodes"):
        table.add_column(name, overflow="fold")
    for row in ROWS.values():
        absent = row.absent()
        how = f"{row.how}\nnot here: {absent}" if absent else row.how
        many = f"{row.cycles}, {row.quick}"
        table.add_row(row.name, row.fault, how, row.checks, many, str(row.nodes))
    console.print(table, markup=False)
    console.print(EVERY_ROW, markup=False, highlight=False)
    for fault, where in ELSEWHERE.items():
        console.print(f"{fault}: {where}", markup=False, highlight=False)


def write_markdown(results: Sequence[Result], path: Path) -> None:
    """The table, then what was noted and what was wrong."""
    lines = [_piped(HEAD), _piped(["---"] * 3 + ["---:"] * (len(HEAD) - 3))]
    lines += [_piped(_line(each, plain=True)) for each in results]
    lines += ["", EVERY_ROW, ""]
    lines += [f"- {each.row}: {text}" for each in results for text in each.notes]
    lines += [f"- {fault}: {where}" for fault, where in ELSEWHERE.items()]
    lines += [
        f"- {each.row} (seed {each.seed}): **{text}**"
        for each in results
        for text in each.violations
    ]
    path.write_text("\n".join(lines) + "\n")


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def print_results(results: Sequence[Result], console: Console) -> None:
    table = Table(title="faults", title_justify="left")
    table.add_column("row")
    table.add_column("fault")
    table.add_column("how injected", overflow="fold")
    for name in ("cycles", "calls", "units", "payments", "lost", "doubled", "short", "violations"):
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


def _line(each: Result, *, plain: bool = False) -> list[str]:
    if each.skipped:
        note = f"not run: {each.skipped}"
        how = f"{each.how}; {note}" if plain else f"{each.how}\n[yellow]{note}[/]"
        return [each.row, each.fault, how, *["–"] * 8, "–", "–"]
    recovery = "–"
    if each.recovery_s:
        recovery = f"{statistics.median(each.recovery_s):.2f} / {max(each.recovery_s):.2f}"
    numbers = (each.cycles, each.calls, each.units, each.payments)
    wrong = (each.lost, each.doubled, each.short, len(each.violations))
    return [
        each.row,
        each.fault,
        each.how,
        *(str(number) for number in numbers),
        *(str(number) if plain or not number else f"[bold red]{number}[/]" for number in wrong),
        recovery,
        f"{each.seconds:.0f}",
    ]


def write_results(results: Sequence[Result], path: Path) -> None:
    encoded = msgspec.json.encode({"rows": list(results)})
    path.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
