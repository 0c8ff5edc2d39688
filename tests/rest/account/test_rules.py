from __future__ import annotations

import pytest

from rest.account import rules
from rest.http.errors import Problem


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
    assert rules.without_scripts(given) == left


def test_a_bio_may_have_lines_but_no_other_control_characters() -> None:
    assert rules.clean_bio("one\r\ntwo\tthree ") == "one\r\ntwo\tthree"
    for odd in ("a\x07b", "a\x1b[31m", "x" * 201):
        with pytest.raises(Problem) as refused:
            rules.clean_bio(odd)
        assert refused.value.code == "INVALID_BIO"


@pytest.mark.parametrize("odd", ["", " ", "x" * 51, "a\nb", "<script>x</script>", "a\u202eb"])
def test_what_is_no_name_is_refused(odd: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.clean_name(odd)
    assert refused.value.code == "INVALID_NAME"
