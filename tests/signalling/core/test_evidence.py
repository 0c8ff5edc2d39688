import pytest
from msgspec.structs import replace

from signalling.codes import Party, State
from signalling.core import evidence, inputs
from signalling.core.call import deadline, step
from signalling.core.model import Call, leg_of
from signalling.core.tariff import second
from signalling.events import PeerQuality
from tests.signalling.core.calling import (
    DESK,
    LIMITS,
    NOW,
    PHONE,
    connected,
    events,
    feed,
    in_state,
    stats,
    talking,
)

CALLER, CALLEE = Party.CALLER, Party.CALLEE
RATE = 10  # bytes for each millisecond of media


def report_both(call: Call, carried_ms: int, now_ms: int) -> Call:
    given = (stats(party, RATE * carried_ms) for party in Party)
    return feed(call, *given, now_ms=now_ms)


def in_talk(seconds: int = 30) -> Call:
    """A call whose legs reported growing counters every 10 s."""
    call = talking(tariff=second(600))
    for s in range(10, seconds + 1, 10):
        call = report_both(call, s * 1_000, NOW + s * 1_000)
    return call


def test_only_running_calls_that_connect_on_media_need_evidence() -> None:
    assert evidence.lapse_ms(talking(connect_on="answer")) is None
    assert evidence.lapse_ms(in_state(State.ACCEPTED)) is None
    assert evidence.lapse_ms(talking()) == NOW + LIMITS.evidence_ms


def test_the_leg_with_the_older_proof_decides() -> None:
    call = feed(talking(), stats(CALLER, 500), now_ms=NOW + 10_000)
    assert evidence.lapse_ms(call) == NOW + LIMITS.evidence_ms
    call = feed(call, stats(CALLEE, 500), now_ms=NOW + 12_000)
    assert evidence.lapse_ms(call) == NOW + 10_000 + LIMITS.evidence_ms


def test_counters_that_stand_still_are_no_proof() -> None:
    call = feed(in_talk(), stats(CALLER, RATE * 30_000), now_ms=NOW + 40_000)
    assert leg_of(call, CALLER).proof_ms == NOW + 30_000
    assert leg_of(call, CALLER).report_ms == NOW + 40_000


def test_a_new_connection_counts_from_zero() -> None:
    call = feed(in_talk(), stats(CALLER, 77), now_ms=NOW + 40_000)
    assert leg_of(call, CALLER).proof_ms == NOW + 40_000
    call = feed(call, stats(CALLER, 0), now_ms=NOW + 50_000)
    assert leg_of(call, CALLER).proof_ms == NOW + 40_000


def test_a_hold_is_silent_and_not_a_fault() -> None:
    held = inputs.MediaState(CALLER, PHONE, True, False, True)
    call = feed(in_talk(), held, now_ms=NOW + 35_000)
    call = feed(call, stats(CALLEE, RATE * 30_000), now_ms=NOW + 45_000)
    assert leg_of(call, CALLEE).proof_ms == NOW + 45_000


@pytest.mark.parametrize(
    ("rtt_ms", "loss", "jitter_ms", "word"),
    [
        (399.0, 0.049, 59.0, "good"),
        (400.0, 0.0, 0.0, "poor"),
        (0.0, 0.05, 0.0, "poor"),
        (0.0, 0.0, 60.0, "poor"),
    ],
)
def test_quality_is_judged_by_delay_loss_and_jitter(
    rtt_ms: float, loss: float, jitter_ms: float, word: str
) -> None:
    given = inputs.MediaStats(CALLER, PHONE, 9, rtt_ms, loss, jitter_ms)
    assert evidence.judge_quality(given) == word


def test_the_other_leg_is_told_of_a_change_of_quality_once() -> None:
    bad = inputs.MediaStats(CALLER, PHONE, 9, 20.0, 0.5, 1.0)
    call, effects = step(talking(), bad, NOW)
    assert events(effects) == [PeerQuality(leg=CALLER, quality="poor")]
    assert step(call, bad, NOW)[1] == []
    assert events(step(call, stats(CALLER, 10), NOW)[1]) == [
        PeerQuality(leg=CALLER, quality="good")
    ]


# -- gaps


def socket_gap(call: Call, lost_ms: int, back_ms: int) -> Call:
    """Bob's socket is away for a while."""
    call = feed(call, inputs.SocketLost(CALLEE, DESK), now_ms=NOW + lost_ms)
    call = feed(call, inputs.SocketBack(CALLEE, DESK), now_ms=NOW + back_ms)
    return feed(call, connected(CALLEE), now_ms=NOW + back_ms)


def talked(call: Call, now_ms: int) -> int:
    meter = call.meter
    assert meter.since_ms is not None
    return meter.billable_ms + now_ms - meter.since_ms


def test_a_gap_across_which_media_flowed_is_billed() -> None:
    call = socket_gap(in_talk(), 35_000, 55_000)
    assert talked(call, NOW + 60_000) == 35_000
    call = report_both(call, 60_000, NOW + 60_000)
    assert call.gap is None
    assert talked(call, NOW + 60_000) == 60_000


def test_a_gap_without_media_is_not_billed() -> None:
    call = socket_gap(in_talk(), 35_000, 55_000)
    call = report_both(call, 40_000, NOW + 60_000)
    assert call.gap is None
    assert talked(call, NOW + 60_000) == 35_000


@pytest.mark.parametrize("silent", list(Party))
def test_one_leg_alone_proves_no_gap(silent: Party) -> None:
    call = socket_gap(in_talk(), 35_000, 55_000)
    call = feed(call, stats(silent.other, RATE * 60_000), now_ms=NOW + 60_000)
    call = feed(call, stats(silent, RATE * 35_000), now_ms=NOW + 60_000)
    assert talked(call, NOW + 60_000) == 35_000


def test_a_leg_that_has_proved_a_gap_may_report_again_before_the_other() -> None:
    call = socket_gap(in_talk(), 35_000, 55_000)
    call = feed(call, stats(CALLER, RATE * 60_000), now_ms=NOW + 60_000)
    call = feed(call, stats(CALLER, RATE * 70_000), now_ms=NOW + 70_000)
    call = feed(call, stats(CALLEE, RATE * 71_000), now_ms=NOW + 71_000)
    assert talked(call, NOW + 71_000) == 71_000


def test_what_was_posted_before_a_pause_is_not_billed_again_as_a_gap() -> None:
    call = in_talk(50)
    # The slice that begins after 60 s is posted; then both fall silent since 50 s.
    call = feed(call, inputs.TimerFired(), now_ms=NOW + 60_001)
    call = feed(call, inputs.TimerFired(), now_ms=NOW + 75_000)
    assert call.state is State.RECONNECTING
    assert call.meter.billable_ms == 60_001
    call = report_both(call, 80_000, NOW + 80_000)
    assert call.state is State.CONNECTED
    call = report_both(call, 90_000, NOW + 90_000)
    assert call.gap is None
    assert talked(call, NOW + 90_000) == 90_000


def test_a_first_report_after_silence_is_no_measure_of_what_was_missing() -> None:
    call = in_talk(30)
    call = feed(call, inputs.TimerFired(), now_ms=NOW + 55_000)
    assert call.state is State.RECONNECTING
    # No media for 40 s, then one second of it.
    call = report_both(call, 31_000, NOW + 71_000)
    assert call.state is State.CONNECTED
    call = report_both(call, 41_000, NOW + 81_000)
    assert call.gap is None
    assert talked(call, NOW + 81_000) == 40_000


def test_counters_of_another_device_prove_no_gap() -> None:
    call = feed(in_talk(), inputs.SocketLost(CALLEE, DESK), now_ms=NOW + 35_000)
    call = feed(call, inputs.Took(CALLEE, "watch"), now_ms=NOW + 40_000)
    assert call.gap is None
    call = feed(call, inputs.MediaConnected(CALLEE, "watch"), now_ms=NOW + 41_000)
    assert call.gap is None


def test_a_long_gap_never_ends_a_call_that_can_pay() -> None:
    tariff = second(60, tick_ms=1_000)
    call = talking(tariff=tariff)
    call = replace(
        call,
        caller=replace(call.caller, in_bytes=RATE * 1_000, rate=RATE * 1_000.0),
        callee=replace(call.callee, in_bytes=RATE * 1_000, rate=RATE * 1_000.0),
    )
    call = socket_gap(call, 1_000, 21_000)
    call = report_both(call, 21_100, NOW + 21_100)
    assert call.gap is None
    due_ms = deadline(call)
    assert due_ms is not None
    call = feed(call, inputs.TimerFired(), now_ms=max(due_ms, NOW + 21_100))
    assert call.state is State.CONNECTED


def test_a_report_that_does_not_say_how_media_goes_leaves_what_is_known() -> None:
    call = talking()
    for said, known in ((True, True), (None, True), (False, False), (None, False)):
        call = feed(call, inputs.MediaStats(CALLER, PHONE, 9, 20.0, 0.0, 1.0, said), now_ms=NOW)
        assert call.caller.relay is known
    assert call.callee.relay is None
