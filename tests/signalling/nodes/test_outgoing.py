"""What waits to be sent: its order, its limits, and what is given up."""

from __future__ import annotations

from uuid import UUID

from signalling.nodes.outgoing import (
    AWAY,
    BATCH_BYTES_MAX,
    BATCH_PARCELS_MAX,
    BATCH_USERS_MAX,
    BYTES_MAX,
    HERE,
    PARCELS_MAX,
    TO_ALL,
    TO_NODE,
    TO_USER,
    Batch,
    Outgoing,
)

ANN, KAI = UUID(int=1), UUID(int=2)


def taken(outgoing: Outgoing) -> Batch:
    batch = outgoing.batch()
    assert batch is not None
    outgoing.done(batch)
    return batch


def test_a_word_about_a_user_is_owed_until_it_was_carried_out() -> None:
    outgoing = Outgoing()
    assert not outgoing.owes(ANN)
    outgoing.user(ANN, HERE)
    assert outgoing.owes(ANN)
    batch = outgoing.batch()
    assert batch is not None
    assert (outgoing.owes(ANN), outgoing.owes(KAI)) == (True, False)
    outgoing.user(ANN, AWAY)
    outgoing.done(batch)
    assert outgoing.owes(ANN)
    taken(outgoing)
    assert not outgoing.owes(ANN)


def test_a_batch_says_who_is_where_and_then_brings_the_parcels_in_order() -> None:
    outgoing = Outgoing()
    assert not outgoing
    assert outgoing.batch() is None
    outgoing.post(TO_NODE, "west.1", b"1", 0.0)
    outgoing.user(ANN, HERE)
    outgoing.post(TO_ALL, "", b"2", 0.0)
    outgoing.post(TO_USER, str(ANN), b"3", 0.0)
    outgoing.user(KAI, AWAY)
    assert outgoing
    assert taken(outgoing).arguments() == [
        *("+", str(ANN), b""),
        *("-", str(KAI), b""),
        *("n", "west.1", b"1"),
        *("a", "", b"2"),
        *("u", str(ANN), b"3"),
    ]
    assert not outgoing


def test_a_batch_stays_the_same_until_it_is_done() -> None:
    outgoing = Outgoing()
    outgoing.post(TO_ALL, "", b"1", 0.0)
    first = outgoing.batch()
    assert first is not None
    outgoing.post(TO_ALL, "", b"2", 0.0)
    assert outgoing.batch() is first
    outgoing.done(first)
    second = taken(outgoing)
    assert [posted.parcel for posted in second.parcels] == [b"2"]
    assert second.number > first.number


def test_only_the_last_word_about_a_user_is_sent() -> None:
    outgoing = Outgoing()
    outgoing.user(ANN, HERE)
    outgoing.user(ANN, AWAY)
    assert taken(outgoing).users == {ANN: AWAY}


def test_a_batch_has_limits() -> None:
    outgoing = Outgoing()
    for _ in range(BATCH_PARCELS_MAX + 1):
        outgoing.post(TO_ALL, "", b"x", 0.0)
    for number in range(BATCH_USERS_MAX + 1):
        outgoing.user(UUID(int=number), HERE)
    first, second = taken(outgoing), taken(outgoing)
    assert (len(first.parcels), len(second.parcels)) == (BATCH_PARCELS_MAX, 1)
    assert (len(first.users), len(second.users)) == (BATCH_USERS_MAX, 1)
    half = b"x" * (BATCH_BYTES_MAX // 2)
    for _ in range(3):
        outgoing.post(TO_ALL, "", half, 0.0)
    assert [len(taken(outgoing).parcels) for _ in range(2)] == [2, 1]


def test_the_oldest_make_room() -> None:
    outgoing = Outgoing()
    dropped = [outgoing.post(TO_ALL, "", b"%d" % number, 0.0) for number in range(PARCELS_MAX + 2)]
    assert sum(dropped) == 2
    assert taken(outgoing).parcels[0].parcel == b"2"


def test_the_bytes_that_wait_are_limited_too() -> None:
    outgoing = Outgoing()
    large = b"x" * BATCH_BYTES_MAX
    fits = BYTES_MAX // BATCH_BYTES_MAX
    assert sum(outgoing.post(TO_ALL, "", large, 0.0) for _ in range(fits)) == 0
    assert outgoing.post(TO_ALL, "", b"x", 0.0) == 1
    for _ in range(fits - 1):
        taken(outgoing)
    assert outgoing.post(TO_ALL, "", large, 0.0) == 0


def test_a_parcel_that_no_batch_can_hold_is_dropped_at_once() -> None:
    outgoing = Outgoing()
    assert outgoing.post(TO_ALL, "", b"x" * (BATCH_BYTES_MAX + 1), 0.0) == 1
    assert not outgoing


def test_what_is_too_old_is_given_up_but_not_what_is_known_of_users() -> None:
    outgoing = Outgoing()
    outgoing.user(ANN, HERE)
    outgoing.user(KAI, HERE)
    outgoing.post(TO_ALL, "", b"1", 1.0)
    under_way = outgoing.batch()
    assert under_way is not None
    outgoing.user(KAI, AWAY)
    outgoing.post(TO_ALL, "", b"2", 2.0)
    outgoing.post(TO_ALL, "", b"3", 3.0)
    assert outgoing.drop_older_than(3.0) == 2
    outgoing.done(under_way)
    kept = taken(outgoing)
    assert kept.number > under_way.number
    assert kept.users == {ANN: HERE, KAI: AWAY}
    assert [posted.parcel for posted in kept.parcels] == [b"3"]


def test_nothing_young_is_given_up() -> None:
    outgoing = Outgoing()
    outgoing.user(ANN, HERE)
    outgoing.post(TO_ALL, "", b"1", 1.0)
    batch = outgoing.batch()
    assert outgoing.drop_older_than(1.0) == 0
    assert outgoing.batch() is batch
