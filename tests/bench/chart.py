"""`python -m tests.bench.chart FILE.json --to FILE.svg`: calls per CPU-second, as a picture.

The picture needs nothing else: no script, no font, no library. It follows the reader's light or
dark theme.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import msgspec

from tests.bench.ratios import (
    MANNERS,
    PEERJS,
    RELAYS,
    SOCKETIO,
    UWEBSOCKETS,
    WS,
    rate_of,
)
from tests.bench.relayed import MESSAGES_A_CALL
from tests.bench.results import Figure, Result, digits, read

OURS = "Talktime"
WIDTH = 800
LEFT = 232  # Where bars begin.
RIGHT = 716  # Where the longest ends.
ROW = 34
BAR = 20
TOP = 106
GROUP = 38
FOOT = 14

_CALL = (
    f"One call: {MESSAGES_A_CALL} messages, from the request over offer, answer and twenty "
    "candidates to the end."
)
_OURS_MORE = f"{OURS} also checks, meters, bills and durably records each. More is better."
_TITLES = {
    "full load": "Each signal in a packet of its own",
    "full load, bursts": "Each side's ten candidates at once",
}
_TOLD = ("aiohttp", "uvloop", "msgspec", "PostgreSQL")
_TOLD_OF_OTHERS = ("node", WS, PEERJS, SOCKETIO, UWEBSOCKETS)
_STYLE = """
  svg { --paper: #ffffff; --ink: #1c2127; --soft: #5d6773; --line: #dfe3e8;
        --ours: #0f6bd7; --theirs: #aab4c0; --spread: #1c2127; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0f1318; --ink: #e8ecf1; --soft: #97a3b1; --line: #2a323c;
          --ours: #4c9bff; --theirs: #4f5b69; --spread: #e8ecf1; }
  }
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
         fill: var(--ink); font-size: 14px; }
  .title { font-size: 20px; font-weight: 650; }
  .soft { fill: var(--soft); font-size: 13px; }
  .small { fill: var(--soft); font-size: 11.5px; }
  .group { font-weight: 600; }
  .name { font-weight: 600; }
  .value { font-variant-numeric: tabular-nums; }
  .ours { fill: var(--ours); }
  .theirs { fill: var(--theirs); }
  .axis { stroke: var(--line); }
  .spread { stroke: var(--spread); stroke-width: 1.5; opacity: 0.7; fill: none; }
"""


class Bar(msgspec.Struct, frozen=True):
    label: str
    what: str
    figure: Figure
    ours: bool


def bars(result: Result, manner: str) -> list[Bar]:
    """Ours and what was measured of the others, the best first; none without ours."""
    ours = result.find(*rate_of(manner))
    if ours is None:
        return []
    found = [Bar(OURS, "whole paid call", ours, ours=True)]
    for relay in RELAYS:
        figure = result.find(*rate_of(manner, relay))
        if figure is not None:
            label = relay.replace("bare ", "Bare ")
            found.append(Bar(label, "relay only", figure, ours=False))
    return sorted(found, key=lambda bar: -bar.figure.median)


def draw(result: Result) -> str:
    """
    Raises:
        ValueError: the result has no calls of ours.
    """
    groups = [(manner, found) for manner in MANNERS if (found := bars(result, manner))]
    if not groups:
        raise ValueError("the result has no figures of the benchmark 'calls'")
    scale = (RIGHT - LEFT) / max(bar.figure.max for _, found in groups for bar in found)
    parts: list[str] = []
    y = TOP
    for manner, found in groups:
        parts.append(_text(24, y + 14, _TITLES[manner], "group"))
        y += GROUP - 8
        bottom = y + ROW * len(found)
        parts.append(f'<path class="axis" d="M{LEFT - 0.5} {y}V{bottom}"/>')
        for bar in found:
            parts += _row(bar, y, scale)
            y += ROW
        y += GROUP - 18
    told = _foot(result)
    height = y + FOOT + 17 * len(told)
    head = [
        _text(24, 38, "Calls per second of server CPU", "title"),
        _text(24, 61, _CALL, "soft"),
        _text(24, 80, _OURS_MORE, "soft"),
    ]
    foot = [_text(24, y + 8 + 17 * n, line, "small") for n, line in enumerate(told)]
    label = escape(_said(groups), {'"': "&quot;"})
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-label="{label}">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" style="fill: var(--paper)"/>',
            *head,
            *parts,
            *foot,
            "</svg>\n",
        ]
    )


def _row(bar: Bar, y: int, scale: float) -> list[str]:
    figure, middle = bar.figure, y + ROW / 2
    kind, length = ("ours" if bar.ours else "theirs"), figure.median * scale
    label = (
        f'<text x="24" y="{middle + 5:g}"><tspan class="name">{escape(bar.label)}</tspan>'
        f'<tspan class="soft" dx="8">{escape(bar.what)}</tspan></text>'
    )
    drawn = [
        label,
        f'<rect class="{kind}" x="{LEFT}" y="{middle - BAR / 2:g}" width="{length:.1f}" '
        f'height="{BAR}" rx="2"/>',
    ]
    end = LEFT + length
    if len(figure.values) > 1:
        low, high = LEFT + figure.min * scale, LEFT + figure.max * scale
        drawn.append(
            f'<path class="spread" d="M{low:.1f} {middle:g}H{high:.1f}'
            f'M{low:.1f} {middle - 4:g}v8M{high:.1f} {middle - 4:g}v8"/>'
        )
        end = high
    return [*drawn, _text(end + 8, middle + 5, digits(figure.median), "value")]


def _foot(result: Result) -> list[str]:
    machine = result.machine
    memory_gib = machine.memory_bytes / 2**30
    head, _, dirty = result.commit.partition("-")
    commit = f"commit {head[:10]}{'-' + dirty if dirty else ''}" if head else "no commit"
    runs = "one run" if result.runs == 1 else f"medians of {result.runs} runs, least and most"
    python = " ".join(result.python.split()[:2])
    versions, others = (
        ", ".join(f"{name} {result.versions[name]}" for name in names if name in result.versions)
        for names in (_TOLD, _TOLD_OF_OTHERS)
    )
    told = [
        f"{runs} · {result.at[:10]} · {commit} · {machine.cpu}, {machine.cores} cores, "
        f"{memory_gib:.0f} GiB",
        f"{python}, {versions}",
    ]
    return [*told, others] if others else told


def _said(groups: Sequence[tuple[str, list[Bar]]]) -> str:
    """The picture for those who do not see it."""
    told = [
        f"{_TITLES[manner]}: "
        + ", ".join(f"{bar.label} ({bar.what}) {digits(bar.figure.median)}" for bar in found)
        for manner, found in groups
    ]
    return f"Calls per second of server CPU. {'. '.join(told)}."


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.chart", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE.json")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE.svg")
    asked = parser.parse_args(given)
    try:
        drawn = draw(read(asked.file))
    except ValueError as fault:
        print(fault, file=sys.stderr)
        return 2
    asked.to.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
