from hypothesis import given
from hypothesis import strategies as st

from signalling.limits import Rate
from signalling.sockets.throttle import TokenBucket, TokenBuckets, Window


def test_a_burst_passes_and_then_one_for_each_interval() -> None:
    bucket = TokenBucket(Rate(3, 100))
    assert [bucket.take(1_000) for _ in range(5)] == [0, 0, 0, 100, 100]
    assert bucket.take(1_099) == 1
    assert bucket.take(1_100) == 0
    assert bucket.take(1_100) == 100


def test_a_refused_take_costs_nothing() -> None:
    bucket = TokenBucket(Rate(1, 50))
    assert bucket.take(0) == 0
    assert [bucket.take(10) for _ in range(100)] == [40] * 100
    assert bucket.take(50) == 0


def test_a_rested_bucket_holds_no_more_than_its_burst() -> None:
    bucket = TokenBucket(Rate(2, 10))
    assert [bucket.take(10**9) for _ in range(3)] == [0, 0, 10]


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 8), st.integers(1, 30))
def test_never_more_than_burst_and_rate_in_any_stretch(
    pauses_ms: list[int], burst: int, every_ms: int
) -> None:
    bucket = TokenBucket(Rate(burst, every_ms))
    now_ms = 5_000
    taken: list[int] = []
    for pause_ms in pauses_ms:
        now_ms += pause_ms
        wait_ms = bucket.take(now_ms)
        if wait_ms == 0:
            taken.append(now_ms)
        else:
            assert wait_ms <= every_ms
    for first, since_ms in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - since_ms) / every_ms


def test_a_window_is_over_with_one_more_than_its_maximum() -> None:
    window = Window(2, 1_000)
    assert [window.over(500), window.over(600), window.over(1_499)] == [False, False, True]


def test_a_window_begins_anew_when_it_has_passed() -> None:
    window = Window(2, 1_000)
    assert [window.over(at_ms) for at_ms in (0, 1, 1_000, 1_001, 1_002)] == [False] * 4 + [True]


def test_each_key_has_a_bucket_of_its_own_and_their_number_is_bounded() -> None:
    buckets = TokenBuckets(Rate(2, 100), keys_max=10)
    assert [buckets.take("a", 0) for _ in range(3)] == [0, 0, 100]
    assert buckets.take("b", 0) == 0
    buckets.forgive("a")
    assert buckets.take("a", 0) == 0
    for number in range(100):
        buckets.take(str(number), 0)
        assert len(buckets._full_at_ms) <= 10
