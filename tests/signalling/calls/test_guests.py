"""Which events of calls that other nodes run are believed."""

from uuid import UUID

import pytest

from signalling.calls.guests import Guests
from signalling.nodes.parcels import Owns
from tests.signalling.calls.test_registry import ANN, KAI, Rig

CALL = UUID(int=101)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_later_owner_is_believed_and_an_earlier_one_no_more(rig: Rig) -> None:
    guests = Guests(rig.registry, rig.changed.append)
    assert guests.admits(CALL, 0)
    assert guests.learn("b.2", Owns(CALL, (ANN, KAI), 1))
    assert not guests.learn("a.1", Owns(CALL, (ANN, KAI), 0))
    assert guests.admits(CALL, 1)
    assert not guests.admits(CALL, 0)


def test_nobody_else_is_believed_of_a_call_that_is_run_here_or_has_ended_here(rig: Rig) -> None:
    guests = Guests(rig.registry, rig.changed.append)
    host = rig.call(1, ANN, KAI)
    assert not guests.admits(host.id, 0)
    rig.end(host)
    # An owner that slept while it lost the call wakes up and goes on telling of it.
    assert not guests.admits(host.id, 0)
    assert not guests.learn("a.1", Owns(host.id, (ANN, KAI), 0))
    assert guests.of_user(ANN) is None
