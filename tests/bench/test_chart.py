"""The picture of a result."""

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.bench.chart import LEFT, RIGHT, draw, main
from tests.bench.made import calls, figure, rate, result
from tests.bench.ratios import MANNERS
from tests.bench.results import Result, write

SVG = "{http://www.w3.org/2000/svg}"


def widths(drawn: str, kind: str) -> list[float]:
    root = ElementTree.fromstring(drawn)
    return [
        float(each.attrib["width"]) for each in root.iter(f"{SVG}rect") if each.get("class") == kind
    ]


def words(drawn: str) -> list[str]:
    root = ElementTree.fromstring(drawn)
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_figures() -> None:
    drawn = draw(calls(bare_aiohttp=4_000, PeerJS=2_000))
    full = RIGHT - LEFT
    assert widths(drawn, "ours") == [full / 4] * 2
    assert widths(drawn, "theirs") == [full, full / 2] * 2


def test_the_best_stands_first_and_each_has_its_value() -> None:
    said = words(draw(calls(bare_aiohttp=4_000, PeerJS=500)))
    names = [each for each in said if "relay only" in each or "whole paid call" in each]
    assert names[:3] == ["Bare aiohttprelay only", "Talktimewhole paid call", "PeerJSrelay only"]
    assert {"4 000", "1 000", "500"} <= set(said)


def test_versions_of_others_stand_on_a_line_of_their_own() -> None:
    kept = msgspec.structs.replace(calls(PeerJS=500), versions={"node": "20.1", "PeerJS": "1.0"})
    assert words(draw(kept))[-1] == "node 20.1, PeerJS 1.0"
    assert words(draw(calls()))[-1] == "CPython 3.11.7, aiohttp 3.14.5"


def test_who_was_not_measured_is_not_shown() -> None:
    assert "Socket.IO" not in draw(calls(bare_aiohttp=4_000, PeerJS=500))


def test_several_runs_show_their_spread() -> None:
    manner = next(iter(MANNERS))
    drawn = draw(result(rate(manner, 900, 1_000, 1_100), runs=3))
    assert 'class="spread"' in drawn
    assert "medians of 3 runs" in drawn
    assert 'class="spread"' not in draw(calls())


def test_the_commit_and_the_machine_are_told() -> None:
    kept = result(rate("full load", 1_000), commit="0123456789abcdef-dirty")
    said = " ".join(words(draw(kept)))
    for part in ("commit 0123456789-dirty", "A processor, 2 cores, 8 GiB", "aiohttp 3.14.5"):
        assert part in said


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    drawn = draw(calls(bare_aiohttp=4_000))
    assert "prefers-color-scheme: dark" in drawn
    assert "url(" not in drawn
    assert "<script" not in drawn
    assert "href" not in drawn


def test_it_can_be_read_aloud() -> None:
    label = ElementTree.fromstring(draw(calls(PeerJS=500))).attrib["aria-label"]
    assert "Talktime (whole paid call) 1 000, PeerJS (relay only) 500" in label


@pytest.mark.parametrize("kept", [result(), result(figure(1))])
def test_a_result_without_our_calls_cannot_be_drawn(kept: Result) -> None:
    with pytest.raises(ValueError, match="calls"):
        draw(kept)


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, to = tmp_path / "bench.json", tmp_path / "bench.svg"
    write(kept, calls(PeerJS=500))
    assert main([str(kept), "--to", str(to)]) == 0
    assert to.read_text().startswith("<svg")
    assert main([str(tmp_path / "none.json"), "--to", str(to)]) == 2
    assert "none.json" in capsys.readouterr().err
