import pytest
from msgspec import UNSET

from signalling.codes import Party, State
from signalling.core import inputs, views
from signalling.core.call import step
from tests.signalling.core.calling import (
    ALICE,
    BOB,
    DESK,
    NOW,
    PHONE,
    PRICE,
    TABLET,
    WATCH,
    feed,
    in_state,
    opened,
    settle_of,
    settled,
    talking,
)

CALLER, CALLEE = Party.CALLER, Party.CALLEE
LATER = NOW + 10_000


@pytest.mark.parametrize(
    ("state", "party", "device", "you"),
    [
        (State.REQUESTED, CALLER, PHONE, "active"),
        (State.REQUESTED, CALLER, TABLET, "elsewhere"),
        (State.REQUESTED, CALLEE, DESK, "ringing"),
        (State.RINGING, CALLEE, WATCH, "ringing"),
        (State.ACCEPTED, CALLEE, DESK, "active"),
        (State.ACCEPTED, CALLEE, WATCH, "elsewhere"),
        (State.CONNECTED, CALLEE, WATCH, "elsewhere"),
        (State.RECONNECTING, CALLER, TABLET, "canTake"),
        (State.RECONNECTING, CALLER, PHONE, "active"),
        (State.RECONNECTING, CALLEE, WATCH, "elsewhere"),
        (State.ENDED, CALLER, TABLET, "elsewhere"),
    ],
)
def test_what_a_device_is_to_the_call(state: State, party: Party, device: str, you: str) -> None:
    assert views.snapshot(in_state(state), party, device, NOW).you == you


def test_a_leg_without_a_socket_can_be_taken() -> None:
    call = feed(opened(connect_on="answer")[0], inputs.Accepted(None))
    assert views.snapshot(call, CALLEE, DESK, NOW).you == "canTake"
    taken = feed(call, inputs.Took(CALLEE, DESK))
    assert views.snapshot(taken, CALLEE, WATCH, NOW).you == "elsewhere"


def test_a_caller_who_got_a_socket_later_is_a_leg_with_a_socket() -> None:
    call = feed(opened(connect_on="answer", has_socket=False)[0], inputs.Accepted(DESK))
    assert views.can_take(call, CALLER)
    assert not views.can_take(feed(call, inputs.SocketBack(CALLER, PHONE)), CALLER)


def test_each_sees_the_other_and_only_the_payer_the_balance() -> None:
    call = talking()
    caller = views.snapshot(call, CALLER, PHONE, LATER)
    callee = views.snapshot(call, CALLEE, DESK, LATER)
    assert (caller.role, caller.peer) == (CALLER, BOB)
    assert (callee.role, callee.peer) == (CALLEE, ALICE)
    assert caller.meter is not None
    assert callee.meter is not None
    assert caller.meter.balance == 10_000
    assert callee.meter.balance is UNSET
    assert (caller.meter.running, caller.meter.billable_ms, caller.meter.units) == (True, 10_000, 1)
    assert (caller.meter.charged, caller.meter.held) == (120, 120)
    assert caller.meter.funded_until == NOW + 120_000


def test_a_call_that_is_not_connected_has_no_meter() -> None:
    assert views.snapshot(in_state(State.ACCEPTED), CALLER, PHONE, NOW).meter is None


def test_a_paused_meter_is_funded_from_now() -> None:
    call = feed(talking(), inputs.SocketLost(CALLER, PHONE), now_ms=LATER)
    view = views.meter_view(call, CALLER, LATER + 7_000)
    assert not view.running
    assert view.funded_until == LATER + 7_000 + 120_000 - call.meter.billable_ms


def test_the_tariff_is_shown_by_the_minute() -> None:
    view = views.tariff_view(PRICE)
    assert (view.name, view.price_per_minute, view.currency) == ("minute", 120, "PTS")
    assert (view.first_ms, view.next_ms, view.free_ms, view.connect_fee) == (60_000, 60_000, 0, 0)


def test_the_final_figures() -> None:
    call = feed(opened()[0], inputs.Rang(DESK), now_ms=NOW + 1_000)
    call = feed(call, inputs.Accepted(DESK), now_ms=NOW + 5_900)
    for party, device in ((CALLER, PHONE), (CALLEE, DESK)):
        call = feed(call, inputs.MediaConnected(party, device), now_ms=NOW + 6_000)
    call, effects = step(call, inputs.HungUp(CALLEE), NOW + 16_001)
    call = feed(call, settled(settle_of(effects)))
    final = call.final
    assert final is not None
    assert (final.ring_seconds, final.talk_seconds, final.billed_seconds) == (4, 11, 60)
    assert (final.units, final.total, final.settled) == (1, 120, True)
    assert views.snapshot(call, CALLER, PHONE, LATER).final == final


def test_a_call_that_nobody_answered_rang_until_its_end() -> None:
    call = feed(opened()[0], inputs.Rang(DESK), now_ms=NOW)
    call, effects = step(call, inputs.HungUp(CALLER), NOW + 9_999)
    call = feed(call, settled(settle_of(effects)))
    assert call.final is not None
    assert (call.final.ring_seconds, call.final.talk_seconds, call.final.total) == (9, 0, 0)
