"""The files of a report; the page asks nobody for anything."""

import csv
import hashlib
import json
import re
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path

import msgspec

from server.pages import WEB
from signalling.client.load.files import (
    EXPORT,
    HISTORY,
    STATS,
    Charts,
    html_of,
    write_csv,
    write_html,
    write_json,
)
from signalling.client.load.measure import Violation
from signalling.client.load.plan import Try
from signalling.client.load.report import Point, Report, Threshold
from tests.signalling.client.load.test_report import report

CHART = WEB / "vendor" / "uplot"
CHARTS = Charts((CHART / "uplot.js").read_text(), (CHART / "uplot.css").read_text())


def point(at_s: float, done: int) -> Point:
    return Point(
        at_s=at_s,
        stage="run",
        wanted=5.0,
        started=done,
        done=done,
        failed=1,
        dropped=0,
        live=2,
        users=4,
        calls_per_s=float(done),
        frames_per_s=60.0,
        ring_p50=1.0,
        ring_p95=2.0,
        ring_p99=3.0,
        relay_p50=0.5,
        relay_p99=0.9,
        cpu=0.2,
        server_cpu=-1.0,
    )


def whole() -> Report:
    return report(
        url="http://<x>",
        errors={"request": {"<b>": 2}},
        outcomes={"answered": {"done": 2, "timeout": 1}},
        violations=[Violation("rev", "a <script>", "phone", ["< </script>"])],
        violations_count=1,
        thresholds=[Threshold("ring.p99<5ms", 3.0, True), Threshold("x.p99<5ms", -1.0, False)],
        tries=[Try(10, True)],
        best=10.0,
        history=[point(1, 3), point(2, 4)],
    )


def test_the_json_is_the_whole_report(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    write_json(whole(), path)
    assert msgspec.json.decode(path.read_bytes(), type=Report) == whole()
    assert json.loads(path.read_text())["phases"]["relay"]["count"] == 100


def test_the_csvs_have_a_row_for_each_phase_and_each_second(tmp_path: Path) -> None:
    write_csv(whole(), tmp_path / "run")
    stats = list(csv.DictReader((tmp_path / "run_stats.csv").read_text().splitlines()))
    assert list(stats[0]) == list(STATS)
    assert [row["Name"] for row in stats] == ["relay", "Aggregated"]
    assert (stats[0]["Request Count"], stats[0]["Requests/s"]) == ("100", "50.0")
    lines = (tmp_path / "run_stats_history.csv").read_text().splitlines()
    history = list(csv.DictReader(lines))
    assert list(history[0]) == list(HISTORY)
    assert [row["Total Request Count"] for row in history] == ["4", "9"]
    assert int(history[1]["Timestamp"]) - int(history[0]["Timestamp"]) == 1


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self.inside = ""
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.inside = tag
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.inside, []).append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    path = tmp_path / "load.html"
    write_html(whole(), path, CHARTS)
    page = read(path.read_text())
    names = {name for _, name, _ in page.attributes}
    assert names.isdisjoint({"src", "href", "srcset", "action", "style", "onclick", "data"})
    assert "link" not in {tag for tag, _, _ in page.attributes}
    [style] = page.texts["style"]
    assert not re.search(r"url\(|@import", style)
    code = re.sub(r"//.*|/\*.*?\*/", "", "".join(page.texts["script"]), flags=re.S)
    for ask in ("fetch(", "XMLHttpRequest", "import(", "import ", "WebSocket", "sendBeacon"):
        assert ask not in code


def test_the_pages_policy_allows_its_own_script_and_style_and_nothing_else() -> None:
    page = read(html_of(whole(), CHARTS))
    style = page.texts["style"][0]
    script = page.texts["script"][1]

    def hashed(text: str) -> str:
        return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert page.policy == (
        f"default-src 'none'; script-src '{hashed(script)}'; style-src '{hashed(style)}'"
    )


def test_what_came_from_elsewhere_is_text() -> None:
    page = html_of(whole(), CHARTS)
    assert "http://<x>" not in page
    assert "<b>" not in page
    assert "a <script>" not in page
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    data = read(page).texts["script"][0]
    assert [each["done"] for each in json.loads(data)] == [3, 4]


def test_thresholds_stand_before_everything_else() -> None:
    page = html_of(whole(), CHARTS)
    places = [
        page.index(text)
        for text in (
            "✓ ring.p99&lt;5ms",
            "✗ x.p99",
            "<dl>",
            "Phases",
            "Scenarios",
            "Ladder",
            "Broken",
        )
    ]
    assert places == sorted(places)


def test_the_library_is_the_one_that_was_expected() -> None:
    assert CHARTS.script.count(EXPORT) == 1
