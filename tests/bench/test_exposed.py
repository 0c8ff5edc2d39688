from tests.bench.exposed import counts, longest_s

BEFORE = """# HELP talktime_gc_pause_seconds Collections.
talktime_gc_pause_seconds_bucket{generation="0",le="0.01"} 5.0
talktime_gc_pause_seconds_bucket{generation="0",le="0.05"} 5.0
talktime_gc_pause_seconds_bucket{generation="0",le="+Inf"} 6.0
"""
AFTER = """talktime_gc_pause_seconds_bucket{generation="0",le="0.01"} 7.0
talktime_gc_pause_seconds_bucket{generation="0",le="0.05"} 7.0
talktime_gc_pause_seconds_bucket{generation="0",le="+Inf"} 8.0
talktime_gc_pause_seconds_bucket{generation="1",le="0.01"} 0.0
talktime_gc_pause_seconds_bucket{generation="1",le="0.05"} 1.0
talktime_gc_pause_seconds_bucket{generation="1",le="+Inf"} 1.0
talktime_event_loop_lag_seconds_bucket{le="0.01"} 3.0
talktime_event_loop_lag_seconds_bucket{le="+Inf"} 4.0
"""


def test_labels_are_added_up() -> None:
    found = counts(AFTER, "talktime_gc_pause_seconds")
    assert found == {0.01: 7.0, 0.05: 8.0, float("inf"): 9.0}


def test_what_came_before_does_not_count() -> None:
    assert longest_s(BEFORE, AFTER, "talktime_gc_pause_seconds") == 0.05
    assert longest_s(AFTER, AFTER, "talktime_gc_pause_seconds") == 0.0
    assert longest_s(BEFORE, BEFORE, "talktime_nothing_seconds") == 0.0


def test_beyond_the_buckets_there_is_no_bound() -> None:
    assert longest_s(BEFORE, AFTER, "talktime_event_loop_lag_seconds") == float("inf")
