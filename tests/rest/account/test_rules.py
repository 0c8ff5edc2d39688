from __future__ import annotations

from datetime import date

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


@pytest.mark.parametrize(
    "given", ["woman", " man ", "non-binary", "männlich", "女性", "prefer other", ""]
)
def test_a_gender_is_a_short_word_or_nothing(given: str) -> None:
    assert rules.clean_gender(given) == given.strip()


@pytest.mark.parametrize("odd", ["x" * 21, "a1", "<b>", "a\nb", "a  b", "-", "a\u202eb"])
def test_what_is_no_word_is_no_gender(odd: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.clean_gender(odd)
    assert refused.value.code == "INVALID_GENDER"


TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("given", "birthday"),
    [
        ("2013-03-01", date(2013, 3, 1)),
        ("1905-03-02", date(1905, 3, 2)),
        (" 2000-02-29 ", date(2000, 2, 29)),
        ("", ""),
    ],
)
def test_a_birthday_is_a_day_of_a_likely_life(given: str, birthday: object) -> None:
    assert rules.clean_birthday(given, TODAY) == birthday


@pytest.mark.parametrize(
    "odd",
    [
        "2013-03-02",
        "1905-03-01",
        "2027-01-01",
        "2001-02-29",
        "20000229",
        "2000-W01-1",
        "２０００-01-01",
    ],
)
def test_other_days_are_no_birthday(odd: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.clean_birthday(odd, TODAY)
    assert refused.value.code == "INVALID_BIRTHDAY"


def test_who_was_born_on_a_leap_day_is_older_on_the_first_of_march() -> None:
    assert rules.age_on(date(2026, 2, 28), date(2000, 2, 29)) == 25
    assert rules.age_on(date(2026, 3, 1), date(2000, 2, 29)) == 26
