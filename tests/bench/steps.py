"""The pure state machine: nanoseconds for one `step`, and for all steps of a call."""

from signalling.codes import Party
from signalling.core import inputs
from signalling.core.call import deadline, open_call, step
from signalling.core.effects import Charge
from signalling.core.model import Call
from signalling.core.tariff import first_hold
from tests.bench.lab import Lab
from tests.bench.timing import empty_call_ns, fastest_ns
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
    posted,
    settle_of,
    settled,
    stats,
    talking,
)

UNIT_MS = 60_000


def _signal(party: Party, kind: str, gen: int = 1) -> inputs.Signalled:
    device = PHONE if party is Party.CALLER else DESK
    assert kind in ("offer", "answer", "candidates")
    return inputs.Signalled(party, device, kind, gen, b'{"kind":"%b"}' % kind.encode())  # type: ignore[arg-type]


def _negotiated() -> Call:
    call = talking()
    for given in (_signal(Party.CALLER, "offer"), _signal(Party.CALLEE, "answer")):
        call, _ = step(call, given, NOW)
    return call


def _life() -> None:
    """Opening, 28 inputs of the two devices, two of the ledger."""
    call, _ = open_call(
        call_id=CALL,
        kind="audio",
        connect_on="media",
        caller=ALICE,
        callee=BOB,
        device=PHONE,
        has_socket=True,
        tariff=PRICE,
        held_minor=first_hold(PRICE),
        available_minor=10_000,
        limits=LIMITS,
        note=None,
        created_ms=NOW,
        now_ms=NOW,
    )
    for given in _LIFE:
        call, effects = step(call, given, NOW)
    call, _ = step(call, posted(call, effects), NOW)
    call, effects = step(call, inputs.HungUp(Party.CALLER), NOW + 30_000)
    call, _ = step(call, settled(settle_of(effects)), NOW + 30_000)


_LIFE: tuple[inputs.Input, ...] = (
    inputs.Rang(DESK),
    inputs.Accepted(DESK),
    _signal(Party.CALLER, "offer"),
    _signal(Party.CALLEE, "answer"),
    *(_signal(party, "candidates") for _ in range(10) for party in Party),
    connected(Party.CALLER),
    connected(Party.CALLEE),
)


async def bench_step(lab: Lab) -> None:
    call = _negotiated()
    candidate = _signal(Party.CALLER, "candidates")
    counters = stats(Party.CALLER, 10_000)
    late = NOW + UNIT_MS + 1
    # Evidence of media must reach up to the tick.
    for party in Party:
        for in_bytes, at_ms in ((1, NOW + 1), (2, late)):
            call, _ = step(call, stats(party, in_bytes), at_ms)

    def tick() -> None:
        charged, effects = step(call, inputs.TimerFired(), late)
        assert any(isinstance(effect, Charge) for effect in effects)
        step(charged, posted(charged, effects), late)

    lab.report.add("floor: an empty call", empty_call_ns(lab), "ns")
    lab.report.add("signal relay", fastest_ns(lab, lambda: step(call, candidate, NOW)), "ns")
    lab.report.add("media_stats", fastest_ns(lab, lambda: step(call, counters, NOW)), "ns")
    lab.report.add("deadline of a live call", fastest_ns(lab, lambda: deadline(call)), "ns")
    lab.report.add("tick: timer and charge posted", fastest_ns(lab, tick), "ns")
    lab.report.add("a whole call", fastest_ns(lab, _life), "ns")
