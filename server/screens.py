"""How a call looks in a terminal; plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from signalling.client.envelope import Json
from signalling.client.link import PeerStats
from signalling.client.view import CallView

PLAIN_EVERY_S = 10
REFRESH_PER_S = 4
BAR_CELLS = 12
# Speech and a tone of a third of full scale lie in the left half of a straight scale.
BAR_GAIN = 3

STATE_STYLES = {
    "requested": "yellow",
    "ringing": "yellow",
    "accepted": "cyan",
    "connected": "green",
    "reconnecting": "red",
    "ended": "dim",
}


@dataclass(frozen=True)
class Side:
    """One end of a call: whose, its media so far, the sound it hears, and its money."""

    name: str
    role: str
    stats: PeerStats = field(default_factory=PeerStats)
    level: float = 0
    hz: float = 0
    money: str = ""


@dataclass(frozen=True)
class Board:
    """All that a live view shows at one moment. `now_ms` is the server's clock."""

    call: CallView
    sides: Sequence[Side]
    now_ms: int
    keys: str = ""

    @property
    def elapsed_s(self) -> int:
        if self.call.connected_at is None:
            return 0
        return max(0, self.now_ms - self.call.connected_at) // 1_000


class CallScreen:
    """`with CallScreen(console) as screen:` `say` adds a line for good, `show` renews the view."""

    def __init__(self, console: Console, *, plain: bool = False) -> None:
        self.console = console
        self.plain = plain or not console.is_terminal
        self._live: Live | None = None
        self._said_s = 0

    def __enter__(self) -> CallScreen:
        if not self.plain:
            self._live = Live(console=self.console, refresh_per_second=REFRESH_PER_S)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str, style: str = "") -> None:
        stamp = time.strftime("%H:%M:%S")
        text = Text(f"{stamp}  ", "dim") + Text(line, style)
        self.console.print(text, soft_wrap=True)

    def show(self, board: Board) -> None:
        if self._live is not None:
            self._live.update(live_view(board))
            return
        if board.elapsed_s // PLAIN_EVERY_S > self._said_s // PLAIN_EVERY_S:
            self.say(plain_line(board))
        self._said_s = board.elapsed_s


def live_view(board: Board) -> RenderableType:
    call = board.call
    head = Text.assemble(
        (call.state, f"bold {STATE_STYLES.get(call.state, '')}"),
        f"   {clock(board.elapsed_s)}   ",
        price_of(call.tariff),
        f"   {counted(call.units)}, {call.total} charged",
    )
    left = seconds_left(board)
    if left is not None:
        head.append(f"   funded for {clock(left)}", "red" if left <= 60 else "dim")
    parts: list[RenderableType] = [head, sides_table(board.sides)]
    if board.keys:
        parts.append(Text(board.keys, "dim"))
    return Panel(Group(*parts), box=box.ROUNDED, title=f"call {call.id}", title_align="left")


def sides_table(sides: Sequence[Side]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("")
    for name in ("packets in", "out", "bytes in", "out", "loss"):
        table.add_column(name, justify="right")
    table.add_column("hears")
    table.add_column("money")
    for side in sides:
        stats = side.stats
        cells = min(BAR_CELLS, round(side.level * BAR_GAIN * BAR_CELLS))
        table.add_row(
            f"{escape(side.name)} [dim]{side.role}[/]",
            f"{stats.in_packets:,}",
            f"{stats.out_packets:,}",
            size(stats.in_bytes),
            size(stats.out_bytes),
            f"{stats.loss:.1%}",
            f"[green]{'█' * cells}[/]{'·' * (BAR_CELLS - cells)} {side.hz:.0f} Hz",
            escape(side.money),
        )
    return table


def plain_line(board: Board) -> str:
    parts = [f"{board.call.state} {clock(board.elapsed_s)}"]
    for side in board.sides:
        stats = side.stats
        facts = [
            f"{stats.in_packets} packets in, {stats.out_packets} out",
            f"{size(stats.in_bytes)} in, {size(stats.out_bytes)} out",
            f"hears {side.hz:.0f} Hz",
            side.money,
        ]
        parts.append(f"{side.name}: {', '.join(fact for fact in facts if fact)}")
    return " | ".join(parts)


def receipt_view(bill: Json, call: Json, *, earned: int | None) -> RenderableType:
    """A receipt from `GET /calls/{id}/billing` and `GET /calls/{id}`."""
    currency = bill["currency"]
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("unit", justify="right")
    table.add_column("at")
    table.add_column("charged", justify="right")
    for number, unit in enumerate(bill["billingUnits"], 1):
        stamp = datetime.fromisoformat(unit["timestamp"]).strftime("%H:%M:%S.%f")[:-3]
        table.add_row(str(number), stamp, f"{unit['chargedPoints']} {currency}")
    total = bill["totalCharged"]
    facts = [
        f"ended: {call['reason']} by {call['by']}",
        f"talked {talked_ms(call) / 1_000:.3f} s, billed {bill['billedSeconds']} s "
        f"as {counted(bill['units'])}",
        f"total {total} {currency}",
    ]
    if earned is not None:
        facts.append(f"provider earns {earned} {currency}, platform {total - earned} {currency}")
    if not bill["settled"]:
        facts.append("not settled yet")
    return Panel(Group(table, Text("\n".join(facts))), title="receipt", title_align="left")


def talked_ms(call: Json) -> int:
    """From the start of the talk to the end of the call, both as the server stored them."""
    if call["startedAt"] is None or call["endedAt"] is None:
        return 0
    began, ended = (datetime.fromisoformat(call[key]) for key in ("startedAt", "endedAt"))
    return round((ended - began).total_seconds() * 1_000)


def price_of(tariff: Json) -> str:
    if not tariff:
        return ""
    return f"{tariff['pricePerMinute']} {tariff['currency']}/min, tariff {tariff['name']}"


def seconds_left(board: Board) -> int | None:
    if board.call.funded_until is None or board.call.state != "connected":
        return None
    return max(0, board.call.funded_until - board.now_ms) // 1_000


def clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def size(count: int) -> str:
    return f"{count} B" if count < 1_000 else f"{count / 1_000:.1f} kB"


def counted(units: int) -> str:
    return "1 unit" if units == 1 else f"{units} units"
