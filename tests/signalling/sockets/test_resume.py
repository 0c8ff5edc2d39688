"""Rings by themselves: what they keep, and what they cost."""

import pytest

from signalling.limits import SocketLimits
from signalling.sockets.resume import Ring, Rings, same


def rings(**limits: int) -> Rings:
    return Rings(SocketLimits(**limits))


def filled(owner: Rings, count: int, size: int = 10) -> Ring:
    ring = Ring(owner)
    for number in range(count):
        ring.put(b"%d" % (number % 10) * size)
    return ring


def test_the_newest_come_out_in_order_and_as_they_were() -> None:
    ring = Ring(rings())
    frames = [b"one", b"two", b"three"]
    for frame in frames:
        ring.put(frame)
    assert list(ring.newest(0)) == []
    found = ring.newest(2)
    assert all(one is other for one, other in zip(found, frames[1:], strict=True)), "not copied"


def test_the_oldest_go_when_there_are_too_many() -> None:
    owner = rings(replay_events_max=3)
    ring = filled(owner, 5, size=1)
    assert list(ring.newest(3)) == [b"2", b"3", b"4"]
    assert (len(ring), owner.size_bytes) == (3, 3)


def test_the_oldest_go_when_they_are_too_large() -> None:
    owner = rings(replay_bytes_max=25)
    ring = filled(owner, 4)
    assert (len(ring), owner.size_bytes) == (2, 20)
    ring.put(b"x" * 26)
    assert (len(ring), owner.size_bytes) == (0, 0), "larger than all that may be kept"


def test_all_rings_together_have_a_limit() -> None:
    owner = rings(replay_all_bytes_max=50)
    first = filled(owner, 3)
    second = filled(owner, 3)
    assert (len(first), len(second), owner.size_bytes) == (3, 2, 50)


def test_what_is_forgotten_is_not_counted_any_more() -> None:
    owner = rings()
    first, second = filled(owner, 3), filled(owner, 2)
    assert (owner.count, owner.size_bytes) == (2, 50)
    first.forget(2)
    assert (len(first), owner.size_bytes) == (1, 30)
    first.drop()
    second.drop()
    assert (owner.count, owner.size_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("known", "given", "is_same"),
    [("abc", "abc", True), ("abc", "abd", False), ("abc", "ab", False), ("", "", False)],
)
def test_only_the_whole_secret_is_the_secret(known: str, given: str, *, is_same: bool) -> None:
    assert same(known, given) is is_same


def test_a_secret_that_is_no_ascii_is_just_wrong() -> None:
    assert not same("abc", "äöü")
