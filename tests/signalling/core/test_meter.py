"""Single rules of the meter; `test_meter_machine.py` looks for what they do together."""

import pytest
from msgspec.structs import replace

from signalling.core import meter as metering
from signalling.core.meter import Due, Meter
from signalling.core.tariff import minute, second

NOW = 1_000_000
RENEW = 500
LEVELS = (120_000, 60_000)
STILL = Meter(tariff=minute(120), cover_minor=120, available_minor=0)


def running(cover: int = 240, available: int = 10_000, posted: int = 1) -> Meter:
    """A meter that runs since NOW, its first slice posted."""
    meter = metering.run(STILL, NOW)
    return replace(meter, cover_minor=cover, available_minor=available, posted_ms=posted)


def look(meter: Meter, now_ms: int) -> Due:
    return metering.look(meter, now_ms, renew_ms=RENEW, warn_ms=LEVELS)


def wake(meter: Meter) -> int | None:
    return metering.wake_ms(meter, renew_ms=RENEW, warn_ms=LEVELS)


def test_a_meter_that_stands_still_wants_nothing() -> None:
    assert wake(STILL) is None
    assert look(STILL, NOW + 10**9) == Due()
    assert metering.talked_ms(STILL, NOW + 10**9) == 0
    assert metering.covered_until_ms(STILL) is None


def test_a_boundary_that_is_covered_is_not_cut() -> None:
    meter = running()
    assert look(meter, NOW + 60_000) == Due()
    assert look(meter, NOW + 60_001) == Due(post=True)
    assert wake(meter) == NOW + 60_001


def test_the_money_ends_at_its_very_millisecond() -> None:
    meter = replace(running(cover=120, available=0), renewed_for_ms=60_000)
    assert not look(meter, NOW + 59_999).cut
    assert look(meter, NOW + 60_000).cut
    assert metering.covered_until_ms(meter) == NOW + 60_000


def test_money_is_asked_for_once_more_just_before_the_end() -> None:
    meter = replace(running(cover=120, available=0), warned_ms=60_000, warned_end_ms=NOW + 60_000)
    assert wake(meter) == NOW + 59_500
    assert look(meter, NOW + 59_500) == Due(post=True)
    asked, talked = metering.post(meter, NOW + 59_500, renew_ms=RENEW)
    assert (talked, asked.renewed_for_ms, asked.asked_minor) == (59_500, 60_000, 240)
    answered = metering.posted(asked, charged_minor=120, hold_minor=0, available_minor=0)
    assert look(answered, NOW + 59_800) == Due()
    assert wake(answered) == NOW + 60_000


def test_a_late_look_asks_for_everything_at_once() -> None:
    meter = replace(running(cover=10_000), tariff=second(60, tick_ms=1_000))
    asked, talked = metering.post(meter, NOW + 7_300, renew_ms=RENEW)
    assert talked == 7_300
    assert metering.next_slice_ms(asked) == 8_001
    assert wake(asked) == NOW + 8_001


def test_a_pause_in_the_past_never_takes_back_what_was_sold() -> None:
    asked, _ = metering.post(running(), NOW + 60_001, renew_ms=RENEW)
    paused = metering.pause(asked, NOW + 50_000)
    assert paused.billable_ms == 60_001
    resumed = metering.run(paused, NOW + 90_000)
    assert metering.talked_ms(resumed, NOW + 90_100) == 60_101


def test_a_paused_meter_never_asks_for_less_than_it_did() -> None:
    """Its newest posting may be written after one whose hold is not known here yet."""
    asked, _ = metering.post(running(), NOW + 60_001, renew_ms=RENEW)
    assert asked.asked_minor == 360
    paused, _ = metering.post(metering.pause(asked, NOW + 61_000), NOW + 61_000, renew_ms=RENEW)
    assert paused.asked_minor == 360


def test_late_answers_take_nothing_back() -> None:
    meter = metering.posted(running(), charged_minor=240, hold_minor=120, available_minor=5)
    older = metering.posted(meter, charged_minor=120, hold_minor=120, available_minor=125)
    assert (older.charged_minor, older.cover_minor) == (240, 360)


def test_warnings_come_once_for_each_level() -> None:
    meter = running(cover=240, available=60)  # 60 is not enough for a third minute
    end = NOW + 120_000
    assert look(meter, NOW) == Due(warn_end_ms=end)
    meter = metering.warned(meter, NOW, LEVELS)
    assert look(meter, NOW + 59_999) == Due()
    assert wake(meter) == NOW + 60_000
    assert look(meter, NOW + 60_000).warn_end_ms == end
    meter = metering.warned(meter, NOW + 60_000, LEVELS)
    assert look(meter, NOW + 60_000).warn_end_ms is None


def test_a_short_wallet_is_warned_of_the_lowest_level_only() -> None:
    meter = metering.warned(running(cover=120, available=0), NOW, LEVELS)
    assert meter.warned_ms == 60_000


def test_a_warning_is_withdrawn_at_once_when_enough_money_comes() -> None:
    meter = metering.warned(running(cover=240, available=0), NOW, LEVELS)
    richer = replace(meter, available_minor=600)
    due = wake(richer)
    assert due is not None
    assert due <= NOW + 5_000
    assert look(richer, NOW + 5_000) == Due(withdrawn=True)
    told = metering.warned(richer, NOW + 5_000, LEVELS)
    assert (told.warned_ms, told.warned_end_ms) == (None, None)
    assert look(told, NOW + 5_000) == Due()


def test_a_little_money_moves_the_end_that_was_told() -> None:
    meter = metering.warned(running(cover=120, available=0), NOW, LEVELS)
    richer = replace(meter, cover_minor=240)
    assert look(richer, NOW + 30_000) == Due(warn_end_ms=NOW + 120_000)
    told = metering.warned(richer, NOW + 30_000, LEVELS)
    assert (told.warned_ms, told.warned_end_ms) == (120_000, NOW + 120_000)
    assert look(told, NOW + 30_000) == Due()


def test_nothing_is_warned_of_while_an_answer_is_on_its_way() -> None:
    meter = replace(running(cover=120, available=0), waiting=True)
    assert look(meter, NOW + 10) == Due()
    assert wake(meter) == NOW + 60_000


def test_a_bridged_gap_leaves_time_to_ask_for_more_cover() -> None:
    meter = running(cover=240)  # covered for 120 s
    assert metering.add(meter, 30_000, NOW + 10_000, renew_ms=RENEW).billable_ms == 30_000
    late = metering.add(meter, 30_000, NOW + 100_000, renew_ms=RENEW)
    assert late.billable_ms == 19_500
    assert not look(late, NOW + 100_000).cut
    assert metering.add(meter, 30_000, NOW + 119_800, renew_ms=RENEW) == meter


@pytest.mark.parametrize(
    ("cover", "available", "word"),
    [(240, 240, "ok"), (240, 120, "ok"), (240, 0, "low_balance"), (120, 0, "last")],
)
def test_the_status_says_in_which_slice_the_money_ends(
    cover: int, available: int, word: str
) -> None:
    assert metering.status(running(cover=cover, available=available)) == word


def test_a_free_call_has_no_end() -> None:
    meter = metering.run(Meter(tariff=minute(0), cover_minor=0, available_minor=0), NOW)
    assert metering.funded_ms(meter) is None
    assert metering.status(meter) == "ok"
    assert look(meter, NOW + 10**9) == Due(post=True)
    assert metering.total(meter, 10**9) == 0


def test_a_cap_that_is_covered_ends_the_cost_but_not_the_call() -> None:
    tariff = minute(120, cap_minor=300)
    meter = metering.run(Meter(tariff=tariff, cover_minor=300, available_minor=0), NOW)
    assert metering.covered_until_ms(meter) is None
    assert metering.total(meter, 10**9) == 300


def test_billed_time_is_whole_increments() -> None:
    assert metering.billed_ms(minute(120), 0) == 0
    assert metering.billed_ms(minute(120), 60_000) == 60_000
    assert metering.billed_ms(minute(120), 60_001) == 120_000
    assert metering.billed_ms(second(10), 60_001) == 61_000


def test_the_balance_counts_what_is_held_for_the_call() -> None:
    meter = metering.posted(running(), charged_minor=120, hold_minor=120, available_minor=5)
    assert metering.balance(meter) == 125
