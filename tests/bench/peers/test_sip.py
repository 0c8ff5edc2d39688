"""Ours beside Kamailio's: the ratios, and that a bench without it is left out with a line."""

from pathlib import Path

import pytest

from tests.bench.lab import Lab
from tests.bench.peers import kamailio
from tests.bench.peers.kamailio import INSTALL
from tests.bench.peers.sip import ACCOUNTING, OURS, RATE, RATE_BOTH, add_sip_ratios, bench_sip
from tests.bench.report import Report


def test_ratios_are_to_the_one_that_keeps_rows() -> None:
    report = Report()
    report.bench = "sip"
    report.begin_run()
    for name, value in (
        (f"{OURS}: {RATE}", 1_200),
        (f"{ACCOUNTING}: {RATE}", 2_400),
        (f"{OURS}: {RATE_BOTH}", 900),
        (f"{ACCOUNTING}: {RATE_BOTH}", 1_200),
    ):
        report.add(name, value, "calls/CPU-s")
    add_sip_ratios(report)
    assert [(each.median, each.target) for each in report.figures[4:]] == [(0.5, "≥ 3"), (0.75, "")]


def test_without_a_figure_there_is_no_ratio() -> None:
    report = Report()
    report.bench = "sip"
    report.begin_run()
    report.add(f"{OURS}: {RATE}", 1_200, "calls/CPU-s")
    add_sip_ratios(report)
    assert len(report.figures) == 1


async def test_without_kamailio_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kamailio, "program", lambda _name: None)
    report = Report()
    lab = Lab(tmp_path, report, quick=True, idle=0, pin=False)
    await bench_sip(lab)
    lab.close()
    assert report.figures == ()
    said = f"  Kamailio is left out: kamailio and sipp not found: {INSTALL}\n"
    assert capsys.readouterr().err == said
