"""Evidence that media flows: when it lapses, how good it is, and what it proves afterwards."""

from msgspec.structs import replace

from signalling.codes import Party, State
from signalling.core import inputs
from signalling.core import meter as metering
from signalling.core.model import Call, Gap, Leg, leg_of


def lapse_ms(call: Call) -> int | None:
    """When a leg will have proved nothing for too long; None if nobody asks for proof."""
    if call.state is not State.CONNECTED or call.connect_on != "media":
        return None
    return min(call.caller.proof_ms, call.callee.proof_ms) + call.limits.evidence_ms


def sure_ms(call: Call, at_ms: int) -> int:
    """Until when it is sure, at the end of a call, that media flowed: until then, as long as both
    legs have proved it on time; else until the last proof of the leg that owes one."""
    if call.state is not State.CONNECTED or call.connect_on != "media":
        return at_ms
    proved_ms = min(call.caller.proof_ms, call.callee.proof_ms)
    return at_ms if at_ms - proved_ms <= call.limits.stats_ms * 3 // 2 else proved_ms


def count(call: Call, given: inputs.MediaStats, leg: Leg, now_ms: int) -> tuple[Leg, bool]:
    """The leg after a report of its counters, and whether media reached it since the last one."""
    grew = given.in_bytes - leg.in_bytes
    since_ms = now_ms - leg.report_ms
    flowing = grew > 0 or (grew < 0 and given.in_bytes > 0)  # A new connection counts from zero.
    # A report that spans an interruption says nothing about the usual rate.
    usual = call.state is State.CONNECTED and call.gap is None and leg.in_bytes > 0
    # Only who pays may go without media and still be billed.
    held = call.caller.hold
    leg = replace(
        leg,
        in_bytes=given.in_bytes,
        rate=grew * 1000 / since_ms if usual and grew > 0 and since_ms > 0 else leg.rate,
        report_ms=now_ms,
        proof_ms=now_ms if flowing or held else leg.proof_ms,
    )
    return leg, flowing


def judge_quality(given: inputs.MediaStats) -> str:
    poor = given.loss >= 0.05 or given.rtt_ms >= 400 or given.jitter_ms >= 60
    return "poor" if poor else "good"


def prove_gap(call: Call, gap: Gap, party: Party, now_ms: int) -> Call:
    """Bill an interruption when both legs' counters show that media flowed all the same.

    What a leg received must exceed what it receives at its usual rate since the resumption by at
    least half of what the gap would have brought.
    """
    if gap.end_ms is None or (gap.caller_proved if party is Party.CALLER else gap.callee_proved):
        return call
    leg = leg_of(call, party)
    start = gap.caller_bytes if party is Party.CALLER else gap.callee_bytes
    got = leg.in_bytes - start
    usual = leg.rate * (now_ms - gap.end_ms) / 1000
    lost = leg.rate * (gap.end_ms - gap.start_ms) / 1000
    if leg.rate <= 0 or got < usual + lost / 2:
        return replace(call, gap=None)
    if party is Party.CALLER:
        gap = replace(gap, caller_proved=True)
    else:
        gap = replace(gap, callee_proved=True)
    if not (gap.caller_proved and gap.callee_proved):
        return replace(call, gap=gap)
    assert gap.end_ms is not None
    gap_ms = gap.end_ms - gap.start_ms
    meter = metering.add(call.meter, gap_ms, now_ms, renew_ms=call.limits.renew_ms)
    return replace(call, meter=meter, gap=None)
