"""The report as files: JSON, two CSVs named and headed as Locust's, and one page with charts.

The page holds all it needs: its policy forbids it to ask anybody for anything.
"""

import csv
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import NamedTuple

import msgspec

from signalling.client.load.page import LAYOUT, SCRIPT, STYLE
from signalling.client.load.report import COLUMNS, Report, ordered, short

# How uPlot's module ends; as a part of a page it exports nothing.
EXPORT = "export { uPlot as default };"
STATS = (
    *("Type", "Name", "Request Count", "Failure Count", "Median Response Time"),
    *("Average Response Time", "Min Response Time", "Max Response Time"),
    *("Requests/s", "Failures/s", "50%", "90%", "95%", "99%", "100%"),
)
HISTORY = (
    *("Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s", "50%", "95%", "99%"),
    *("Total Request Count", "Total Failure Count", "Live Calls", "Frames/s", "Wanted Requests/s"),
    *("Generator CPU", "Server CPU"),
)


class Charts(NamedTuple):
    """The text of uPlot as a module, and its style sheet."""

    script: str
    style: str


def write_json(report: Report, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def write_csv(report: Report, prefix: Path) -> None:
    """`<prefix>_stats.csv` with a row for each phase, `<prefix>_stats_history.csv` for each second.
    A request there is a call; times are those of its phases, in the history of the ring."""
    seconds = max(1e-6, report.seconds)
    rows: list[Sequence[object]] = []
    for name, phase in report.phases.items():
        failures = sum(report.errors.get(name, {}).values())
        rows.append(_stats(name, phase.count, failures, seconds, report))
    aggregated = _stats("call", report.done + report.failed, report.failed, seconds, report)
    rows.append(("", "Aggregated", *aggregated[2:]))
    _write(prefix.with_name(prefix.name + "_stats.csv"), STATS, rows)
    _write(prefix.with_name(prefix.name + "_stats_history.csv"), HISTORY, _history(report))


def _stats(
    name: str, count: int, failures: int, seconds: float, report: Report
) -> Sequence[object]:
    phase = report.phases.get(name)
    if phase is None:
        return ("phase", name, count, failures, *[""] * 4, 0, 0, *[""] * 5)
    times = (phase.p50, phase.avg, phase.min, phase.max)
    shares = (phase.p50, phase.p90, phase.p95, phase.p99, phase.max)
    return (
        *("phase", name, count, failures),
        *(round(value, 3) for value in times),
        *(round(value / seconds, 3) for value in (count, failures)),
        *(round(value, 3) for value in shares),
    )


def _history(report: Report) -> Iterable[Sequence[object]]:
    began_s = datetime.fromisoformat(report.began_at).timestamp()
    done = failed = 0
    for point in report.history:
        done, failed = done + point.done, failed + point.failed
        yield (
            *(round(began_s + point.at_s), point.users, "", "Aggregated"),
            *(round(point.calls_per_s, 3), point.failed),
            *(round(value, 3) for value in (point.ring_p50, point.ring_p95, point.ring_p99)),
            *(done + failed, failed, point.live, round(point.frames_per_s, 1)),
            *(round(point.wanted, 3), round(point.cpu, 3), round(point.server_cpu, 3)),
        )


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def write_html(report: Report, path: Path, charts: Charts) -> None:
    """One file; the charts are drawn by its own script, the tables are there without it."""
    path.write_text(html_of(report, charts), encoding="utf-8")


def html_of(report: Report, charts: Charts) -> str:
    module = charts.script.replace(EXPORT, "").replace("</script", r"<\/script")
    script = module + SCRIPT
    style = charts.style + STYLE
    # The only place where `<` could end the element is a string of JSON.
    data = msgspec.json.encode(report.history).decode().replace("<", r"\u003c")
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    values = {
        "policy": policy,
        "style": style,
        "script": script,
        "data": data,
        "title": f"Load of {escape(report.url)}",
        "facts": _facts(report),
        "thresholds": _thresholds(report),
        "tables": _phases(report) + _outcomes(report) + _tries(report),
        "violations": _violations(report),
    }
    page = LAYOUT
    for name, text in values.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _facts(report: Report) -> str:
    facts = {
        "began": report.began_at,
        "mode": report.mode,
        "users": f"{report.users}",
        "calls": f"{report.done} of {report.started} in {report.seconds:.1f} s",
        "calls a second": f"{report.calls_per_s:.1f}",
        "charged": f"{report.charged_minor} for {report.billed} calls",
        "broken promises": f"{report.violations_count}",
    }
    if report.best:
        facts["highest good rate"] = f"{report.best:.1f} calls/s"
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{items}</dl><p>{escape(report.verdict)}</p>"


def _thresholds(report: Report) -> str:
    if not report.thresholds:
        return ""
    items = []
    for each in report.thresholds:
        kind, mark = ("held", "✓") if each.held else ("missed", "✗")
        said = "no such times" if each.value_ms < 0 else f"{each.value_ms:.2f} ms"
        items.append(f'<li class="{kind}">{mark} {escape(each.text)} ({said})</li>')
    return f"<ul class=thresholds>{''.join(items)}</ul>"


def _phases(report: Report) -> str:
    rows = []
    for name in ordered({**report.phases, **report.errors}):
        phase, errors = report.phases.get(name), report.errors.get(name, {})
        values = [short(getattr(phase, column)) if phase else "–" for column in COLUMNS]
        codes = ", ".join(f"{code} {count}" for code, count in sorted(errors.items()))
        rows.append((name, phase.count if phase else 0, *values, codes))
    return _table("Phases, in ms", ("phase", "count", *COLUMNS, "errors"), rows)


def _outcomes(report: Report) -> str:
    rows = []
    for name, results in sorted(report.outcomes.items()):
        count, done = sum(results.values()), results.get("done", 0)
        why = ", ".join(f"{code} {n}" for code, n in sorted(results.items()) if code != "done")
        rows.append((name, count, done, count - done, why))
    return _table("Scenarios", ("scenario", "calls", "done", "failed", "why"), rows)


def _tries(report: Report) -> str:
    if not report.tries:
        return ""
    rows = [(f"{each.rate:.1f}", each.why or "none") for each in report.tries]
    return _table("Ladder", ("calls/s", "failures"), rows)


def _violations(report: Report) -> str:
    if not report.violations:
        return ""
    parts = [f"<h2>Broken promises ({report.violations_count})</h2>"]
    for each in report.violations:
        frames = escape("\n".join(each.frames))
        said = escape(f"{each.rule}, {each.device}: {each.text}")
        parts.append(f"<details><summary>{said}</summary><pre>{frames}</pre></details>")
    return "".join(parts)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    heads = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<h2>{escape(title)}</h2><div class=wide><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
