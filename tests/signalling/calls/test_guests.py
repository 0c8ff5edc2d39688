"""Calls of other nodes: the newest owner counts, and each user's presence follows."""

from uuid import UUID

import pytest

from signalling.calls import guests as module
from signalling.calls.guests import Guest, Guests
from signalling.calls.registry import Registry
from signalling.nodes.parcels import Owns
from tests.signalling.calls.test_registry import Rig as LivesRig

ANN, KAI, BOB, CALL, OTHER = (UUID(int=number) for number in range(1, 6))


class Rig:
    def __init__(self) -> None:
        self.changed: list[UUID] = []
        self.registry = Registry(lambda: 0, lambda _: None)
        self.guests = Guests(self.registry, self.changed.append)

    def owns(self, claim: int = 0, call: UUID = CALL, other: UUID = KAI) -> Owns:
        return Owns(call, (ANN, other), claim)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_call_is_known_by_its_id_and_its_users(rig: Rig) -> None:
    assert rig.guests.learn("west.1", rig.owns())
    guest = rig.guests.find(CALL)
    assert guest is not None
    assert (guest.node, guest.claim, guest.users) == ("west.1", 0, (ANN, KAI))
    assert rig.guests.of_user(ANN) is rig.guests.of_user(KAI) is guest
    assert rig.guests.of_user(BOB) is None
    assert (rig.guests.all(), len(rig.guests)) == ([guest], 1)
    assert rig.changed == [ANN, KAI]


def test_a_later_owner_counts_and_an_earlier_one_does_not(rig: Rig) -> None:
    rig.guests.learn("east.2", rig.owns(2))
    assert not rig.guests.learn("west.1", rig.owns(1))
    assert rig.guests.find(CALL).node == "east.2"  # type: ignore[union-attr]
    assert rig.guests.learn("north.3", rig.owns(3))
    assert rig.guests.of_user(KAI).node == "north.3"  # type: ignore[union-attr]
    assert rig.changed == [ANN, KAI], "they were in it all the time"


def test_a_call_may_be_on_its_way(rig: Rig) -> None:
    rig.guests.learn(None, rig.owns(1))
    assert rig.guests.find(CALL).node is None  # type: ignore[union-attr]
    assert rig.guests.learn("west.1", rig.owns(1))


def test_a_call_that_is_over_is_forgotten_unless_an_old_owner_says_so(rig: Rig) -> None:
    rig.guests.learn("east.2", rig.owns(2))
    rig.guests.forget(CALL, 1)
    assert len(rig.guests) == 1
    rig.guests.forget(CALL, 2)
    assert (len(rig.guests), rig.guests.of_user(ANN)) == (0, None)
    rig.guests.forget(CALL)
    assert rig.changed == [ANN, KAI, ANN, KAI]


def test_what_has_proved_wrong_is_told_of_once_and_until_something_newer_is_known(
    rig: Rig,
) -> None:
    lost: list[Guest] = []
    rig.guests.lost = lost.append
    rig.guests.learn("east.2", rig.owns(2))
    guest = rig.guests.find(CALL)
    assert guest is not None
    assert rig.guests.has_heard(guest)
    rig.guests.lose(guest)
    rig.guests.lose(guest)
    assert lost == [guest]
    assert not rig.guests.has_heard(guest)
    rig.guests.over(CALL, 1)
    assert not rig.guests.has_heard(guest), "an older owner says so"
    rig.guests.over(CALL, 2)
    assert rig.guests.has_heard(guest)


def test_an_old_call_does_not_take_the_new_one_along(rig: Rig) -> None:
    rig.guests.learn("west.1", rig.owns())
    rig.guests.learn("east.2", rig.owns(call=OTHER, other=BOB))
    rig.changed.clear()
    rig.guests.forget(CALL)
    assert rig.guests.of_user(ANN) is rig.guests.find(OTHER)
    assert rig.changed == [KAI]


def test_events_come_from_the_present_owner_only(rig: Rig) -> None:
    assert rig.guests.admits(CALL, 0), "of an unknown call, as far as is known here"
    rig.guests.learn("east.2", rig.owns(2))
    assert [rig.guests.admits(CALL, claim) for claim in (1, 2, 3)] == [False, True, True]


def test_memory_has_an_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GUESTS_MAX", 1)
    assert rig.guests.learn("west.1", rig.owns())
    assert not rig.guests.learn("west.1", rig.owns(call=OTHER, other=BOB))
    assert len(rig.guests) == 1


def test_nobody_else_is_believed_of_a_call_that_has_ended_here() -> None:
    """An owner that slept while it lost the call wakes up and goes on telling of it."""
    lives = LivesRig()
    guests = Guests(lives.registry, lives.changed.append)
    host = lives.call(1, ANN, KAI)
    assert not guests.admits(host.id, 0)
    lives.end(host)
    assert not guests.admits(host.id, 0)
    assert not guests.learn("a.1", Owns(host.id, (ANN, KAI), 0))
    assert guests.of_user(ANN) is None
