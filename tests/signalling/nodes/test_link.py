"""What is sent to another node by the spare way, and what is repeated by it."""

from __future__ import annotations

from signalling.nodes.frame import FRAME_BYTES, PARCEL_BYTES_MAX, Item
from signalling.nodes.link import HISTORY_BYTES, HISTORY_PARCELS, HISTORY_S, History, Link, Past
from signalling.nodes.outgoing import TO_ALL, TO_NODE, TO_USER

ROOM = 1 << 20


def opened(history: History, *, since_n: int = 0, at_s: float = 0.0) -> Link:
    link = Link("west.1", "tt_west", since_n)
    for past in link.open(history, at_s):
        assert link.put(past.n, past.parcel, at_s, ROOM)
    return link


def chain(link: Link) -> list[tuple[int, int]]:
    return [(item.n, item.prev) for item in link.take()[0]]


def test_what_may_have_been_for_the_node_is_repeated() -> None:
    history = History()
    for n, kind, target in (
        *((1, TO_NODE, "west.1"), (2, TO_NODE, "east.1"), (3, TO_ALL, "")),
        *((4, TO_USER, "somebody"), (5, TO_NODE, "west.1")),
    ):
        history.add(Past(n, kind, target, b"", 0.0))
    link = opened(history)
    link.put(6, b"", 0.0, ROOM)
    assert chain(link) == [(1, 0), (3, 1), (4, 3), (5, 4), (6, 5)]


def test_what_is_too_old_to_be_repeated_is_named_as_the_one_before() -> None:
    history = History()
    history.add(Past(1, TO_NODE, "west.1", b"", 0.0))
    history.add(Past(2, TO_ALL, "", b"", 0.0))
    history.add(Past(3, TO_NODE, "east.1", b"", 0.0))
    history.add(Past(4, TO_USER, "somebody", b"", 0.0))
    history.add(Past(5, TO_NODE, "west.1", b"", HISTORY_S + 1))
    assert chain(opened(history, at_s=HISTORY_S + 1)) == [(5, 2)]
    assert chain(opened(history, at_s=3 * HISTORY_S)) == []
    assert opened(history, at_s=3 * HISTORY_S).last_n == 5


def test_the_past_is_bounded() -> None:
    many, large = History(), History()
    for n in range(1, HISTORY_PARCELS + 11):
        many.add(Past(n, TO_NODE, "west.1", b"", 0.0))
    assert len(many.repeat("west.1")) == HISTORY_PARCELS
    assert many.before("west.1") == 10
    for n in range(1, 12):
        large.add(Past(n, TO_ALL, "", bytes(HISTORY_BYTES // 10), 0.0))
    assert large.before("west.1") == 1


def test_a_node_misses_nothing_that_was_sent_before_it_came() -> None:
    history = History()
    history.add(Past(1, TO_ALL, "", b"", 0.0))
    history.add(Past(2, TO_ALL, "", b"", 0.0))
    history.add(Past(3, TO_ALL, "", b"", 0.0))
    assert chain(opened(history, since_n=2)) == [(3, 0)]
    history.trim(2 * HISTORY_S)
    assert opened(history, since_n=3, at_s=2 * HISTORY_S).last_n == 0


def test_what_has_no_room_is_named_as_the_one_before() -> None:
    link = opened(History())
    assert link.put(1, b"", 0.0, ROOM)
    assert not link.put(2, b"xx", 0.0, 1)
    assert not link.put(3, bytes(PARCEL_BYTES_MAX + 1), 0.0, ROOM)
    assert link.put(4, b"", 0.0, ROOM)
    assert chain(link) == [(1, 0), (4, 3)]
    assert link.queued_bytes == 0


def test_frames_are_filled_and_the_last_number_is_told_with_the_last() -> None:
    link = opened(History())
    for n in range(1, 6):
        link.put(n, bytes(FRAME_BYTES // 3), 0.0, ROOM)
    taken = [link.take() for _ in range(3)]
    assert [(len(items), last) for items, last in taken] == [(2, 0), (2, 0), (1, 5)]
    assert not link


def test_the_end_of_the_spare_way_is_told_in_its_place() -> None:
    link = opened(History())
    link.put(1, b"", 0.0, ROOM)
    link.close(0.0)
    items, last = link.take()
    assert items[1] == Item(1, 1, 0, 0, b"")
    assert last == 0
    history = History()
    history.add(Past(2, TO_NODE, "west.1", b"", 0.0))
    assert [past.n for past in link.open(history, 0.0)] == [2]


def test_old_parcels_are_given_up_and_counted_whole() -> None:
    link = opened(History())
    link.put(1, bytes(2 * FRAME_BYTES), 0.0, ROOM)
    link.put(2, b"", 0.0, ROOM)
    link.put(3, b"", 9.0, ROOM)
    assert link.drop_older_than(5.0) == 2
    assert chain(link) == [(3, 2)]
