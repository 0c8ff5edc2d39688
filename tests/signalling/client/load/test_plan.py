import itertools

import pytest

from signalling.client.load.plan import (
    SCENARIOS,
    Ladder,
    Plan,
    Step,
    Try,
    arrivals,
    check_mode,
    highest_good,
    next_rate,
    parse_ladder,
    parse_mode,
    parse_scenarios,
    parse_seconds,
    parse_span,
)


def test_scenarios_have_weights() -> None:
    assert parse_scenarios("answered=8, no_answer,busy=0.5,glare=0") == {
        "answered": 8,
        "no-answer": 1,
        "busy": 0.5,
    }
    assert parse_scenarios("all") == dict.fromkeys(SCENARIOS, 1)


@pytest.mark.parametrize(
    "text", ["", "answered=0", "talking=1", "answered=-1", "answered=x", "answered=inf"]
)
def test_what_is_no_mix_of_scenarios_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_scenarios(text)


def test_lengths_of_time_have_units() -> None:
    texts = ("90", "90s", "1.5m", "200ms", "1h")
    assert [parse_seconds(text) for text in texts] == [90, 90, 90, 0.2, 3_600]
    assert parse_span("0.5s-2s") == (0.5, 2)
    assert parse_span("1s") == (1, 1)


@pytest.mark.parametrize("text", ["", "x", "1d", "-1s", "2s-1s", "1s-"])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_span(text)


def test_modes_and_ladders_are_read() -> None:
    assert parse_mode("media") == "media"
    assert parse_ladder("10:500") == Ladder(10, 500)
    for text in ("10", "0:5", "9:5", "a:b", "1:inf"):
        with pytest.raises(ValueError, match=r"ladder|above"):
            parse_ladder(text)
    with pytest.raises(ValueError, match="mode"):
        parse_mode("video")


def test_media_has_some_scenarios_only() -> None:
    check_mode("media", {"answered": 1})
    check_mode("signalling", {"glare": 1})
    with pytest.raises(ValueError, match="glare"):
        check_mode("media", {"answered": 1, "glare": 1})


def test_calls_arrive_evenly_for_as_long_as_the_step_lasts() -> None:
    assert list(arrivals(Step(2, 2, 0))) == [0, 0.5, 1, 1.5]
    assert list(arrivals(Step(2, 0, 3))) == [0, 0.5, 1]
    assert list(itertools.islice(arrivals(Step(4, 0, 0)), 2)) == [0, 0.25]


def test_in_the_ramp_the_rate_grows_from_nothing_without_a_jump_at_its_end() -> None:
    times = list(arrivals(Step(10, 20, 0), ramp_s=10))
    assert times == sorted(times)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] > 1
    assert gaps[-1] == pytest.approx(0.1)
    assert sum(at_s < 10 for at_s in times) == 50
    assert len(times) == 150
    assert max(after - before for before, after in itertools.pairwise(gaps)) < 0.01


def climb(limit: float, ladder: Ladder) -> list[Try]:
    """The tries of a server that fails above `limit`."""
    tries: list[Try] = []
    while (rate := next_rate(ladder, tries)) is not None:
        tries.append(Try(rate, rate <= limit))
    return tries


@pytest.mark.parametrize("limit", [11, 87, 240, 499])
def test_the_ladder_comes_within_a_tenth_of_the_limit(limit: float) -> None:
    tries = climb(limit, Ladder(10, 500))
    assert limit / 1.1 <= highest_good(tries) <= limit
    assert len(tries) < 15


def test_the_ladder_ends_at_its_top_and_below_its_foot() -> None:
    assert highest_good(climb(1_000, Ladder(10, 500))) == 500
    assert climb(5, Ladder(10, 500)) == [Try(10, False)]
    assert highest_good([Try(10, False)]) == 0


def test_a_rate_that_was_good_above_one_that_was_not_does_not_count() -> None:
    assert highest_good([Try(10, True), Try(40, True), Try(20, False)]) == 10


def test_generators_share_rate_and_calls_and_have_dice_of_their_own() -> None:
    parts = Plan(scenarios={"answered": 1}, rate=9, calls=8).split(3)
    assert [part.calls for part in parts] == [3, 3, 2]
    assert [part.rate for part in parts] == [3, 3, 3]
    assert len({part.seed for part in parts}) == 3
