import re

from signalling.client.load.page import LAYOUT, SCRIPT, STYLE
from signalling.client.load.report import Point


def test_every_place_is_filled_once() -> None:
    names = re.findall(r"<!--(\w+)-->", LAYOUT)
    assert set(names) == {
        *("policy", "style", "script", "data", "title", "facts", "thresholds", "tables"),
        "violations",
    }
    assert "<!--" not in STYLE + SCRIPT


def test_the_page_names_no_address() -> None:
    assert "//" not in LAYOUT + STYLE + SCRIPT


def test_the_charts_show_what_a_second_has() -> None:
    shown = set(re.findall(r'"(\w+)"\]', SCRIPT))
    assert shown <= set(Point.__struct_fields__)
    assert {"calls_per_s", "ring_p99", "relay_p99", "live", "cpu", "server_cpu"} <= shown


def test_both_colour_schemes_have_all_colours() -> None:
    schemes = re.findall(r"\{([^{}]*--back:[^{}]*)\}", STYLE)
    assert len(schemes) == 3
    assert len({tuple(sorted(re.findall(r"--\w+", scheme))) for scheme in schemes}) == 1
