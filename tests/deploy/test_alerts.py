"""Every rule can be answered by a running server, and tells people what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.figures import Figures, read_expression
from tests.end_to_end.driver import ROOT
from tests.server.running import development, running

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())[
        "groups"
    ]
    for rule in group["rules"]
]
DURATION = re.compile(r"[1-9][0-9]*[smh]")
# What must not go unnoticed.
WATCHED = {
    "talktime_ready",
    "talktime_meter_drift_seconds_bucket",
    "talktime_ledger_waiting",
    "talktime_hold_age_seconds",
    "talktime_nodes_fenced_total",
    "talktime_bus_healthy",
    "talktime_spare_parcels_dropped_total",
    "talktime_http_request_seconds_count",
    "talktime_jobs_failed",
    "talktime_webhook_tries_total",
    "talktime_pushes_total",
    "process_open_fds",
}


def anchors() -> set[str]:
    """Of the README's headings, as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_every_rule_can_be_answered_by_a_running_server(figures: Figures) -> None:
    wrong = [
        f"{rule['alert']}: {each}" for rule in RULES for each in figures.wrong_with(rule["expr"])
    ]
    assert wrong == []


def test_what_must_be_watched_is() -> None:
    asked = {name for rule in RULES for name in read_expression(rule["expr"]).labels}
    assert asked >= WATCHED


def test_every_rule_compares_and_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    known = anchors()
    for rule in RULES:
        assert re.fullmatch(r"Talktime[A-Za-z]+", rule["alert"])
        assert re.search(r"(==|>|<) *[0-9.]+\s*$", rule["expr"]), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert "for" not in rule or DURATION.fullmatch(rule["for"])
        told = rule["annotations"]
        assert set(told) == {"summary", "description", "runbook_url"}
        assert 10 < len(told["summary"]) < 80
        assert 100 < len(told["description"]) < 500
        page, _, anchor = told["runbook_url"].partition("#")
        assert page == "README.md"
        assert anchor in known, rule["alert"]


def test_a_label_that_is_told_is_one_that_is_left() -> None:
    for rule in RULES:
        asked = read_expression(rule["expr"])
        told = " ".join(rule["annotations"].values())
        for label in re.findall(r"\$labels\.(\w+)", told):
            summed = re.search(r"\b(sum|max|min|count)\b", rule["expr"]) is not None
            left = asked.grouped if summed else {"instance"}
            assert label in left - {"le"}, rule["alert"]


async def test_routes_and_settings_that_are_named_exist(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        paths = {resource.canonical for resource in there.app.router.resources()} | {
            route.path for route in there.server.routes
        }
    for rule in RULES:
        for route in re.findall(r'route="([^"]+)"', rule["expr"]):
            assert route in paths
        told = rule["annotations"]["description"]
        for path in re.findall(r"(?:GET|POST) (/[a-z/{}]+)", told):
            assert path in {re.sub(r":[^}]+\}?\}", "}", each) for each in paths}, rule["alert"]
