"""Each parcel once, in order, by whichever way, and what is missing is noticed."""

from __future__ import annotations

from signalling.nodes.frame import PART_BYTES, PARTS_MAX, Item, split
from signalling.nodes.inbound import HELD_MAX, HELD_S, PARTS_S, Inbound


class Taken:
    def __init__(self) -> None:
        self.parcels: list[bytes] = []
        self.inbound = Inbound(self.parcels.append)

    def redis(self, *numbers: int, at_s: float = 0.0) -> list[bool]:
        return [self.inbound.by_redis(n, b"%d" % n, at_s) for n in numbers]

    def spare(self, n: int, prev: int) -> bool:
        return self.inbound.by_spare(Item(n, prev, 0, 1, b"%d" % n), 0.0)

    def by_redis_again(self, n: int) -> bool:
        return self.inbound.by_spare(Item(n, n, 0, 0, b""), 0.0)

    @property
    def numbers(self) -> list[int]:
        return [int(parcel) for parcel in self.parcels]


def test_what_was_repeated_is_taken_once() -> None:
    taken = Taken()
    taken.redis(1, 2, 5)
    assert not any((taken.spare(2, 0), taken.spare(5, 2), taken.spare(6, 5)))
    assert taken.redis(5, 6) == [False, False]
    assert taken.numbers == [1, 2, 5, 6]


def test_numbers_for_others_are_not_missing() -> None:
    taken = Taken()
    taken.redis(4, 9)
    assert not taken.spare(20, 9)
    assert taken.numbers == [4, 9, 20]


def test_a_parcel_before_another_that_never_came_is_missing() -> None:
    taken = Taken()
    taken.redis(1)
    assert taken.spare(4, 3)
    assert not taken.spare(5, 4)
    assert taken.inbound.reached(6)
    assert not taken.inbound.reached(6)
    assert taken.numbers == [1, 4, 5]


def test_redis_waits_for_what_is_still_on_the_spare_way() -> None:
    taken = Taken()
    taken.spare(1, 0)
    taken.redis(3, 4)
    assert taken.numbers == [1]
    taken.spare(2, 1)
    assert not taken.by_redis_again(2)
    taken.redis(5)
    assert taken.numbers == [1, 2, 3, 4, 5]


def test_what_waits_is_not_missing() -> None:
    taken = Taken()
    taken.spare(1, 0)
    taken.redis(2)
    assert not taken.spare(3, 2)
    assert taken.numbers == [1, 2, 3]


def test_an_end_that_is_not_told_is_not_waited_for() -> None:
    taken = Taken()
    taken.spare(1, 0)
    taken.redis(3, at_s=1.0)
    assert not taken.inbound.expire(1.0 + HELD_S)
    assert taken.inbound.expire(1.1 + HELD_S)
    taken.redis(4)
    assert taken.numbers == [1, 3, 4]


def test_no_more_wait_than_there_is_room_for() -> None:
    taken = Taken()
    taken.spare(1, 0)
    lost = taken.redis(*range(2, HELD_MAX + 3))
    assert lost == [False] * HELD_MAX + [True]
    assert taken.numbers == list(range(1, HELD_MAX + 3))


def test_parts_that_come_again_do_no_harm() -> None:
    taken = Taken()
    parcel = bytes(3 * PART_BYTES)
    first, second, third = split(1, 0, parcel)
    for item in (first, second, first, second, second, third, third):
        assert not taken.inbound.by_spare(item, 0.0)
    assert taken.parcels == [parcel]


def test_a_parcel_with_a_part_missing_is_missing() -> None:
    taken = Taken()
    first, _, third = split(1, 0, bytes(3 * PART_BYTES))
    taken.inbound.by_spare(first, 0.0)
    taken.inbound.by_spare(third, 0.0)
    assert taken.spare(2, 1)
    assert taken.numbers == [2]


def test_parts_are_neither_kept_for_ever_nor_without_bounds() -> None:
    taken = Taken()
    first, second = split(1, 0, bytes(2 * PART_BYTES))
    taken.inbound.by_spare(first, 0.0)
    taken.inbound.expire(PARTS_S + 1)
    taken.inbound.by_spare(second, 0.0)
    taken.inbound.by_spare(Item(2, 1, 0, PARTS_MAX + 1, b""), 0.0)
    assert taken.parcels == []
