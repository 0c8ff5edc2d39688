from __future__ import annotations

import pytest

from rest.http.texts import has_controls, without_scripts


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("plain < text > stays", "plain < text > stays"),
        ("a<script>alert(1)</script>b", "ab"),
        ("a<SCRIPT src='x'>1</ScRiPt >b", "ab"),
        ("a< script>x</ script>b", "ab"),
        ("a<script>never closed", "a"),
        ("a<scr<script>x</script>ipt>b</script>c", "ac"),
        ("  <script></script>  ", ""),
        ("a<scripture>b", "a<scripture>b"),
    ],
)
def test_scripts_are_cut_out(given: str, left: str) -> None:
    assert without_scripts(given) == left


@pytest.mark.parametrize("welcome", ["", "one\r\ntwo\nthree\tfour", "日本語 👩‍🔧"])
def test_lines_and_all_languages_are_welcome(welcome: str) -> None:
    assert not has_controls(welcome)


@pytest.mark.parametrize("odd", ["a\x07b", "a\x1b[31m", "a\rb", "a\x00", "\x7f"])
def test_control_characters_are_noticed(odd: str) -> None:
    assert has_controls(odd)
