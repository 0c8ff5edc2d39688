"""What the operator's media server tells of the media, in every state of a call."""

from typing import Literal

import pytest

from signalling.codes import By, Code, Party, Reason, Refused, State
from signalling.core import inputs
from signalling.core.call import deadline, step
from signalling.core.effects import Charge
from signalling.core.model import Call
from signalling.events import CallConnected, CallReconnecting
from tests.signalling.core.calling import (
    DESK,
    LIMITS,
    NOW,
    PHONE,
    charge_of,
    connected,
    events,
    feed,
    in_state,
    opened,
    posted,
    quick,
    settle_of,
    stats,
    talking,
)

CONNECTED, RTP, END = (
    inputs.MediaHook("connected"),
    inputs.MediaHook("rtp"),
    inputs.MediaHook("end"),
)
LATER = NOW + 10_000
SILENT = NOW + LIMITS.evidence_ms


def silent() -> Call:
    """Both legs have proved nothing for too long."""
    call = feed(talking(), inputs.TimerFired(), now_ms=SILENT)
    assert (call.state, call.down) == (State.RECONNECTING, frozenset(Party))
    return call


def test_an_answered_call_connects_and_its_first_unit_is_posted() -> None:
    call, effects = step(in_state(State.ACCEPTED), CONNECTED, LATER)
    assert (call.state, call.connected_ms) == (State.CONNECTED, LATER)
    assert charge_of(effects).target_minor == 120
    for party in Party:
        assert [type(event) for event in events(effects, party)] == [CallConnected]


def test_one_leg_reported_and_the_hook_does_the_rest() -> None:
    call = feed(in_state(State.ACCEPTED), connected(Party.CALLER), CONNECTED)
    assert call.state is State.CONNECTED
    assert call.callee.media


def test_a_leg_whose_socket_is_missing_is_waited_for() -> None:
    call = feed(in_state(State.ACCEPTED), inputs.SocketLost(Party.CALLER, PHONE))
    call, effects = step(call, CONNECTED, LATER)
    assert (call.state, effects) == (State.ACCEPTED, [])
    call = feed(call, inputs.SocketBack(Party.CALLER, PHONE), connected(Party.CALLER))
    assert call.state is State.CONNECTED


def test_legs_that_never_had_a_socket_are_connected_by_the_hook_alone() -> None:
    call, _ = opened(has_socket=False)
    call = feed(call, inputs.Accepted(None), CONNECTED)
    assert call.state is State.CONNECTED


@pytest.mark.parametrize("given", [RTP, END])
def test_other_news_do_not_connect_an_answered_call(given: inputs.MediaHook) -> None:
    before = in_state(State.ACCEPTED)
    call, effects = step(before, given, LATER)
    assert (call.state, effects, call.rev) == (State.ACCEPTED, [], before.rev)


def test_the_end_takes_the_reports_of_an_answered_call_back() -> None:
    call = feed(in_state(State.ACCEPTED), connected(Party.CALLER), END, connected(Party.CALLEE))
    assert call.state is State.ACCEPTED
    assert feed(call, connected(Party.CALLER)).state is State.CONNECTED


def test_proof_of_the_hook_is_proof_of_both_legs() -> None:
    call, effects = step(talking(), RTP, LATER)
    assert effects == []
    assert (call.caller.proof_ms, call.callee.proof_ms) == (LATER, LATER)
    late = feed(call, inputs.TimerFired(), now_ms=SILENT)
    assert late.state is State.CONNECTED
    assert feed(call, inputs.TimerFired(), now_ms=LATER + LIMITS.evidence_ms).why == "silent"


def test_connected_said_again_is_proof_too_and_tells_nobody() -> None:
    call, effects = step(talking(), CONNECTED, LATER)
    assert (call.state, effects) == (State.CONNECTED, [])
    assert call.caller.proof_ms == LATER


@pytest.mark.parametrize("given", [RTP, CONNECTED])
def test_a_call_that_only_lacked_proof_goes_on(given: inputs.MediaHook) -> None:
    call, effects = step(silent(), given, SILENT + 500)
    assert (call.state, call.why, call.down) == (State.CONNECTED, "", frozenset())
    (event,) = events(effects, Party.CALLEE)
    assert isinstance(event, CallConnected)
    assert event.resumed
    assert call.meter.since_ms == SILENT + 500


def test_proof_brings_no_lost_media_back_but_the_media_itself_does() -> None:
    call = feed(talking(), inputs.MediaLost(Party.CALLEE, DESK, "ice"))
    assert feed(call, RTP).state is State.RECONNECTING
    assert feed(call, CONNECTED).state is State.CONNECTED


def test_a_call_whose_leg_has_no_socket_goes_on_when_that_is_back() -> None:
    call = feed(in_state(State.RECONNECTING), CONNECTED, now_ms=LATER)
    assert (call.state, call.down) == (State.RECONNECTING, frozenset({Party.CALLER}))
    call = feed(call, inputs.SocketBack(Party.CALLER, PHONE), CONNECTED, now_ms=LATER)
    assert call.state is State.CONNECTED


@pytest.mark.parametrize("connect_on", ["media", "answer"])
def test_without_media_the_meter_stands_until_both_legs_are_back(connect_on: str) -> None:
    call, effects = step(talking(connect_on=connect_on), END, LATER)
    assert (call.state, call.down) == (State.RECONNECTING, frozenset(Party))
    assert call.meter.since_ms is None
    assert [charge.running for charge in effects if isinstance(charge, Charge)] == [False]
    told = [event for event in events(effects, Party.CALLER) if isinstance(event, CallReconnecting)]
    assert [(event.leg, event.why) for event in told] == [
        (Party.CALLER, "hook"),
        (Party.CALLEE, "hook"),
    ]
    call = feed(call, connected(Party.CALLEE), now_ms=LATER + 1)
    assert call.state is State.RECONNECTING
    call = feed(call, connected(Party.CALLER), now_ms=LATER + 2)
    assert (call.state, call.meter.since_ms) == (State.CONNECTED, LATER + 2)


def test_counters_that_still_grow_do_not_bring_the_media_back() -> None:
    for call in (feed(talking(), END), feed(silent(), END, now_ms=SILENT)):
        grown = feed(
            call, stats(Party.CALLER, 9_000), stats(Party.CALLEE, 9_000), RTP, now_ms=SILENT
        )
        assert grown.state is State.RECONNECTING
        assert feed(grown, CONNECTED, now_ms=SILENT).state is State.CONNECTED


def test_the_end_said_twice_is_told_once() -> None:
    call = feed(talking(), END)
    again, effects = step(call, END, NOW + 1)
    assert effects == []
    assert (again.rev, again.expires_ms) == (call.rev, call.expires_ms)


def test_the_end_makes_the_other_leg_missing_too() -> None:
    call, effects = step(in_state(State.RECONNECTING), END, NOW)
    assert call.down == frozenset(Party)
    told = [event.TYPE for event in events(effects, Party.CALLER)]
    assert told.count("call_reconnecting") == 1


def test_time_without_media_is_not_sold() -> None:
    call = feed(talking(), RTP, END, now_ms=LATER)
    call, effects = step(call, CONNECTED, LATER + 20_000)
    call = feed(call, posted(call, effects), now_ms=LATER + 20_000)
    ended, _ = step(call, inputs.HungUp(Party.CALLER), LATER + 25_000)
    assert ended.meter.billable_ms == 15_000


def test_if_nobody_comes_back_the_call_is_lost() -> None:
    call = feed(talking(), END)
    at_ms = NOW + LIMITS.grace_ms
    assert deadline(call) == at_ms
    call = feed(call, inputs.TimerFired(), now_ms=at_ms)
    assert (call.reason, call.by) == (Reason.CONNECTION_LOST, By.SERVER)


def test_a_call_that_has_used_up_its_interruptions_ends_at_once_and_once() -> None:
    call = feed(talking(limits=quick(grace_ms=5_000, grace_budget_ms=5_000)), END)
    call = feed(call, CONNECTED, now_ms=NOW + 5_000)
    assert call.state is State.CONNECTED
    ended, effects = step(call, END, NOW + 5_001)
    assert (ended.state, ended.reason) == (State.ENDED, Reason.CONNECTION_LOST)
    assert settle_of(effects).ended_ms == NOW + 5_001
    assert events(effects) == []


@pytest.mark.parametrize("state", [State.REQUESTED, State.RINGING])
@pytest.mark.parametrize("kind", ["connected", "rtp", "end"])
def test_before_the_answer_there_is_no_media(
    state: State, kind: Literal["connected", "rtp", "end"]
) -> None:
    with pytest.raises(Refused) as refused:
        step(in_state(state), inputs.MediaHook(kind), NOW)
    assert refused.value.code is Code.WRONG_STATE


@pytest.mark.parametrize("kind", ["connected", "rtp", "end"])
def test_after_the_end_hooks_are_ignored(kind: Literal["connected", "rtp", "end"]) -> None:
    call = in_state(State.ENDED)
    assert step(call, inputs.MediaHook(kind), LATER) == (call, [])
