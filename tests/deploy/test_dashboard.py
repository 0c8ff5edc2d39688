"""The dashboard asks for figures that there are, and shows all of them."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.deploy.figures import ADDED, Figures, read_expression
from tests.end_to_end.driver import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "talktime.json").read_text())
PANELS: list[dict[str, Any]] = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
EXPRESSIONS: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]
# On no panel, each for a reason.
NOT_SHOWN = {
    "process_virtual_memory_bytes": "address space, which costs nothing",
    "process_start_time_seconds": "a restart shows in every other figure",
}
# How Grafana calls what we measure.
UNITS = {"none", "s", "percentunit", "reqps", "ops", "bytes"}


def test_every_expression_can_be_answered_by_a_running_server(figures: Figures) -> None:
    wrong = [
        f"{panel['title']}: {each}"
        for panel in PANELS
        for target in panel["targets"]
        for each in figures.wrong_with(target["expr"])
    ]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            [asked] = re.findall(r"label_values\((\w+), instance\)", variable["definition"])
            assert asked in figures.labels
            assert variable["query"]["query"] == variable["definition"]
    assert wrong == []


def test_every_figure_of_the_server_is_shown(figures: Figures) -> None:
    shown = {name for text in EXPRESSIONS for name in read_expression(text).labels}
    families = {
        name: samples for name, samples in figures.families.items() if not name.endswith("_created")
    }
    assert all(families.values()), "a family without a sample: touch it in conftest.py"
    missing = {name for name, samples in families.items() if not samples & shown}
    assert missing == set(NOT_SHOWN)


def test_what_counts_up_is_asked_for_its_rate_and_what_does_not_is_not(figures: Figures) -> None:
    counting = {
        sample
        for name, samples in figures.families.items()
        if figures.types[name] in ("counter", "histogram")
        for sample in samples
    }
    for text in EXPRESSIONS:
        for name in read_expression(text).labels:
            rated = re.search(rf"(rate|increase)\({name}\b", text) is not None
            assert rated == (name in counting), text


def test_every_panel_has_a_title_a_unit_and_one_place() -> None:
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in PANELS:
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS, panel["title"]
        steps = [step["value"] for step in defaults["thresholds"]["steps"]]
        assert steps[0] is None
        assert steps[1:] == sorted(steps[1:])
        seconds = any(
            re.search(r"_seconds(_bucket)?\b", target["expr"]) for target in panel["targets"]
        )
        if seconds and "cpu" not in panel["targets"][0]["expr"]:
            assert defaults["unit"] == "s", panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_requests_come_first_and_every_panel_keeps_to_the_chosen_nodes() -> None:
    first = DASHBOARD["panels"][0]
    assert (first["type"], first["title"]) == ("row", "Requests: rate, errors, duration")
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            asked = read_expression(target["expr"])
            for name, labels in asked.labels.items():
                assert "instance" in labels, f"{panel['title']}: {name}"
            legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert legend <= asked.grouped | ADDED, panel["title"]
