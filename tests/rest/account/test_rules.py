from __future__ import annotations

import pytest

from rest.account import rules
from rest.http.errors import Problem


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
