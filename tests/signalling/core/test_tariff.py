from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from signalling.core.tariff import (
    Tariff,
    cost,
    first_hold,
    from_terms,
    hold_ahead,
    horizon,
    minute,
    next_step,
    price_per_minute,
    second,
    share,
    slice_of,
    units,
)

FAR_MS = 10**15
# A busy machine must not fail a pure function for being slow.
calm = settings(deadline=None, max_examples=200)


def oracle_units(tariff: Tariff, t: int) -> int:
    beyond = Fraction(t) - tariff.free_ms
    if t <= 0 or beyond <= 0:
        return 0
    return 1 + max(0, ceil((beyond - tariff.first_ms) / tariff.next_ms))


def oracle_cost(tariff: Tariff, t: int) -> int:
    """The definition read literally, in exact rationals."""
    if t <= 0:
        return 0
    count = oracle_units(tariff, t)
    billed = Fraction(0)
    if count > 0:
        billed = Fraction(tariff.first_ms) + Fraction(tariff.next_ms) * (count - 1)
    exact = Fraction(tariff.rate_minor, tariff.per_ms) * billed
    rounded = {"up": ceil(exact), "down": floor(exact), "half": floor(exact + Fraction(1, 2))}
    total = max(rounded[tariff.rounding] + tariff.connect_fee_minor, tariff.minimum_minor)
    return total if tariff.cap_minor is None else min(total, tariff.cap_minor)


@st.composite
def tariffs(draw: st.DrawFn, *, amount_max: int, time_max: int) -> Tariff:
    amount, span = st.integers(0, amount_max), st.integers(1, time_max)
    return Tariff(
        name="general",
        rate_minor=draw(amount),
        per_ms=draw(span),
        first_ms=draw(span),
        next_ms=draw(span),
        free_ms=draw(st.just(0) | st.integers(0, time_max)),
        connect_fee_minor=draw(st.just(0) | amount),
        minimum_minor=draw(st.just(0) | amount),
        cap_minor=draw(st.none() | st.integers(0, amount_max * 20)),
        rounding=draw(st.sampled_from(["up", "down", "half"])),
        share_bps=draw(st.integers(0, 10_000)),
        tick_ms=draw(span),
        quantum_minor=draw(st.integers(1, amount_max)),
    )


SMALL = tariffs(amount_max=12, time_max=23)
LARGE = tariffs(amount_max=10**6, time_max=86_400_000)
ANY = (
    SMALL | LARGE | st.builds(minute, st.integers(0, 10**6)) | st.builds(second, st.integers(0, 99))
)
TIMES = st.integers(-5, 200) | st.integers(0, 400_000_000)


@pytest.mark.parametrize(
    ("tariff", "t", "expected"),
    [
        (minute(120), -1, 0),
        (minute(120), 0, 0),
        (minute(120), 1, 120),
        (minute(120), 60_000, 120),
        (minute(120), 60_001, 240),
        (minute(120), 120_000, 240),
        (minute(120), 120_001, 360),
        (minute(120), 233_000, 480),
        (second(10), 0, 0),
        (second(10), 1, 1),
        (second(10), 30_000, 5),
        (second(10), 30_001, 6),
        (second(10), 60_000, 10),
        (second(10), 61_000, 11),
        (minute(0), 233_000, 0),
        (minute(120, first_ms=30_000, next_ms=6_000), 30_000, 60),
        (minute(120, first_ms=30_000, next_ms=6_000), 30_001, 72),
        (second(10, rounding="down"), 59_000, 9),
        (second(10, rounding="half"), 2_000, 0),
        (second(10, rounding="half"), 3_000, 1),
    ],
)
def test_known_calls_cost_what_the_terms_say(tariff: Tariff, t: int, expected: int) -> None:
    assert cost(tariff, t) == expected


@pytest.mark.parametrize(
    ("t", "expected"), [(0, 0), (1, 1), (60_000, 1), (120_000, 2), (120_001, 3), (233_000, 4)]
)
def test_exactly_two_minutes_are_two_units(t: int, expected: int) -> None:
    assert units(minute(120), t) == expected


def test_free_time_frees_the_talking_but_not_the_connection() -> None:
    tariff = minute(120, free_ms=30_000, connect_fee_minor=7)
    prices = {0: 0, 1: 7, 30_000: 7, 30_001: 127, 90_000: 127, 90_001: 247}
    assert {t: cost(tariff, t) for t in prices} == prices
    assert [units(tariff, t) for t in (30_000, 30_001, 90_001)] == [0, 1, 2]
    floor_price = minute(120, free_ms=30_000, minimum_minor=50)
    assert [cost(floor_price, t) for t in (0, 1, 30_000, 30_001)] == [0, 50, 50, 120]
    gift = minute(120, free_ms=30_000)
    assert [cost(gift, t) for t in (1, 30_000, 30_001)] == [0, 0, 120]
    assert next_step(gift, 0) == 30_001
    assert horizon(gift, 0) == 30_000


def test_the_cap_wins_over_fee_and_minimum() -> None:
    tariff = minute(120, connect_fee_minor=40, minimum_minor=90, cap_minor=30)
    assert cost(tariff, 1) == 30
    assert next_step(tariff, 0) == 1
    assert next_step(tariff, 1) is None
    assert horizon(tariff, 29) == 0
    assert horizon(tariff, 30) is None


def test_horizon_and_next_step_of_the_stock_tariffs() -> None:
    ends = {-1: 0, 0: 0, 119: 0, 120: 60_000, 239: 60_000, 240: 120_000, 480: 240_000}
    assert {amount: horizon(minute(120), amount) for amount in ends} == ends
    steps = {-1: 1, 0: 1, 1: 60_001, 60_000: 60_001, 60_001: 120_001}
    assert {t: next_step(minute(120), t) for t in steps} == steps
    assert [horizon(second(10), a) for a in (0, 1, 5, 10)] == [0, 6_000, 30_000, 60_000]
    assert horizon(minute(0), 0) is None
    assert horizon(minute(0), -1) == 0
    assert next_step(minute(0), 5) is None


def test_price_per_minute_is_normalised_and_rounded_up() -> None:
    assert price_per_minute(minute(120)) == 120
    assert price_per_minute(second(1, per_ms=1_000)) == 60
    assert price_per_minute(second(1, per_ms=7_000)) == 9
    assert price_per_minute(second(100, per_ms=3_600_000)) == 2


def test_slices_are_half_open_on_the_left() -> None:
    tariff = minute(120)
    times = (-1, 0, 1, 60_000, 60_001, 120_000, 120_001)
    assert [slice_of(tariff, t) for t in times] == [0, 0, 0, 0, 1, 1, 2]
    assert [hold_ahead(tariff, t) for t in times] == [240, 240, 240, 240, 360, 360, 480]
    assert first_hold(tariff) == 120
    assert first_hold(second(10, connect_fee_minor=3)) == 13


def test_stock_tariffs_carry_their_terms() -> None:
    assert minute(120) == Tariff(
        name="minute",
        rate_minor=120,
        per_ms=60_000,
        first_ms=60_000,
        next_ms=60_000,
        share_bps=7000,
        tick_ms=60_000,
        quantum_minor=120,
        currency="PTS",
    )
    by_second = second(10, share_bps=8000, currency="EUR", cap_minor=500)
    assert (by_second.first_ms, by_second.next_ms, by_second.tick_ms) == (1_000, 1_000, 60_000)
    assert (by_second.quantum_minor, by_second.share_bps, by_second.currency) == (1, 8000, "EUR")
    assert by_second.cap_minor == 500
    assert minute(0).quantum_minor == 1


def test_terms_choose_a_stock_tariff_by_name() -> None:
    assert from_terms("minute", 120, share_bps=6000) == minute(120, share_bps=6000)
    assert from_terms("second", 10, currency="EUR", free_ms=5) == second(
        10, currency="EUR", free_ms=5
    )
    with pytest.raises(ValueError, match=r"^kind "):
        from_terms("hour", 10)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate_minor", -1),
        ("rate_minor", 10**9 + 1),
        ("rate_minor", 1.0),
        ("rate_minor", True),
        ("per_ms", 0),
        ("per_ms", 86_400_001),
        ("first_ms", 0),
        ("next_ms", 0),
        ("free_ms", -1),
        ("free_ms", None),
        ("connect_fee_minor", -1),
        ("minimum_minor", -1),
        ("cap_minor", -1),
        ("share_bps", 10_001),
        ("tick_ms", 0),
        ("quantum_minor", 0),
        ("rounding", "even"),
        ("name", ""),
        ("name", "n" * 33),
        ("currency", ""),
        ("currency", "P:S"),
        ("currency", "ÉUR"),
        ("currency", "P" * 13),
    ],
)
def test_a_term_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} "):
        msgspec.structs.replace(minute(120), **{field: value})


def test_decoding_refuses_what_construction_refuses() -> None:
    good = msgspec.json.encode(minute(120))
    decoder = msgspec.json.Decoder(Tariff)
    for old, new in (
        (b'"rateMinor":120', b'"rateMinor":-1'),
        (b'"rateMinor":120', b'"rateMinor":1.5'),
        (b'"rounding":"up"', b'"rounding":"even"'),
        (b'"currency":"PTS"', b'"currency":"PTS","surprise":1'),
    ):
        assert old in good
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(good.replace(old, new))


@calm
@given(ANY)
def test_a_tariff_survives_json(tariff: Tariff) -> None:
    assert msgspec.json.decode(msgspec.json.encode(tariff), type=Tariff) == tariff


@calm
@given(ANY, TIMES)
def test_cost_and_units_agree_with_exact_rationals(tariff: Tariff, t: int) -> None:
    assert cost(tariff, t) == oracle_cost(tariff, t)
    assert units(tariff, t) == oracle_units(tariff, t)


@calm
@given(ANY, st.integers(0, 50))
def test_a_boundary_belongs_to_the_unit_it_ends(tariff: Tariff, more: int) -> None:
    boundary = tariff.free_ms + tariff.first_ms + more * tariff.next_ms
    for t in (tariff.free_ms, tariff.free_ms + 1, boundary - 1, boundary, boundary + 1):
        assert cost(tariff, t) == oracle_cost(tariff, t)
    assert units(tariff, boundary) == more + 1
    assert units(tariff, boundary + 1) == more + 2


@calm
@given(ANY, TIMES, TIMES)
def test_cost_never_falls(tariff: Tariff, one: int, other: int) -> None:
    assert cost(tariff, min(one, other)) <= cost(tariff, max(one, other))


@calm
@given(ANY, st.lists(TIMES, min_size=1, max_size=20))
def test_any_tick_pattern_charges_the_cost_of_the_end(tariff: Tariff, ticks: list[int]) -> None:
    charged = earned = kept = 0
    for t in sorted(ticks):
        delta = cost(tariff, t) - charged
        part = share(tariff, charged + delta) - earned
        assert 0 <= part <= delta
        charged, earned, kept = charged + delta, earned + part, kept + delta - part
    end = oracle_cost(tariff, max(ticks))
    assert charged == end
    assert earned == floor(Fraction(end * tariff.share_bps, 10_000))
    assert earned + kept == end


@calm
@given(SMALL, st.integers(-3, 120))
def test_next_step_is_the_first_rise_found_by_scanning(tariff: Tariff, t: int) -> None:
    now = oracle_cost(tariff, t)
    # Longer than the longest wait: fee or minimum 12 at 1 per 23 ms, and the increments around.
    rises = (at for at in range(t + 1, t + 600) if oracle_cost(tariff, at) > now)
    assert next_step(tariff, t) == next(rises, None)


@calm
@given(ANY, TIMES)
def test_next_step_is_a_rise_with_none_before_it(tariff: Tariff, t: int) -> None:
    at = next_step(tariff, t)
    now = oracle_cost(tariff, t)
    if at is None:
        assert oracle_cost(tariff, FAR_MS) == now
    else:
        assert at > t
        assert oracle_cost(tariff, at - 1) == now < oracle_cost(tariff, at)


@calm
@given(SMALL, st.integers(0, 40))
def test_walking_the_steps_visits_every_price_once(tariff: Tariff, steps: int) -> None:
    t, visited = 0, [0]
    for _ in range(steps):
        at = next_step(tariff, t)
        if at is None:
            break
        t = at
        visited.append(cost(tariff, t))
    assert all(low < high for low, high in pairwise(visited))
    assert visited == sorted({oracle_cost(tariff, at) for at in range(t + 1)})


@calm
@given(ANY, st.integers(-3, 300) | st.integers(0, 10**8))
def test_horizon_is_the_last_moment_that_is_paid_for(tariff: Tariff, amount: int) -> None:
    end = horizon(tariff, amount)
    if end is None:
        assert oracle_cost(tariff, FAR_MS * 10**4) <= amount
    elif amount < oracle_cost(tariff, 1):
        assert end == 0
    else:
        assert end >= 1
        assert oracle_cost(tariff, end) <= amount < oracle_cost(tariff, end + 1)


@calm
@given(ANY, TIMES)
def test_the_horizon_of_a_cost_ends_where_the_next_step_begins(tariff: Tariff, t: int) -> None:
    assume(t > 0)
    end = horizon(tariff, cost(tariff, t))
    assert next_step(tariff, t) == (None if end is None else end + 1)


@calm
@given(ANY, st.integers(1, 400_000_000))
def test_the_hold_ahead_covers_this_slice_and_the_next(tariff: Tariff, t: int) -> None:
    n = slice_of(tariff, t)
    assert n * tariff.tick_ms < t <= (n + 1) * tariff.tick_ms
    assert hold_ahead(tariff, t) == oracle_cost(tariff, (n + 2) * tariff.tick_ms)
    assert first_hold(tariff) == oracle_cost(tariff, tariff.tick_ms)
    assert hold_ahead(tariff, t) >= cost(tariff, t)


@calm
@given(ANY)
def test_price_per_minute_agrees_with_exact_rationals(tariff: Tariff) -> None:
    assert price_per_minute(tariff) == ceil(Fraction(tariff.rate_minor, tariff.per_ms) * 60_000)
