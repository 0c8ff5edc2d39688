from random import Random

import msgspec
import pytest

from signalling.client.load.measure import (
    VIOLATIONS_MAX,
    Histogram,
    Tally,
    Violation,
    summarise,
)


def histogram(times: list[float]) -> Histogram:
    made = Histogram()
    for ms in times:
        made.note(ms)
    return made


def exact(times: list[float], share: float) -> float:
    return sorted(times)[max(0, -(-int(share * 1_000) * len(times) // 1_000) - 1)]


def test_percentiles_are_within_one_percent_of_exact_ones() -> None:
    dice = Random(1)
    times = [dice.lognormvariate(2, 2) for _ in range(5_000)]
    kept = histogram(times)
    for share in (0.01, 0.5, 0.9, 0.95, 0.99, 1):
        assert kept.at(share) == pytest.approx(exact(times, share), rel=0.01, abs=0.001)


def test_count_sum_and_extremes_are_exact() -> None:
    summary = summarise(histogram([3.25, 1.5, 80_000.123]))
    assert (summary.count, summary.min, summary.max) == (3, 1.5, 80_000.123)
    assert summary.avg == pytest.approx((3.25 + 1.5 + 80_000.123) / 3)
    assert summarise(histogram([7.0])).p99 == 7.0


def test_of_nothing_everything_is_nothing() -> None:
    summary = summarise(Histogram())
    assert (summary.count, summary.avg, summary.p50, summary.max) == (0, 0, 0, 0)


def test_two_histograms_added_are_one_that_saw_all() -> None:
    dice = Random(2)
    times = [dice.expovariate(0.1) for _ in range(1_000)]
    both = histogram(times[:300])
    both.add(histogram(times[300:]))
    both.add(Histogram())
    whole = histogram(times)
    assert both.counts == whole.counts
    assert both.total_ms == pytest.approx(whole.total_ms)
    assert (both.low_ms, both.high_ms) == (whole.low_ms, whole.high_ms)


def test_it_takes_little_room_however_much_it_sees() -> None:
    dice = Random(3)
    assert len(histogram([dice.uniform(0, 60_000) for _ in range(20_000)]).counts) < 2_500


def test_tallies_add_up_through_json() -> None:
    one, other = Tally(started=2, done=1, sent=5), Tally(started=1, failed=1, dropped=4)
    one.note("ring", 5)
    other.note("ring", 7)
    other.note("end", 1)
    for tally in (one, other):
        tally.error("request", "unavailable")
        tally.outcome("answered", "done")
    other.outcome("busy", "no_ring")
    one.add(msgspec.json.decode(msgspec.json.encode(other), type=Tally))
    assert (one.started, one.done, one.failed, one.dropped, one.sent) == (3, 1, 1, 4, 5)
    assert one.errors == {"request": {"unavailable": 2}}
    assert one.outcomes == {"answered": {"done": 2}, "busy": {"no_ring": 1}}
    assert (one.phases["ring"].count, one.phases["end"].count) == (2, 1)
    assert other.phases["ring"].count == 1


def test_all_violations_are_counted_and_some_are_kept() -> None:
    one, other = Tally(), Tally()
    for _ in range(VIOLATIONS_MAX):
        one.blame(Violation("rev", "", "phone"))
    other.blame(Violation("seq", "", "phone"))
    one.add(other)
    one.blame(Violation("seq", "", "phone"))
    assert one.violations_count == VIOLATIONS_MAX + 2
    assert len(one.violations) == VIOLATIONS_MAX
