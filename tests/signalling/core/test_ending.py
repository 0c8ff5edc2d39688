from msgspec.structs import replace

from signalling.codes import Party, Reason
from signalling.core import inputs
from signalling.core.call import deadline, step
from signalling.core.effects import Effect, Settle, Tell
from signalling.core.ending import terminal
from signalling.core.model import Call
from signalling.events import CallEnded, CallRejected, WalletUpdated
from tests.signalling.core.calling import (
    DESK,
    LIMITS,
    NOW,
    PHONE,
    events,
    feed,
    opened,
    settle_of,
    settled,
    stats,
    talking,
)

CALLER, CALLEE = Party.CALLER, Party.CALLEE


def hung_up() -> tuple[Call, list[Effect]]:
    """After 61 s, with both legs' proof of 6 s ago."""
    proofs = stats(CALLER, 9_000), stats(CALLEE, 9_000)
    call = feed(talking(), *proofs, now_ms=NOW + 55_000)
    return step(call, inputs.HungUp(CALLER), NOW + 61_000)


def test_time_after_the_last_proof_of_a_leg_that_owes_one_is_not_billed() -> None:
    late_ms = LIMITS.stats_ms * 3 // 2 + 1
    for since_ms, billable_ms in ((late_ms - 1, 10_000 + late_ms - 1), (late_ms, 10_000)):
        call = feed(talking(), stats(CALLEE, 9_000), now_ms=NOW + 10_000)
        call = feed(call, stats(CALLER, 9_000), now_ms=NOW + 10_000 + since_ms)
        _, effects = step(call, inputs.HungUp(CALLER), NOW + 10_000 + since_ms)
        assert settle_of(effects).billable_ms == billable_ms
        assert settle_of(effects).ended_ms == NOW + 10_000 + since_ms


def test_where_nobody_is_asked_for_proof_all_time_is_billed() -> None:
    _, effects = step(talking(connect_on="answer"), inputs.HungUp(CALLER), NOW + 20_000)
    assert settle_of(effects).billable_ms == 20_000


def test_the_books_are_closed_before_anybody_is_told() -> None:
    call, effects = hung_up()
    assert [type(effect) for effect in effects] == [Settle]
    settle = settle_of(effects)
    assert (settle.target_minor, settle.earned_minor) == (240, 168)
    assert (settle.billable_ms, settle.units, settle.ended_ms) == (61_000, 2, NOW + 61_000)
    assert not call.told


def test_nothing_is_owed_for_a_call_that_never_connected() -> None:
    _, effects = step(opened()[0], inputs.HungUp(CALLER), NOW + 9_000)
    settle = settle_of(effects)
    assert (settle.target_minor, settle.billable_ms, settle.units) == (0, 0, 0)


def test_what_was_posted_is_never_given_back() -> None:
    call = feed(talking(connect_on="answer"), inputs.TimerFired(), now_ms=NOW + 60_001)
    call = feed(call, inputs.SocketLost(CALLER, PHONE), now_ms=NOW + 60_002)
    _, effects = step(call, inputs.HungUp(CALLEE), NOW + 70_000)
    assert settle_of(effects).target_minor == 240


def test_wallets_are_told_with_the_end() -> None:
    call, effects = hung_up()
    _, effects = step(call, settled(settle_of(effects), available=9_760), NOW + 61_010)
    wallets = [event for event in events(effects) if isinstance(event, WalletUpdated)]
    assert [(wallet.reason, wallet.balance, wallet.earnings) for wallet in wallets] == [
        ("call", 9_760, wallets[0].earnings),
        ("earnings", wallets[1].balance, 168),
    ]


def test_no_wallet_is_told_of_a_call_that_cost_nothing() -> None:
    call, effects = step(opened()[0], inputs.HungUp(CALLER), NOW)
    _, effects = step(call, settled(settle_of(effects)), NOW)
    assert not any(isinstance(event, WalletUpdated) for event in events(effects))


def test_books_that_are_late_correct_the_final_figures_and_tell_the_wallets_once() -> None:
    call, effects = hung_up()
    settle = settle_of(effects)
    call = feed(call, inputs.TimerFired(), now_ms=NOW + 61_000 + LIMITS.settle_wait_ms)
    assert call.final is not None
    assert (call.final.total, call.final.settled) == (240, False)
    call, effects = step(call, settled(settle, available=7), NOW + 99_000)
    kinds = [type(event) for event in events(effects)]
    assert kinds == [WalletUpdated, WalletUpdated]
    assert call.final is not None
    assert call.final.settled
    assert events(step(call, settled(settle), NOW + 99_001)[1]) == []


def test_the_wait_for_the_books_begins_when_the_end_is_noticed() -> None:
    call = feed(opened()[0], inputs.TimerFired(), now_ms=NOW + LIMITS.reach_ms + 60_000)
    assert call.ended_ms == NOW + LIMITS.reach_ms
    assert deadline(call) == NOW + LIMITS.reach_ms + 60_000 + LIMITS.settle_wait_ms


def test_a_refusal_is_a_rejection_and_every_other_end_is_not() -> None:
    for reason in Reason:
        call, effects = hung_up()
        call = replace(call, reason=reason)
        call, effects = step(call, settled(settle_of(hung_up()[1])), NOW + 61_010)
        refused = reason in (Reason.DECLINED, Reason.BUSY, Reason.UNAVAILABLE)
        ends = [event for event in events(effects) if isinstance(event, CallEnded)]
        assert {type(end) for end in ends} == {CallRejected if refused else CallEnded}


def test_the_callees_words_are_told_with_the_rejection() -> None:
    call, effects = step(opened()[0], inputs.Rejected("away", "back at six"), NOW)
    _, effects = step(call, settled(settle_of(effects)), NOW)
    ends = [event for event in events(effects) if isinstance(event, CallRejected)]
    assert {end.note for end in ends} == {"back at six"}


def test_every_device_is_told_by_exactly_one_tell() -> None:
    call, effects = hung_up()
    call, _ = step(call, settled(settle_of(effects)), NOW + 61_010)
    told = [effect for effect in terminal(call) if isinstance(effect, Tell)]
    for party, leg in ((CALLER, PHONE), (CALLEE, DESK)):
        for device in (leg, "another"):
            mine = [
                tell
                for tell in told
                if tell.party is party and tell.only in (None, device) and tell.but != device
            ]
            (tell,) = mine
            assert isinstance(tell.event, CallEnded)
            assert tell.event.elsewhere == (device != leg)
