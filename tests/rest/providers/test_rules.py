from __future__ import annotations

from datetime import date

import pytest

from rest.http.errors import Problem
from rest.providers import rules
from rest.providers.bodies import ProviderChange
from storage.providers import Terms

BEFORE = Terms("Ann", "hello", "second", 60, 90, ["talk"], ["kind"])


def test_a_first_profile_takes_the_account_s_name_and_one_price_for_both() -> None:
    made = rules.merged(ProviderChange(price_per_minute=120), None, "Ann")
    assert made == Terms("Ann", None, "minute", 120, 120, [], [])
    made = rules.merged(ProviderChange(price_video=200), None, "Ann")
    assert (made.price_audio_minor, made.price_video_minor) == (200, 200)


def test_its_own_price_wins_over_the_common_one() -> None:
    made = rules.merged(ProviderChange(price_per_minute=120, price_video=200), None, "Ann")
    assert (made.price_audio_minor, made.price_video_minor) == (120, 200)


def test_a_first_profile_needs_a_price_and_free_is_one() -> None:
    with pytest.raises(Problem) as refused:
        rules.merged(ProviderChange(display_name="Ann"), None, "Ann")
    assert refused.value.code == "INVALID_PRICE"
    assert rules.merged(ProviderChange(price_per_minute=0), None, "Ann").price_audio_minor == 0


def test_a_change_keeps_what_it_does_not_name() -> None:
    assert rules.merged(ProviderChange(), BEFORE, "Ann") == BEFORE
    changed = rules.merged(ProviderChange(price_video=1, introduction=" "), BEFORE, "Ann")
    assert changed == Terms("Ann", None, "second", 60, 1, ["talk"], ["kind"])


def test_words_are_kept_once_each_in_their_order() -> None:
    changed = rules.merged(ProviderChange(genres=["b", " a ", "b", " "]), BEFORE, "Ann")
    assert changed.genres == ["b", "a"]


@pytest.mark.parametrize(
    ("is_online", "is_available", "stored"),
    [
        (True, True, "online"),
        (True, False, "break"),
        (False, False, "offline"),
        (False, True, "offline"),
    ],
)
def test_two_switches_make_three_words(is_online: bool, is_available: bool, stored: str) -> None:
    assert rules.availability_of(is_online, is_available) == stored


def test_age_grows_on_the_birthday() -> None:
    born = date(2000, 2, 29)
    assert rules.age_on(date(2026, 2, 28), born) == 25
    assert rules.age_on(date(2026, 3, 1), born) == 26
    assert rules.age_on(date(2028, 2, 29), born) == 28
    assert rules.age_on(date(2028, 2, 29), None) is None
