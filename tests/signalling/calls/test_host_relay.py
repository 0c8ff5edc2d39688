"""Candidates that go the way of the one before them, past `step`."""

import pytest

from signalling.calls.host import Host
from signalling.codes import Code, Party, Reason, Refused
from signalling.core import inputs
from signalling.core.effects import Relay
from tests.signalling.calls.hosting import LIMITS, Notes
from tests.signalling.harness import FakeTime


def offered(host: Host) -> None:
    """Answered, and the caller's first offer and candidate have gone on."""
    host.feed(inputs.Rang("tab"))
    host.feed(inputs.Accepted("tab"))
    host.feed(inputs.Signalled(Party.CALLER, "phone", "offer", 1, b"offer"))
    host.feed(inputs.Signalled(Party.CALLER, "phone", "candidates", 1, b"first"))


def test_a_candidate_goes_the_way_of_the_one_before_it(host: Host, notes: Notes) -> None:
    offered(host)
    notes.effects.clear()
    noted = len(host.journal)
    assert host.pass_on(Party.CALLER, "phone", 1, b"second")
    assert notes.effects == [Relay(Party.CALLEE, "tab", b"second")]
    assert len(host.journal) == noted, "one entry of both"
    assert host.journal.entries()[-1].details["count"] == 2


def test_nothing_goes_a_way_that_no_candidate_has_gone(host: Host, notes: Notes) -> None:
    assert not host.pass_on(Party.CALLER, "phone", 1, b"early")
    offered(host)
    notes.effects.clear()
    assert not host.pass_on(Party.CALLEE, "tab", 1, b"the other leg's")
    assert not host.pass_on(Party.CALLER, "tablet", 1, b"another device's")
    assert not host.pass_on(Party.CALLER, "phone", 2, b"of another generation")
    assert notes.effects == []


def test_a_call_that_has_changed_is_asked_anew(host: Host, time: FakeTime, notes: Notes) -> None:
    offered(host)
    host.feed(inputs.Signalled(Party.CALLEE, "tab", "answer", 1, b"answer"))
    assert not host.pass_on(Party.CALLER, "phone", 1, b"the call is another now")
    host.feed(inputs.Signalled(Party.CALLER, "phone", "candidates", 1, b"asked"))
    notes.effects.clear()
    time.now_ms += LIMITS.connect_ms
    assert not host.pass_on(Party.CALLER, "phone", 1, b"its time was up")
    assert host.call.reason is Reason.CONNECT_FAILED
    assert [effect for effect in notes.effects if isinstance(effect, Relay)] == []


def test_a_node_that_is_not_sure_passes_nothing_on(host: Host, notes: Notes) -> None:
    offered(host)
    notes.sure = False
    notes.effects.clear()
    with pytest.raises(Refused) as refused:
        host.pass_on(Party.CALLER, "phone", 1, b"who knows")
    assert refused.value.code is Code.UNAVAILABLE
    assert notes.effects == []


def test_nothing_overtakes_what_is_worked_off(host: Host, notes: Notes) -> None:
    offered(host)
    passed: list[bool] = []
    notes.on = lambda host, _: passed.append(host.pass_on(Party.CALLER, "phone", 1, b"third"))
    host.feed(inputs.Signalled(Party.CALLER, "phone", "candidates", 1, b"second"))
    assert passed == [False]
