"""What was measured and checked, and the table of it."""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Finding:
    act: str
    what: str
    measured: str
    holds: bool


class Findings:
    """In the order in which they were made."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def add(self, act: str, what: str, measured: object, holds: object) -> None:
        """`holds`: whether it is as it must be."""
        self.all.append(Finding(act, what, str(measured), bool(holds)))

    @property
    def hold(self) -> bool:
        return all(each.holds for each in self.all)

    def print(self, console: Console) -> None:
        table = Table(box=box.SIMPLE, pad_edge=False)
        for name in ("", "what", "measured", ""):
            table.add_column(name)
        act = ""
        for each in self.all:
            mark = Text("✓", "green") if each.holds else Text("✗ WRONG", "bold red")
            shown = "" if each.act == act else each.act
            table.add_row(Text(shown, "bold"), each.what, Text(each.measured), mark)
            act = each.act
        console.print(table)
