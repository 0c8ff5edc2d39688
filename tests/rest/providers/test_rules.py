from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest

from rest.http.errors import Problem
from rest.providers import rules
from rest.providers.bodies import DirectoryQuery, HoursRow, ProviderChange, StatusChange
from storage.directory import Filter, Presence
from storage.hours import Hours
from storage.ids import new_id
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
    ("sent", "stored"),
    [
        (StatusChange(is_online=True), "online"),
        (StatusChange(is_online=True, is_available=True), "online"),
        (StatusChange(is_online=True, is_available=False), "break"),
        (StatusChange(is_online=False), "offline"),
        (StatusChange(is_online=False, is_available=True), "offline"),
        (StatusChange(status="online"), "online"),
        (StatusChange(status="away"), "break"),
        (StatusChange(status="break"), "break"),
        (StatusChange(status="offline"), "offline"),
    ],
)
def test_two_switches_or_one_word_make_three_words(sent: StatusChange, stored: str) -> None:
    assert rules.availability_of(sent) == stored


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (StatusChange(), "isOnline"),
        (StatusChange(is_available=True), "isOnline"),
        (StatusChange(status="busy"), "status"),
        (StatusChange(status="online", is_online=True), "status"),
        (StatusChange(status="online", is_available=True), "status"),
    ],
)
def test_a_status_is_said_in_one_way_and_never_busy(sent: StatusChange, field: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.availability_of(sent)
    assert (refused.value.code, refused.value.details) == ("INVALID_STATUS", {"field": field})


def test_age_grows_on_the_birthday() -> None:
    born = date(2000, 2, 29)
    assert rules.age_on(date(2026, 2, 28), born) == 25
    assert rules.age_on(date(2026, 3, 1), born) == 26
    assert rules.age_on(date(2028, 2, 29), born) == 28
    assert rules.age_on(date(2028, 2, 29), None) is None


@pytest.mark.parametrize("today", [date(2026, 2, 28), date(2026, 3, 1), date(2028, 2, 29)])
def test_the_latest_birthday_is_the_edge_of_an_age(today: date) -> None:
    for age in (0, 1, 18, 22, 24, 150):
        latest = rules.latest_birthday(today, age)
        assert rules.age_on(today, latest) == age
        assert rules.age_on(today, latest + timedelta(days=1)) == age - 1


def test_a_query_becomes_conditions() -> None:
    today = date(2026, 11, 21)
    assert rules.filter_of(DirectoryQuery(), today) == Filter()
    query = DirectoryQuery(genre="g", tag="t", gender="x", min_price=1, max_price=1, q="ann")
    assert rules.filter_of(query, today) == Filter(
        genre="g", tag="t", gender="x", price_min=1, price_max=1, text="ann"
    )
    # Exactly 20: born in the year that begins after this day 21 years ago.
    assert rules.filter_of(DirectoryQuery(min_age=20, max_age=20), today) == Filter(
        born_after=date(2005, 11, 21), born_until=date(2006, 11, 21)
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (DirectoryQuery(min_age=1, max_age=0), "minAge"),
        (DirectoryQuery(min_price=1, max_price=0), "minPrice"),
    ],
)
def test_a_lowest_above_the_highest_is_refused(query: DirectoryQuery, field: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.filter_of(query, date(2026, 11, 21))
    assert (refused.value.code, refused.value.details) == ("INVALID_FILTER", {"field": field})


FREE, BUSY, AWAY = new_id(), new_id(), new_id()
PRESENT = {FREE: "online", BUSY: "busy", AWAY: "break"}


@pytest.mark.parametrize(
    ("is_online", "is_available", "wanted", "absent"),
    [
        (None, None, [FREE, BUSY, AWAY], True),
        (True, None, [FREE, BUSY, AWAY], False),
        (False, None, [], True),
        (None, True, [FREE], False),
        (None, False, [BUSY, AWAY], True),
        (True, True, [FREE], False),
        (True, False, [BUSY, AWAY], False),
        (False, True, [], False),
        (False, False, [], True),
    ],
)
def test_presence_decides_who_is_listed(
    is_online: bool | None, is_available: bool | None, wanted: list[UUID], absent: bool
) -> None:
    query = DirectoryQuery(is_online=is_online, is_available=is_available)
    assert rules.presence_wanted(query, PRESENT) == Presence(
        present=list(PRESENT), wanted=wanted, absent=absent
    )


def row(day: int, start: str, end: str) -> HoursRow:
    return HoursRow(day_of_week=day, start=start, end=end)


def test_a_week_is_put_in_order() -> None:
    rows = [row(6, "20:00", "24:00"), row(0, "12:00", "13:00"), row(0, "00:00", "12:00")]
    assert rules.week_of(rows) == [Hours(0, 0, 720), Hours(0, 720, 780), Hours(6, 1_200, 1_440)]


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([row(0, "12:00", "12:00")], "items[0].end"),
        ([row(0, "09:00", "10:00"), row(0, "12:00", "11:00")], "items[1].end"),
        (
            [row(0, "09:00", "10:00"), row(1, "09:00", "10:00"), row(0, "09:59", "11:00")],
            "items[2].start",
        ),
        ([row(0, "09:30", "09:40"), row(0, "09:00", "10:00")], "items[0].start"),
    ],
)
def test_hours_that_end_too_early_or_overlap_are_named(rows: list[HoursRow], field: str) -> None:
    with pytest.raises(Problem) as refused:
        rules.week_of(rows)
    assert (refused.value.code, refused.value.details) == ("INVALID_SCHEDULE", {"field": field})


@pytest.mark.parametrize(("minute", "text"), [(0, "00:00"), (605, "10:05"), (1_440, "24:00")])
def test_minutes_of_a_day_are_shown_as_a_clock_does(minute: int, text: str) -> None:
    assert rules.clock_text(minute) == text


def test_a_comment_has_lines_but_no_scripts_and_no_controls() -> None:
    assert rules.clean_comment(" a\nb<script>x</script> ") == "a\nb"
    assert rules.clean_comment("") == ""
    for odd in ("a\x07", "x" * 501):
        with pytest.raises(Problem) as refused:
            rules.clean_comment(odd)
        assert refused.value.code == "INVALID_COMMENT"


def test_an_average_of_nothing_is_nothing() -> None:
    assert rules.average(0, 0) == 0.0
    assert rules.average(14, 3) == 4.67
