"""Legs whose node goes away: they come back on another one, and media may flow meanwhile."""

import pytest

from signalling.codes import Party, State
from signalling.core import inputs
from signalling.core.call import deadline, step
from signalling.core.meter import talked_ms
from tests.signalling.core.calling import (
    DESK,
    LEG,
    LIMITS,
    NOW,
    PHONE,
    TABLET,
    connected,
    feed,
    in_state,
    stats,
    talking,
)

MOVING = inputs.SocketMoving(Party.CALLER, PHONE)


@pytest.mark.parametrize("party", list(Party))
def test_a_connected_call_goes_on_while_a_leg_moves(party: Party) -> None:
    call, effects = step(talking(), inputs.SocketMoving(party, LEG[party]), NOW)
    assert (call.state, effects) == (State.CONNECTED, [])
    assert not (call.caller if party is Party.CALLER else call.callee).here
    call = feed(call, inputs.SocketBack(party, LEG[party]), now_ms=NOW + 3_000)
    assert (call.caller.here, call.callee.here) == (True, True)
    assert talked_ms(call.meter, NOW + 10_000) == 10_000, "without a pause"


def test_evidence_says_whether_it_really_goes_on() -> None:
    call = feed(talking(), MOVING)
    assert deadline(call) == NOW + LIMITS.evidence_ms
    call = feed(call, stats(Party.CALLEE, 5_000), now_ms=NOW + 10_000)
    call = feed(call, inputs.TimerFired(), now_ms=NOW + LIMITS.evidence_ms)
    assert (call.state, call.down, call.why) == (
        State.RECONNECTING,
        frozenset({Party.CALLER}),
        "silent",
    )


def test_where_nobody_asks_for_evidence_a_moved_leg_is_a_lost_one() -> None:
    call = feed(talking(connect_on="answer"), MOVING)
    assert (call.state, call.why) == (State.RECONNECTING, "socket")
    call = feed(call, inputs.SocketBack(Party.CALLER, PHONE), now_ms=NOW + 1_000)
    assert call.state is State.CONNECTED


@pytest.mark.parametrize("state", [State.REQUESTED, State.RINGING])
def test_before_the_answer_a_caller_who_moves_is_waited_for(state: State) -> None:
    call = feed(in_state(state), MOVING)
    assert call.caller_gone_ms == NOW + LIMITS.caller_gone_ms
    assert feed(call, inputs.SocketBack(Party.CALLER, PHONE)).caller_gone_ms is None


def test_who_is_missed_already_is_so_still() -> None:
    call = in_state(State.RECONNECTING)
    assert feed(call, MOVING) == call


@pytest.mark.parametrize(
    "moving",
    [inputs.SocketMoving(Party.CALLER, TABLET), inputs.SocketMoving(Party.CALLEE, PHONE)],
)
def test_devices_that_are_no_leg_may_move(moving: inputs.SocketMoving) -> None:
    assert step(talking(), moving, NOW) == (talking(), [])


def test_a_moved_leg_that_moves_again_changes_nothing() -> None:
    call = feed(talking(), MOVING)
    assert step(call, MOVING, NOW) == (call, [])
    assert feed(call, connected(Party.CALLEE)).state is State.CONNECTED
    assert call.callee.device == DESK
