import time

import pytest

from server.clock import node_clock


def test_the_clock_shows_unix_milliseconds() -> None:
    before_ms = time.time_ns() // 1_000_000
    now_ms = node_clock()()
    assert before_ms - 1 <= now_ms <= time.time_ns() // 1_000_000 + 1


def test_only_the_monotonic_clock_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wall_ns, mono_ns = [1_800_000_000_123_999_999], [77_000_000_500]
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: mono_ns[0])
    clock = node_clock()
    assert clock() == 1_800_000_000_123
    wall_ns[0] -= 3_600_000_000_000  # Somebody sets the wall clock back by an hour.
    assert clock() == 1_800_000_000_123
    mono_ns[0] += 999_999
    assert clock() == 1_800_000_000_123
    mono_ns[0] += 1
    assert clock() == 1_800_000_000_124
    mono_ns[0] += 86_400_000_000_000
    assert clock() == 1_800_000_000_124 + 86_400_000


def test_two_readings_are_never_in_the_wrong_order() -> None:
    clock = node_clock()
    readings = [clock() for _ in range(1_000)]
    assert readings == sorted(readings)
