"""Rules of the answered call that the table does not have: taking over, budgets, charges, ticks."""

from msgspec.structs import replace

from signalling.codes import Party, Reason, State
from signalling.core import inputs
from signalling.core import talking as core
from signalling.core.call import deadline, step
from signalling.core.effects import Charge, NoteLegs, PushIce, Relay, Tell
from signalling.core.tariff import minute
from signalling.events import BalanceLow, CallConnected, CallTaken, CallTick
from tests.signalling.core.calling import (
    DESK,
    LIMITS,
    NOW,
    PHONE,
    TABLET,
    charge_of,
    connected,
    events,
    feed,
    opened,
    posted,
    quick,
    settle_of,
    stats,
    talking,
)

CALLER, CALLEE = Party.CALLER, Party.CALLEE


# -- connecting on an answer


def test_an_answer_does_not_connect_while_the_callers_socket_is_missing() -> None:
    call = feed(opened(connect_on="answer")[0], inputs.SocketLost(CALLER, PHONE))
    call, effects = step(call, inputs.Accepted(DESK), NOW + 1_000)
    assert call.state is State.ACCEPTED
    assert not any(isinstance(effect, Charge) for effect in effects)
    back, effects = step(call, inputs.SocketBack(CALLER, PHONE), NOW + 2_000)
    assert (back.state, back.connected_ms) == (State.CONNECTED, NOW + 2_000)
    gone, _ = step(call, inputs.TimerFired(), NOW + 1_000 + LIMITS.connect_ms)
    assert gone.reason is Reason.CONNECT_FAILED


def test_a_report_of_media_does_not_connect_an_answer_whose_other_leg_is_missing() -> None:
    call = feed(opened(connect_on="answer")[0], inputs.SocketLost(CALLER, PHONE))
    call = feed(call, inputs.Accepted(DESK), connected(CALLEE), inputs.SocketLost(CALLEE, DESK))
    call = feed(call, inputs.SocketBack(CALLER, PHONE), connected(CALLER))
    assert call.state is State.ACCEPTED
    assert feed(call, inputs.SocketBack(CALLEE, DESK)).state is State.CONNECTED


def test_a_caller_without_a_socket_is_not_waited_for() -> None:
    call, _ = opened(connect_on="answer", has_socket=False)
    assert feed(call, inputs.Accepted(DESK)).state is State.CONNECTED


def test_a_socket_is_enough_to_resume_where_the_answer_connected() -> None:
    call = feed(talking(connect_on="answer"), inputs.SocketLost(CALLER, PHONE))
    assert call.state is State.RECONNECTING
    assert feed(call, inputs.SocketBack(CALLER, PHONE)).state is State.CONNECTED
    taken, effects = step(call, inputs.Took(CALLER, TABLET), NOW + 5_000)
    assert taken.state is State.CONNECTED
    assert {type(event) for event in events(effects)} == {CallTaken, CallConnected}


# -- taking over


def test_another_device_takes_a_missing_leg() -> None:
    call = feed(talking(), inputs.SocketLost(CALLER, PHONE))
    call, effects = step(call, inputs.Took(CALLER, TABLET), NOW + 5_000)
    assert (call.caller.device, call.caller.here, call.caller.media) == (TABLET, True, False)
    assert events(effects) == [CallTaken(leg=CALLER, device=TABLET)] * 2
    assert NoteLegs(caller=TABLET, callee=DESK) in effects
    # The older device is not the leg any more, whatever it says.
    assert step(call, inputs.SocketBack(CALLER, PHONE), NOW + 6_000)[0] is call
    call = feed(call, inputs.MediaConnected(CALLER, TABLET), now_ms=NOW + 7_000)
    assert call.state is State.CONNECTED


def test_a_leg_that_was_answered_without_a_socket_can_be_taken_with_its_early_signals() -> None:
    call, _ = opened()
    offer = inputs.Signalled(CALLER, PHONE, "offer", 1, b'{"gen":1}')
    call, effects = step(feed(call, offer), inputs.Accepted(None), NOW)
    assert not any(isinstance(effect, Relay) for effect in effects)
    later = inputs.Signalled(CALLER, PHONE, "end", 1, b'{"kind":"end"}')
    call, effects = step(feed(call, later), inputs.Took(CALLEE, DESK), NOW + 1_000)
    relayed = [effect for effect in effects if isinstance(effect, Relay)]
    assert relayed == [Relay(CALLEE, DESK, offer.data), Relay(CALLEE, DESK, later.data)]


def test_what_is_for_a_leg_is_not_told_to_devices_when_there_is_no_leg() -> None:
    call = feed(opened()[0], inputs.Accepted(None))
    state = inputs.MediaState(CALLER, PHONE, True, True, False)
    assert step(call, state, NOW)[1] == []
    assert step(call, inputs.MediaStats(CALLER, PHONE, 9, 900.0, 0.5, 1.0), NOW)[1] == []


# -- interruptions


def test_the_budget_of_reconnecting_is_bounded() -> None:
    limits = quick(grace_ms=30_000, grace_budget_ms=50_000)
    call = talking(connect_on="answer", limits=limits)
    call = feed(call, inputs.SocketLost(CALLER, PHONE), now_ms=NOW + 10_000)
    assert deadline(call) == NOW + 40_000
    call = feed(call, inputs.SocketBack(CALLER, PHONE), now_ms=NOW + 39_000)
    call = feed(call, inputs.SocketLost(CALLER, PHONE), now_ms=NOW + 40_000)
    assert deadline(call) == NOW + 61_000  # 21 s of the budget are left
    call = feed(call, inputs.SocketBack(CALLER, PHONE), now_ms=NOW + 60_999)
    call = feed(call, inputs.SocketLost(CALLER, PHONE), now_ms=NOW + 61_500)
    assert deadline(call) == NOW + 61_501
    call = feed(call, inputs.TimerFired(), now_ms=NOW + 61_501)
    assert (call.state, call.reason) == (State.ENDED, Reason.CONNECTION_LOST)


def test_what_was_used_of_the_budget_is_forgotten_after_a_while() -> None:
    limits = quick(grace_ms=30_000, grace_budget_ms=30_000, grace_window_ms=100_000)
    call = talking(connect_on="answer", limits=limits)
    call = feed(call, inputs.SocketLost(CALLER, PHONE), now_ms=NOW)
    call = feed(call, inputs.SocketBack(CALLER, PHONE), now_ms=NOW + 29_000)
    # 9 s of that break are older than the window.
    call = feed(call, inputs.SocketLost(CALLER, PHONE), now_ms=NOW + 109_000)
    assert deadline(call) == NOW + 119_000


def test_a_budget_that_is_used_up_ends_the_call_at_once() -> None:
    limits = quick(grace_budget_ms=10_000)
    call = replace(
        talking(connect_on="answer", limits=limits), breaks=((NOW - 9_000, NOW + 1_000),)
    )
    call, effects = step(call, inputs.SocketLost(CALLER, PHONE), NOW + 2_000)
    assert (call.state, call.reason) == (State.ENDED, Reason.CONNECTION_LOST)
    assert settle_of(effects).billable_ms == 2_000


def test_a_late_timer_pauses_at_the_proof_before_it_cuts_at_the_money() -> None:
    call = talking(available=0)  # covered for a minute, proved at its beginning
    call, effects = step(call, inputs.TimerFired(), NOW + 70_000)
    assert call.state is State.RECONNECTING
    assert charge_of(effects).billable_ms == 1
    assert deadline(call) == NOW + 70_000 + LIMITS.grace_ms


def test_a_late_timer_pauses_at_the_proof_before_the_longest_duration() -> None:
    call = talking(limits=quick(duration_max_ms=50_000))
    call = feed(call, inputs.TimerFired(), now_ms=NOW + 60_000)
    call, effects = step(call, inputs.TimerFired(), NOW + 60_000)
    assert call.reason is Reason.MAX_DURATION
    assert settle_of(effects).billable_ms == 1


def test_silence_is_over_when_bytes_flow_again() -> None:
    call = feed(talking(), inputs.TimerFired(), now_ms=NOW + LIMITS.evidence_ms)
    call = feed(call, stats(CALLER, 50), now_ms=NOW + 26_000)
    assert call.down == frozenset({CALLEE})
    assert feed(call, stats(CALLEE, 50), now_ms=NOW + 27_000).state is State.CONNECTED


# -- money


def test_bytes_alone_do_not_end_an_interruption_that_a_leg_has_reported() -> None:
    late = NOW + LIMITS.evidence_ms
    call = feed(talking(), stats(CALLEE, 1_000), now_ms=NOW + 5_000)
    call = feed(call, inputs.TimerFired(), now_ms=late)
    assert (call.down, call.why) == (frozenset({CALLER}), "silent")
    call = feed(call, inputs.MediaLost(CALLEE, DESK, "ice"), now_ms=late + 1)
    call = feed(call, stats(CALLER, 5_000), stats(CALLEE, 5_000), now_ms=late + 2)
    assert call.down == frozenset(Party)


def test_a_pause_does_not_ask_for_less_than_a_posting_on_its_way() -> None:
    call = talking(connect_on="answer")
    call, effects = step(call, inputs.TimerFired(), NOW + 60_001)
    assert charge_of(effects).cover_minor == 360
    call, effects = step(call, inputs.SocketLost(CALLER, PHONE), NOW + 61_000)
    assert charge_of(effects).cover_minor == 360
    assert not charge_of(effects).running


def test_each_posted_slice_is_told_once_and_only_the_payer_sees_the_balance() -> None:
    call = talking(connect_on="answer", available=500)
    call, effects = step(call, inputs.TimerFired(), NOW + 60_001)
    answer = posted(call, effects)
    call, effects = step(call, answer, NOW + 60_005)
    caller, callee = events(effects)
    assert isinstance(caller, CallTick)
    assert (caller.unit, caller.charged, caller.total) == (2, 120, 240)
    assert (caller.billed_seconds, caller.balance) == (120, 380)
    assert caller.funded_until == NOW + 180_000
    assert caller == replace(callee, balance=380)
    assert step(call, answer, NOW + 60_006)[1] == []


def test_money_that_comes_in_time_extends_the_call_and_takes_the_warning_back() -> None:
    call = talking(connect_on="answer", available=0)
    call, effects = step(call, inputs.TimerFired(), NOW + 10)
    (low, _) = events(effects)
    assert low == BalanceLow(seconds_left=59, ends_at=NOW + 60_000, withdrawn=False)
    call, effects = step(call, inputs.Funded(), NOW + 30_000)
    answer = posted(call, effects, wallet=1_320)
    call = feed(call, answer, now_ms=NOW + 30_005)
    due_ms = deadline(call)
    assert due_ms is not None
    assert due_ms <= NOW + 30_005
    call, effects = step(call, inputs.TimerFired(), NOW + 30_005)
    assert [event.withdrawn for event in events(effects) if isinstance(event, BalanceLow)] == [
        True,
        True,
    ]
    assert feed(call, inputs.TimerFired(), now_ms=NOW + 60_000).state is State.CONNECTED


def test_without_an_answer_of_the_ledger_time_beyond_the_hold_is_not_sold() -> None:
    call, effects = opened(connect_on="answer")
    call = feed(call, inputs.Accepted(DESK))
    call, effects = step(call, inputs.TimerFired(), NOW + 60_000)
    assert call.reason is Reason.SERVER_ERROR
    assert (settle_of(effects).target_minor, settle_of(effects).billable_ms) == (120, 60_000)


def test_a_refused_charge_ends_the_call() -> None:
    call = feed(talking(), inputs.ChargeRefused(), now_ms=NOW + 9)
    assert (call.state, call.reason) == (State.ENDED, Reason.SERVER_ERROR)


def test_a_free_call_ticks_and_is_never_cut() -> None:
    call = talking(connect_on="answer", tariff=minute(0), available=0)
    call, effects = step(call, inputs.TimerFired(), NOW + 60_001)
    assert (charge_of(effects).target_minor, charge_of(effects).cover_minor) == (0, 0)
    assert core.stop_ms(call) is None


# -- TURN credentials


def test_credentials_are_renewed_for_legs_with_sockets() -> None:
    call = talking(connect_on="answer", limits=quick(ice_ttl_ms=10_000))
    call, effects = step(call, inputs.TimerFired(), NOW + 8_000)
    assert effects == [PushIce(CALLER, PHONE), PushIce(CALLEE, DESK)]
    assert call.ice_ms == NOW + 16_000
    rest, _ = opened(connect_on="answer", has_socket=False, limits=quick(ice_ttl_ms=10_000))
    rest = feed(rest, inputs.Accepted(None))
    assert not any(
        isinstance(effect, PushIce) for effect in step(rest, inputs.TimerFired(), NOW + 8_000)[1]
    )


def test_media_state_is_told_to_the_other_leg_only() -> None:
    given = inputs.MediaState(CALLEE, DESK, False, False, False)
    _, effects = step(talking(), given, NOW)
    (tell,) = effects
    assert isinstance(tell, Tell)
    assert (tell.party, tell.only, tell.rev) == (CALLER, PHONE, None)


def test_a_leg_that_loses_media_before_the_other_has_any_is_not_connected() -> None:
    call = feed(opened()[0], inputs.Accepted(DESK), connected(CALLER))
    call = feed(call, inputs.MediaLost(CALLER, PHONE, "ice"), connected(CALLEE))
    assert call.state is State.ACCEPTED
    assert feed(call, connected(CALLER)).state is State.CONNECTED
