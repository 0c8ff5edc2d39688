"""Which calls this node hosts, and for whom."""

from uuid import UUID

import pytest

from signalling.calls.host import Accounts, Host
from signalling.calls.registry import Registry
from signalling.codes import Party
from signalling.core import inputs
from signalling.core.call import open_call
from signalling.core.tariff import minute
from signalling.events import Profile
from signalling.limits import RECENT_CALLS_MS, CallLimits
from tests.signalling.calls.hosting import Notes
from tests.signalling.calls.test_host import settled
from tests.signalling.harness import FakeTime

ANN, KAI, LEA = UUID(int=1), UUID(int=2), UUID(int=3)


class Rig:
    def __init__(self) -> None:
        self.time, self.changed = FakeTime(), list[UUID]()
        self.registry = Registry(self.time, self.changed.append)

    def call(self, number: int, caller: UUID, callee: UUID) -> Host:
        call, _ = open_call(
            call_id=UUID(int=100 + number),
            kind="audio",
            connect_on="media",
            caller=Profile(user_id=caller, name="A"),
            callee=Profile(user_id=callee, name="B"),
            device="phone",
            has_socket=True,
            tariff=minute(0),
            held_minor=0,
            available_minor=0,
            limits=CallLimits(),
            note=None,
            created_ms=self.time(),
            now_ms=self.time(),
        )
        host = Host(call, Accounts(1, 2, 3), Notes(), self.time, self.time.later)
        self.registry.add(host)
        return host

    def end(self, host: Host) -> None:
        host.feed(inputs.HungUp(Party.CALLER))
        host.feed(settled())
        self.registry.drop(host)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_call_is_found_by_its_id_and_by_both_users(rig: Rig) -> None:
    host = rig.call(1, ANN, KAI)
    registry = rig.registry
    assert registry.find(host.id) is registry.of_user(ANN) is registry.of_user(KAI) is host
    assert (len(registry), registry.hosts(), registry.of_user(LEA)) == (1, [host], None)
    assert rig.changed == [ANN, KAI]


def test_an_ended_call_leaves_its_users_free_before_its_books_are_closed(rig: Rig) -> None:
    host = rig.call(1, ANN, KAI)
    host.feed(inputs.HungUp(Party.CALLER))
    assert rig.registry.of_user(ANN) is None
    assert rig.registry.find(host.id) is host


def test_a_dropped_call_is_remembered_as_ended_and_nothing_else_is_left(rig: Rig) -> None:
    host = rig.call(1, ANN, KAI)
    rig.end(host)
    registry = rig.registry
    assert (registry.find(host.id), registry.of_user(KAI), len(registry)) == (None, None, 0)
    assert registry.ended(host.id) is host.call
    assert rig.time.armed == []
    assert rig.changed == [ANN, KAI, ANN, KAI]


def test_dropping_an_old_call_does_not_free_the_user_from_a_newer_one(rig: Rig) -> None:
    old = rig.call(1, ANN, KAI)
    old.feed(inputs.HungUp(Party.CALLER))
    new = rig.call(2, ANN, LEA)
    old.feed(settled())
    rig.registry.drop(old)
    assert rig.registry.of_user(ANN) is new
    assert rig.registry.of_user(KAI) is None


def test_ended_calls_are_forgotten_after_ten_minutes(rig: Rig) -> None:
    first = rig.call(1, ANN, KAI)
    rig.end(first)
    rig.time.now_ms += RECENT_CALLS_MS - 1
    second = rig.call(2, ANN, KAI)
    rig.end(second)
    assert rig.registry.ended(first.id) is first.call
    rig.time.now_ms += 1
    third = rig.call(3, ANN, KAI)
    rig.end(third)
    assert rig.registry.ended(first.id) is None
    assert rig.registry.ended(second.id) is second.call


def test_a_call_that_another_node_runs_is_let_go_and_not_taken_for_ended(rig: Rig) -> None:
    host = rig.call(1, ANN, KAI)
    rig.registry.release(host)
    registry = rig.registry
    assert (registry.find(host.id), registry.of_user(ANN), registry.ended(host.id)) == (None,) * 3
    assert rig.time.armed == []
    assert rig.changed == [ANN, KAI], "they are in it all the same"
