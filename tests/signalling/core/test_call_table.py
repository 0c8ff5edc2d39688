"""The transitions of the protocol, row by row."""

import pytest

from signalling.codes import By, Party, Reason, State
from signalling.core import inputs
from signalling.core.call import deadline, step
from signalling.core.effects import Closed, Note, Relay, Tell, WakeCallee
from signalling.core.model import Call
from signalling.events import (
    CallAccepted,
    CallConnected,
    CallEnded,
    CallIncoming,
    CallReconnecting,
    CallRejected,
    CallRinging,
    PeerQuality,
)
from tests.signalling.core.calling import (
    DESK,
    LIMITS,
    LIVE,
    NOW,
    PHONE,
    charge_of,
    connected,
    events,
    feed,
    in_state,
    opened,
    quick,
    settle_of,
    settled,
    talking,
)

BEFORE_ANSWER = (State.REQUESTED, State.RINGING)
AFTER_ANSWER = (State.ACCEPTED, State.CONNECTED, State.RECONNECTING)


def assert_ended(call: Call, reason: Reason, by: By, at_ms: int = NOW) -> None:
    assert (call.state, call.reason, call.by) == (State.ENDED, reason, by)
    assert call.ended_ms == at_ms


def test_row_1_a_new_call_rings_the_callee_and_waits_to_reach_somebody() -> None:
    call, effects = opened()
    assert (call.state, call.rev) == (State.REQUESTED, 1)
    assert deadline(call) == NOW + LIMITS.reach_ms
    (incoming,) = events(effects, Party.CALLEE)
    assert isinstance(incoming, CallIncoming)
    assert incoming.call.you == "ringing"
    assert incoming.expires_at == NOW + LIMITS.reach_ms
    assert events(effects, Party.CALLER) == []
    assert isinstance(effects[-1], WakeCallee)


def test_a_callee_who_cannot_be_woken_is_not() -> None:
    _, effects = opened(wakeable=False)
    assert not any(isinstance(each, WakeCallee) for each in effects)
    assert len(events(effects, Party.CALLEE)) == 1


@pytest.mark.parametrize("state", BEFORE_ANSWER)
def test_row_1c_a_glare_is_an_answer_by_the_first_callee(state: State) -> None:
    call = feed(in_state(state), inputs.Accepted(DESK, True, True))
    assert call.state is State.ACCEPTED
    assert call.caller.device == PHONE
    assert call.callee.video


def test_row_2_the_first_ring_starts_the_ringing_time() -> None:
    call, effects = step(in_state(State.REQUESTED), inputs.Rang(DESK), NOW + 5)
    assert (call.state, call.ringing_ms) == (State.RINGING, NOW + 5)
    assert deadline(call) == NOW + 5 + LIMITS.ring_ms
    ringing = CallRinging(device=DESK, expires_at=NOW + 5 + LIMITS.ring_ms)
    assert events(effects) == [ringing, ringing]


def test_row_3_nobody_rings_in_time() -> None:
    call, _ = step(in_state(State.REQUESTED), inputs.TimerFired(), NOW + LIMITS.reach_ms)
    assert_ended(call, Reason.UNREACHABLE, By.SERVER, NOW + LIMITS.reach_ms)


def test_row_4_nobody_answers_in_time() -> None:
    call, _ = step(in_state(State.RINGING), inputs.TimerFired(), NOW + LIMITS.ring_ms)
    assert_ended(call, Reason.NO_ANSWER, By.SERVER, NOW + LIMITS.ring_ms)


@pytest.mark.parametrize("state", BEFORE_ANSWER)
def test_row_5_the_first_answer_wins_and_gets_the_early_signals(state: State) -> None:
    offer = inputs.Signalled(Party.CALLER, PHONE, "offer", 1, b'{"kind":"offer"}')
    call = feed(in_state(state), offer)
    call, effects = step(call, inputs.Accepted(DESK), NOW + 9)
    assert (call.state, call.accepted_ms) == (State.ACCEPTED, NOW + 9)
    assert deadline(call) == NOW + 9 + LIMITS.connect_ms
    told = [effect for effect in effects if isinstance(effect, Tell)]
    assert [(tell.party, tell.only, tell.but) for tell in told] == [
        (Party.CALLER, PHONE, None),
        (Party.CALLER, None, PHONE),
        (Party.CALLEE, DESK, None),
        (Party.CALLEE, None, DESK),
    ]
    asker, beside = (tell.event for tell in told if tell.party is Party.CALLER)
    assert isinstance(asker, CallAccepted)
    assert isinstance(beside, CallAccepted)
    assert (asker.elsewhere, beside.elsewhere) == (False, True)
    winner, loser = (tell.event for tell in told if tell.party is Party.CALLEE)
    assert isinstance(winner, CallAccepted)
    assert isinstance(loser, CallAccepted)
    assert (winner.elsewhere, winner.polite, winner.device) == (False, True, DESK)
    assert loser.elsewhere
    assert Relay(Party.CALLEE, DESK, offer.data) in effects
    assert any(isinstance(effect, Note) for effect in effects)


@pytest.mark.parametrize("state", BEFORE_ANSWER)
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (inputs.Rejected("declined", None), Reason.DECLINED),
        (inputs.Rejected("busy", None), Reason.BUSY),
        (inputs.Rejected("away", "back at six"), Reason.UNAVAILABLE),
        (inputs.HungUp(Party.CALLEE), Reason.DECLINED),
    ],
)
def test_row_6_the_callee_refuses_for_all_devices(
    state: State, given: inputs.Input, reason: Reason
) -> None:
    call, effects = step(in_state(state), given, NOW)
    assert_ended(call, reason, By.CALLEE)
    call, effects = step(call, settled(settle_of(effects)), NOW + 1)
    told = [effect for effect in effects if isinstance(effect, Tell)]
    assert {type(tell.event) for tell in told} == {CallRejected}
    assert [tell.party for tell in told if tell.only is None and tell.but is None] == [Party.CALLEE]
    assert isinstance(effects[-1], Closed)


@pytest.mark.parametrize("state", BEFORE_ANSWER)
def test_row_7_the_caller_cancels(state: State) -> None:
    call, _ = step(in_state(state), inputs.HungUp(Party.CALLER), NOW + 3)
    assert_ended(call, Reason.CANCELLED, By.CALLER, NOW + 3)


@pytest.mark.parametrize("state", BEFORE_ANSWER)
def test_row_7_a_caller_who_is_gone_too_long_has_cancelled(state: State) -> None:
    call = feed(in_state(state), inputs.SocketLost(Party.CALLER, PHONE))
    gone_ms = NOW + LIMITS.caller_gone_ms
    assert deadline(call) == gone_ms
    back = feed(call, inputs.SocketBack(Party.CALLER, PHONE))
    assert back.caller_gone_ms is None
    # A timer that fires late finds the moment at which it was due.
    ended, _ = step(call, inputs.TimerFired(), gone_ms + 60_000)
    assert_ended(ended, Reason.CANCELLED, By.CALLER, gone_ms)
    assert deadline(ended) == gone_ms + 60_000 + LIMITS.settle_wait_ms


@pytest.mark.parametrize("first", list(Party))
def test_row_8_the_second_report_of_media_connects(first: Party) -> None:
    call = feed(in_state(State.ACCEPTED), connected(first))
    assert call.state is State.ACCEPTED
    call, effects = step(call, connected(first.other), NOW + 40)
    assert (call.state, call.connected_ms) == (State.CONNECTED, NOW + 40)
    assert call.expires_ms == NOW + 40 + LIMITS.duration_max_ms
    charge = charge_of(effects)
    assert (charge.target_minor, charge.cover_minor, charge.billable_ms) == (120, 240, 1)
    assert (charge.connected_ms, charge.running, charge.state) == (NOW + 40, True, State.CONNECTED)
    assert [type(event) for event in events(effects)] == [CallConnected, CallConnected]


@pytest.mark.parametrize("device", [DESK, None])
def test_row_8_an_answer_connects_at_once_where_that_was_agreed(device: str | None) -> None:
    call, effects = step(opened(connect_on="answer")[0], inputs.Accepted(device), NOW)
    assert call.state is State.CONNECTED
    kinds = [type(event) for event in events(effects, Party.CALLER)]
    assert kinds == [CallAccepted, CallAccepted, CallConnected]
    assert charge_of(effects).target_minor == 120


def test_row_9_media_does_not_come_in_time() -> None:
    call = feed(in_state(State.ACCEPTED), connected(Party.CALLEE))
    call, effects = step(call, inputs.TimerFired(), NOW + LIMITS.connect_ms)
    assert_ended(call, Reason.CONNECT_FAILED, By.SERVER, NOW + LIMITS.connect_ms)
    assert (settle_of(effects).target_minor, settle_of(effects).billable_ms) == (0, 0)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (inputs.SocketLost(Party.CALLEE, DESK), "socket"),
        (inputs.MediaLost(Party.CALLEE, DESK, "ice"), "ice"),
        (inputs.MediaLost(Party.CALLEE, DESK, "app"), "app"),
    ],
)
def test_row_10_a_leg_is_missing(given: inputs.Input, why: str) -> None:
    call, effects = step(talking(), given, NOW + 9_000)
    assert (call.state, call.down) == (State.RECONNECTING, frozenset({Party.CALLEE}))
    expires_ms = NOW + 9_000 + LIMITS.grace_ms
    assert deadline(call) == expires_ms
    told = CallReconnecting(leg=Party.CALLEE, why=why, expires_at=expires_ms)
    assert events(effects) == [told, told, PeerQuality(leg=Party.CALLEE, quality="lost")]
    assert not charge_of(effects).running
    assert call.meter.since_ms is None


def test_row_10_evidence_of_both_legs_lapses_at_one_moment() -> None:
    call = talking()
    assert deadline(call) == NOW + LIMITS.evidence_ms
    call, effects = step(call, inputs.TimerFired(), NOW + LIMITS.evidence_ms)
    assert (call.state, call.down) == (State.RECONNECTING, frozenset(Party))
    revs = [effect.rev for effect in effects if isinstance(effect, Tell)]
    lost = None  # what each leg hears of the other's quality is no state of the call
    assert revs == [call.rev - 1, call.rev - 1, lost, call.rev, call.rev, lost]
    # The pause began at the last proof, but the started minute is sold.
    assert charge_of(effects).billable_ms == 1


def test_row_11_the_call_goes_on_when_every_missing_leg_reports() -> None:
    call = feed(talking(), inputs.MediaLost(Party.CALLER, PHONE, "ice"), now_ms=NOW + 9_000)
    call = feed(call, inputs.SocketLost(Party.CALLEE, DESK), now_ms=NOW + 9_500)
    assert call.down == frozenset(Party)
    call = feed(call, connected(Party.CALLER), now_ms=NOW + 10_000)
    assert call.state is State.RECONNECTING
    call = feed(call, inputs.SocketBack(Party.CALLEE, DESK), now_ms=NOW + 10_100)
    assert call.state is State.RECONNECTING
    call, effects = step(call, connected(Party.CALLEE), NOW + 12_000)
    assert (call.state, call.down, call.down_since_ms) == (State.CONNECTED, frozenset(), None)
    told = [event for event in events(effects) if isinstance(event, CallConnected)]
    assert [event.resumed for event in told] == [True, True]
    assert charge_of(effects).running


def test_row_12_the_grace_is_over() -> None:
    call = feed(talking(), inputs.SocketLost(Party.CALLER, PHONE), now_ms=NOW + 9_000)
    call, effects = step(call, inputs.TimerFired(), NOW + 9_000 + LIMITS.grace_ms)
    assert_ended(call, Reason.CONNECTION_LOST, By.SERVER, NOW + 9_000 + LIMITS.grace_ms)
    assert settle_of(effects).target_minor == 120


@pytest.mark.parametrize("state", AFTER_ANSWER)
@pytest.mark.parametrize("party", list(Party))
def test_row_13_either_hangs_up(state: State, party: Party) -> None:
    call, _ = step(in_state(state), inputs.HungUp(party), NOW)
    assert_ended(call, Reason.HANGUP, By(party.value))


def test_row_14_the_money_ends_exactly_at_the_boundary() -> None:
    call = talking(available=0, connect_on="answer")
    assert call.meter.cover_minor == 120
    call, effects = step(call, inputs.TimerFired(), NOW + 60_000)
    assert_ended(call, Reason.BALANCE_EXHAUSTED, By.SERVER, NOW + 60_000)
    assert (settle_of(effects).target_minor, settle_of(effects).billable_ms) == (120, 60_000)


@pytest.mark.parametrize("state", LIVE)
@pytest.mark.parametrize(
    ("by", "reason"), [(By.ADMIN, Reason.ADMIN), (By.SERVER, Reason.SERVER_ERROR)]
)
def test_row_15_the_operator_or_a_fault_ends_any_live_call(
    state: State, by: By, reason: Reason
) -> None:
    given = inputs.Stopped(By.ADMIN) if by is By.ADMIN else inputs.Stopped(By.SERVER)
    call, _ = step(in_state(state), given, NOW)
    assert_ended(call, reason, by)


def test_row_15_the_longest_duration() -> None:
    limits = quick(duration_max_ms=50_000)
    call = talking(connect_on="answer", limits=limits)
    call, _ = step(call, inputs.TimerFired(), NOW + 50_000)
    assert_ended(call, Reason.MAX_DURATION, By.SERVER, NOW + 50_000)


def test_row_15_the_longest_duration_counts_while_reconnecting_too() -> None:
    limits = quick(duration_max_ms=50_000)
    call = talking(connect_on="answer", limits=limits)
    call = feed(call, inputs.SocketLost(Party.CALLER, PHONE), now_ms=NOW + 40_000)
    call, effects = step(call, inputs.TimerFired(), NOW + 50_000)
    assert_ended(call, Reason.MAX_DURATION, By.SERVER, NOW + 50_000)
    assert settle_of(effects).billable_ms == 40_000


def test_row_16_the_end_is_told_once_with_the_ledgers_figures() -> None:
    call, effects = step(talking(), inputs.HungUp(Party.CALLER), NOW + 20_000)
    answer = settled(settle_of(effects), available=9_880)
    call, effects = step(call, answer, NOW + 20_010)
    ends = [event for event in events(effects) if isinstance(event, CallEnded)]
    assert [end.elsewhere for end in ends] == [False, True, False, True]
    assert (ends[0].final.total, ends[0].final.units, ends[0].final.settled) == (120, 1, True)
    assert deadline(call) is None
    again, effects = step(call, answer, NOW + 30_000)
    assert again is call
    assert effects == [Closed()]


def test_row_16_if_the_books_stay_open_the_end_is_told_all_the_same() -> None:
    call, effects = step(talking(), inputs.HungUp(Party.CALLER), NOW + 20_000)
    answer = settled(settle_of(effects))
    due_ms = deadline(call)
    assert due_ms == NOW + 20_000 + LIMITS.settle_wait_ms
    call, effects = step(call, inputs.TimerFired(), due_ms)
    ends = [event for event in events(effects) if isinstance(event, CallEnded)]
    assert [end.final.settled for end in ends] == [False] * 4
    assert deadline(call) is None
    call, effects = step(call, answer, NOW + 90_000)
    assert not any(isinstance(event, CallEnded) for event in events(effects))
    assert isinstance(effects[-1], Closed)
    assert call.final is not None
    assert call.final.settled
