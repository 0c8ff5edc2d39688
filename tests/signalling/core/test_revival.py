"""Calls under a new owner: revived from the books, or taken over with their whole state."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from signalling.codes import Party, State
from signalling.core import inputs, revival
from signalling.core.call import deadline, step
from signalling.core.effects import Charge, Tell, WakeCallee
from signalling.core.meter import Meter, talked_ms
from signalling.core.model import REST, Call, Gap, Leg
from signalling.core.negotiation import Negotiation
from signalling.core.revival import REVS_PER_OWNER, SKEW_MS, Remains, revive
from signalling.events import CallIncoming, CallReconnecting
from tests.signalling.core.calling import (
    ALICE,
    BOB,
    CALL,
    DESK,
    LIMITS,
    NOW,
    PHONE,
    PRICE,
    connected,
    events,
    feed,
    in_state,
    opened,
)

LATER = NOW + 90_000
# Figures that end in `_ms` and are no moments of the node's clock.
DURATIONS = {
    (Meter, "billable_ms"),
    (Meter, "posted_ms"),
    (Meter, "renewed_for_ms"),
    (Meter, "warned_ms"),
}
MOVED = (Call, Leg, Gap, Meter)


def remains(**changes: Any) -> Remains:
    """Connected at NOW, a unit posted, the meter running, the last beat 20 s later."""
    made = Remains(
        claim=1,
        kind="audio",
        connect_on="media",
        note="hello",
        caller=ALICE,
        callee=BOB,
        caller_device=PHONE,
        callee_device=DESK,
        tariff=PRICE,
        created_ms=NOW - 3_000,
        ringing_ms=NOW - 2_000,
        accepted_ms=NOW - 1_000,
        connected_ms=NOW,
        billable_ms=1,
        asof_ms=NOW + 1,
        beat_ms=NOW + 20_000,
        running=True,
        charged_minor=120,
        hold_minor=120,
        available_minor=760,
    )
    return replace(made, **changes)


def unanswered(**changes: Any) -> Remains:
    fresh = {"billable_ms": 0, "asof_ms": NOW, "running": False, "charged_minor": 0}
    return remains(accepted_ms=None, connected_ms=None, callee_device=None, **fresh, **changes)


# -- from the books


def test_a_talking_call_waits_for_both_legs_from_the_last_proof_on() -> None:
    call, effects = revive(CALL, remains(), LIMITS, LATER)
    assert (call.state, call.down, call.why) == (State.RECONNECTING, frozenset(Party), "node")
    assert call.rev == REVS_PER_OWNER + 2, "each of the two interruptions has its own"
    assert call.expires_ms == LATER + LIMITS.grace_ms
    assert (call.connected_ms, call.note) == (NOW, "hello")
    assert talked_ms(call.meter, LATER) == 20_000, "the meter stands since the last beat"
    assert call.meter.since_ms is None
    [charge] = [effect for effect in effects if isinstance(effect, Charge)]
    assert (charge.target_minor, charge.running, charge.billable_ms) == (120, False, 20_000)
    told = events(effects, Party.CALLER)
    assert told == events(effects, Party.CALLEE)
    assert [event.leg for event in told if isinstance(event, CallReconnecting)] == list(Party)


def test_it_goes_on_when_both_report_media_and_bills_on_from_there() -> None:
    call, _ = revive(CALL, remains(), LIMITS, LATER)
    call = feed(call, connected(Party.CALLER), now_ms=LATER + 1_000)
    assert call.state is State.RECONNECTING
    call, effects = step(call, connected(Party.CALLEE), LATER + 2_000)
    assert call.state is State.CONNECTED
    assert {event.resumed for event in events(effects)} == {True}  # type: ignore[attr-defined]
    assert talked_ms(call.meter, LATER + 12_000) == 30_000


def test_what_was_told_before_is_not_told_again() -> None:
    call, _ = revive(CALL, remains(), LIMITS, LATER)
    _, effects = step(call, inputs.ChargePosted(120, 120, 760), LATER)
    assert effects == []
    _, effects = step(call, inputs.ChargePosted(240, 120, 640), LATER)
    assert effects == [], "no new unit has begun"


def test_time_beyond_the_money_is_not_proved() -> None:
    call, _ = revive(CALL, remains(beat_ms=NOW + 600_000), LIMITS, NOW + 700_000)
    assert call.meter.billable_ms == 120_000


def test_a_paused_meter_stays_where_it_was() -> None:
    given = remains(running=False, billable_ms=45_000, asof_ms=NOW + 45_000, beat_ms=NOW + 80_000)
    assert revive(CALL, given, LIMITS, LATER)[0].meter.billable_ms == 45_000


def test_a_call_near_its_longest_is_waited_for_no_longer() -> None:
    last = NOW + LIMITS.duration_max_ms
    call, _ = revive(CALL, remains(), LIMITS, last - 5_000)
    assert call.expires_ms == last


def test_of_parties_without_sockets_nobody_is_missed() -> None:
    call, effects = revive(CALL, remains(caller_device=REST, callee_device=None), LIMITS, LATER)
    assert (call.state, call.down) == (State.CONNECTED, frozenset())
    assert call.meter.since_ms == LATER
    assert call.expires_ms == NOW + LIMITS.duration_max_ms
    assert events(effects) == []
    call, _ = revive(CALL, remains(callee_device=None), LIMITS, LATER)
    assert (call.state, call.down) == (State.RECONNECTING, frozenset({Party.CALLER}))


def test_an_answered_call_waits_for_media_anew() -> None:
    call, effects = revive(
        CALL,
        remains(connected_ms=None, billable_ms=0, running=False, charged_minor=0),
        LIMITS,
        LATER,
    )
    assert (call.state, effects) == (State.ACCEPTED, [])
    assert call.expires_ms == LATER + LIMITS.connect_ms
    assert call.talk.unknown
    call = feed(call, connected(Party.CALLER), connected(Party.CALLEE), now_ms=LATER)
    assert call.state is State.CONNECTED
    assert call.meter.told_slice == -1


@pytest.mark.parametrize("ringing_ms", [None, NOW - 2_000])
def test_an_unanswered_call_rings_once_more(ringing_ms: int | None) -> None:
    call, effects = revive(CALL, unanswered(ringing_ms=ringing_ms), LIMITS, LATER)
    assert call.state is State.REQUESTED
    assert call.expires_ms == LATER + LIMITS.reach_ms
    assert call.caller_gone_ms == LATER + LIMITS.caller_gone_ms
    tell, wake = effects
    assert isinstance(tell, Tell)
    assert isinstance(tell.event, CallIncoming)
    assert (tell.party, tell.rev) == (Party.CALLEE, REVS_PER_OWNER + 1)
    assert isinstance(wake, WakeCallee)
    back = feed(call, inputs.SocketBack(Party.CALLER, PHONE), now_ms=LATER)
    assert back.caller_gone_ms is None


def test_a_caller_without_a_socket_is_not_expected_back() -> None:
    call, _ = revive(CALL, unanswered(caller_device=REST), LIMITS, LATER)
    assert (call.caller_gone_ms, call.caller.socket) == (None, False)


def test_each_owner_begins_above_the_numbers_of_the_one_before() -> None:
    revs = [revive(CALL, remains(claim=claim), LIMITS, LATER)[0].rev for claim in (1, 2, 3)]
    assert revs == sorted(revs)
    assert min(later - rev for rev, later in pairwise(revs)) >= REVS_PER_OWNER


@given(
    billable_ms=st.integers(0, 200_000),
    beat_ms=st.integers(-10_000, 400_000),
    running=st.booleans(),
    charged=st.sampled_from([0, 120, 240, 480]),
    hold=st.sampled_from([0, 120, 240]),
    late_ms=st.integers(0, 100_000),
)
def test_a_revived_meter_never_goes_back_nor_beyond_what_is_proved(
    billable_ms: int, beat_ms: int, running: bool, charged: int, hold: int, late_ms: int
) -> None:
    asof_ms = NOW + billable_ms
    given_remains = remains(
        billable_ms=billable_ms,
        asof_ms=asof_ms,
        beat_ms=NOW + beat_ms,
        running=running,
        charged_minor=charged,
        hold_minor=hold,
    )
    call, effects = revive(CALL, given_remains, LIMITS, max(asof_ms, NOW + beat_ms) + late_ms)
    [charge] = [effect for effect in effects if isinstance(effect, Charge)]
    assert charge.billable_ms >= billable_ms
    assert call.meter.billable_ms <= billable_ms + max(0, NOW + beat_ms - asof_ms)
    assert charge.target_minor <= max(charged + hold, 120 * -(-charge.billable_ms // 60_000))


# -- the whole state


def is_moment(value: Any, name: str) -> bool:
    return name.endswith("_ms") and (type(value), name) not in DURATIONS


def moments(value: Any, path: str = "") -> dict[str, int]:
    """Each absolute moment of a state, by where it is."""
    found: dict[str, int] = {}
    for field in fields(value):
        inner, where = getattr(value, field.name), f"{path}{field.name}"
        if isinstance(inner, MOVED):
            found |= moments(inner, f"{where}.")
        elif field.name == "breaks":
            found |= {f"{where}[{number}]": at for number, at in enumerate(sum(inner, ()))}
        elif inner is not None and is_moment(value, field.name):
            found[where] = inner
    return found


def filled(value: Any, first: int) -> Any:
    """The same struct with every moment set, each to one of its own."""
    changes: dict[str, Any] = {}
    for number, field in enumerate(fields(value)):
        inner = getattr(value, field.name)
        if isinstance(inner, MOVED):
            changes[field.name] = filled(inner, first + 100 * number)
        elif is_moment(value, field.name):
            changes[field.name] = first + number
    return replace(value, **changes)


def whole(state: State = State.RECONNECTING) -> Call:
    """A call with everything in it that can be."""
    gap = Gap(start_ms=NOW, end_ms=NOW, caller_bytes=1, callee_bytes=2)
    call = replace(in_state(state), breaks=((NOW, NOW + 5), (NOW + 9, NOW + 11)), gap=gap)
    full: Call = filled(call, NOW)
    return full


@given(st.integers(-(10**9), 10**9))
@settings(max_examples=25)
def test_no_moment_is_forgotten_when_clocks_differ(by_ms: int) -> None:
    call = whole()
    before, after = moments(call), moments(revival.shifted(call, by_ms))
    assert len(before) > 20
    assert after == {where: at + by_ms for where, at in before.items()}
    assert revival.shifted(revival.shifted(call, by_ms), -by_ms) == call, "and nothing else moves"


def test_moments_that_are_not_there_stay_away() -> None:
    call = in_state(State.REQUESTED)
    assert moments(revival.shifted(call, 5)).keys() == moments(call).keys()
    assert revival.shifted(call, 5).caller.proof_ms == 0, "a leg that has proved nothing"


@pytest.mark.parametrize("state", list(State))
def test_a_call_in_any_state_is_the_same_after_its_way(state: State) -> None:
    call = in_state(state)
    for one in (call, whole(state)):
        again = revival.decode(revival.encode(one), 0)
        assert again == one
        assert deadline(again) == deadline(one)
        assert isinstance(again.state, State)
        assert isinstance(again.limits.low_balance_ms, tuple)


def test_signals_that_wait_are_taken_along() -> None:
    signal = inputs.Signalled(Party.CALLER, PHONE, "offer", 1, b'{"kind":"offer"}')
    call = feed(opened()[0], signal)
    again = revival.decode(revival.encode(call), 0)
    assert again.talk == call.talk
    assert again.talk.early == (signal,)


def test_clocks_that_hardly_differ_are_taken_to_agree() -> None:
    call, state = whole(), revival.encode(whole())
    assert revival.decode(state, SKEW_MS - 1) == call
    assert revival.decode(state, 1 - SKEW_MS) == call
    assert revival.decode(state, SKEW_MS) == revival.shifted(call, SKEW_MS)
    assert revival.decode(state, -SKEW_MS) == revival.shifted(call, -SKEW_MS)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"not a call",
        msgspec.msgpack.encode({"id": "x"}),
        msgspec.msgpack.encode([1, 2]),
        revival.encode(in_state(State.RINGING))[:-1],
        revival.encode(replace(in_state(State.RINGING), state="dancing")),
    ],
)
def test_what_another_release_wrote_is_refused(state: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        revival.decode(state, 0)


def test_after_an_unknown_negotiation_the_first_offer_says_where_the_legs_are() -> None:
    call, _ = revive(CALL, remains(), LIMITS, LATER)
    assert call.talk == Negotiation(unknown=True)
    offer = inputs.Signalled(Party.CALLEE, DESK, "offer", 9, b"{}")
    call, effects = step(call, offer, LATER)
    assert len(effects) == 1
    assert call.talk == Negotiation(gen=9, offerer=Party.CALLEE)
