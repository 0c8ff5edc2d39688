"""Opening, deadlines, sockets and signals; the transitions are in `test_call_table.py`."""

import pytest
from msgspec.structs import replace

from signalling.codes import Code, Party, Reason, Refused, State
from signalling.core import inputs
from signalling.core.call import deadline, open_call, step
from signalling.core.effects import Relay
from signalling.events import CallIncoming
from tests.signalling.core.calling import (
    ALICE,
    BOB,
    CALL,
    DESK,
    LIMITS,
    LIVE,
    NOW,
    PHONE,
    PRICE,
    TABLET,
    events,
    feed,
    in_state,
    opened,
    quick,
    talking,
)

CALLER, CALLEE = Party.CALLER, Party.CALLEE


def offer(gen: int, data: bytes = b'{"kind":"offer"}') -> inputs.Signalled:
    return inputs.Signalled(CALLER, PHONE, "offer", gen, data)


def candidates(gen: int, data: bytes = b'{"kind":"candidates"}') -> inputs.Signalled:
    return inputs.Signalled(CALLER, PHONE, "candidates", gen, data)


def test_a_new_call_carries_its_terms() -> None:
    call, effects = open_call(
        call_id=CALL,
        kind="video",
        connect_on="media",
        caller=ALICE,
        callee=BOB,
        device=PHONE,
        has_socket=True,
        tariff=PRICE,
        held_minor=120,
        available_minor=30,
        limits=LIMITS,
        note="about the boiler",
        created_ms=NOW - 7,
        now_ms=NOW,
    )
    assert (call.meter.cover_minor, call.meter.available_minor) == (120, 30)
    assert (call.created_ms, call.expires_ms) == (NOW - 7, NOW + LIMITS.reach_ms)
    (incoming,) = events(effects)
    assert isinstance(incoming, CallIncoming)
    assert (incoming.call.kind, incoming.call.note, incoming.call.rev) == (
        "video",
        "about the boiler",
        1,
    )
    assert incoming.caller == ALICE


@pytest.mark.parametrize("state", LIVE)
def test_every_live_call_has_a_deadline(state: State) -> None:
    due_ms = deadline(in_state(state))
    assert due_ms is not None
    assert due_ms > NOW


@pytest.mark.parametrize("state", LIVE)
def test_without_any_input_every_call_ends_by_its_own_timers(state: State) -> None:
    call = in_state(state)
    for _ in range(1_000):
        due_ms = deadline(call)
        if due_ms is None or call.state is State.ENDED:
            break
        call = feed(call, inputs.TimerFired(), now_ms=due_ms)
    assert call.state is State.ENDED


def test_of_two_deadlines_that_have_passed_the_earlier_counts() -> None:
    call = feed(opened()[0], inputs.SocketLost(CALLER, PHONE), now_ms=NOW + 1_000)
    ended = feed(call, inputs.TimerFired(), now_ms=NOW + 99_000)
    assert ended.reason is Reason.CANCELLED
    late = feed(opened()[0], inputs.SocketLost(CALLER, PHONE), now_ms=NOW + 10_000)
    ended = feed(late, inputs.TimerFired(), now_ms=NOW + 99_000)
    assert (ended.reason, ended.ended_ms) == (Reason.UNREACHABLE, NOW + LIMITS.reach_ms)


def test_a_socket_that_comes_and_goes_before_the_answer_changes_one_timer_only() -> None:
    call = opened()[0]
    gone = feed(call, inputs.SocketLost(CALLER, PHONE))
    assert feed(gone, inputs.SocketBack(CALLER, PHONE)) == call
    answered = feed(gone, inputs.Accepted(DESK), now_ms=NOW + 1_000)
    assert answered.caller_gone_ms is None


def test_signals_between_the_legs_are_relayed_as_they_came() -> None:
    call = in_state(State.ACCEPTED)
    call, effects = step(call, offer(1), NOW)
    assert effects == [Relay(CALLEE, DESK, b'{"kind":"offer"}')]
    answer = inputs.Signalled(CALLEE, DESK, "answer", 1, b'{"kind":"answer"}')
    call, effects = step(call, answer, NOW)
    assert effects == [Relay(CALLER, PHONE, b'{"kind":"answer"}')]
    again, effects = step(call, answer, NOW)
    assert again is call
    assert effects == []


def test_early_signals_wait_for_the_winner_in_order() -> None:
    call, effects = step(opened()[0], offer(1, b"first"), NOW)
    assert effects == []
    call = feed(call, candidates(1, b"second"), offer(2, b"third"), candidates(2, b"fourth"))
    call, effects = step(call, inputs.Accepted(DESK), NOW)
    relayed = [effect.data for effect in effects if isinstance(effect, Relay)]
    # The newer offer cleared what belonged to the older one.
    assert relayed == [b"third", b"fourth"]
    assert (call.talk.early, call.talk.early_bytes) == ((), 0)


def test_a_caller_may_not_send_more_than_can_wait() -> None:
    call = feed(opened(limits=quick(buffered_signals_max=2))[0], offer(1), candidates(1))
    with pytest.raises(Refused) as caught:
        step(call, candidates(1), NOW)
    assert caught.value.code is Code.TOO_LARGE
    call = feed(opened(limits=quick(buffered_bytes_max=20))[0], offer(1))
    with pytest.raises(Refused) as caught:
        step(call, candidates(1), NOW)
    assert caught.value.code is Code.TOO_LARGE


def test_after_a_take_over_signals_go_to_the_new_leg() -> None:
    call = feed(talking(), inputs.SocketLost(CALLER, PHONE), inputs.Took(CALLER, TABLET))
    with pytest.raises(Refused) as caught:
        step(call, offer(1), NOW)
    assert caught.value.code is Code.NOT_YOUR_LEG
    mine = replace(offer(1), device=TABLET)
    assert step(call, mine, NOW)[1] == [Relay(CALLEE, DESK, mine.data)]


def test_an_answer_from_elsewhere_is_refused_by_name() -> None:
    call = in_state(State.ACCEPTED)
    assert step(call, inputs.Accepted(DESK), NOW) == (call, [])
    with pytest.raises(Refused) as caught:
        step(call, inputs.Accepted("watch"), NOW)
    assert caught.value.code is Code.ANSWERED_ELSEWHERE


def test_a_caller_who_went_while_the_money_was_set_aside_is_waited_for() -> None:
    call, _ = open_call(
        call_id=CALL,
        kind="audio",
        connect_on="media",
        caller=ALICE,
        callee=BOB,
        device=PHONE,
        has_socket=True,
        here=False,
        tariff=PRICE,
        held_minor=120,
        available_minor=0,
        limits=LIMITS,
        note=None,
        created_ms=NOW,
        now_ms=NOW,
    )
    assert deadline(call) == NOW + LIMITS.caller_gone_ms
    back = feed(call, inputs.SocketBack(CALLER, PHONE))
    assert deadline(back) == NOW + LIMITS.reach_ms
