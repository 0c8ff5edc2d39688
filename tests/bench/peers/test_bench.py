"""Each peer is measured, or is left out with a line that says why."""

import shutil
from pathlib import Path

import pytest

from tests.bench.lab import Lab
from tests.bench.peers import bench
from tests.bench.peers.bench import PEERS, bench_peers
from tests.bench.ratios import FLOOR, RATE, at, rate_of
from tests.bench.report import Report


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    report = Report()
    report.begin_run()
    report.bench = "peers"
    return Lab(tmp_path, report, quick=True, idle=0, pin=False)


async def test_where_nothing_is_there_each_peer_is_left_out_with_its_reason(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    await bench_peers(lab)
    assert lab.report.figures == ()
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" is left out: ")[0].strip() for line in lines] == list(PEERS)
    assert lines[0].endswith("cc was not found")
    assert lines[-1].endswith("node was not found")


@pytest.mark.gcc
async def test_the_floor_has_calls_and_latency(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PEERS", {FLOOR: PEERS[FLOOR]})
    await bench_peers(lab)
    for wanted in (*rate_of("full load", FLOOR)[1:], f"{FLOOR}, {at(RATE)} p99"):
        assert lab.report.value("peers", wanted)
    assert not [each.name for each in lab.report.figures if "failed" in each.name]
