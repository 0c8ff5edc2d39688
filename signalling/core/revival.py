"""A call that goes on under a new owner: from what the last one wrote down, or from the books.

Who hands a call over leaves its whole state. Who dies leaves a row and a meter: that says what is
paid, not who has reported what. Such a call waits for its legs as after a lost socket, from the
last moment that is proved on; what was talked between that moment and their return is not billed.
"""

from uuid import UUID

import msgspec
from msgspec.structs import replace

from signalling.codes import Party, State
from signalling.core import meter as metering
from signalling.core import talking
from signalling.core.effects import Effect, Tell, WakeCallee
from signalling.core.meter import Meter
from signalling.core.model import REST, Call, Gap, Leg
from signalling.core.negotiation import Negotiation
from signalling.core.tariff import Tariff, horizon
from signalling.core.views import snapshot
from signalling.events import CallIncoming, CallReconnecting, Profile
from signalling.limits import CallLimits

# Each owner begins far above the last one's numbers, which nobody may have written down.
REVS_PER_OWNER = 1_000_000
# Nodes' clocks that differ by less are taken to agree: so long may the handing over have taken.
SKEW_MS = 250

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Call).decode


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """What the books say of a call whose owner is dead. Moments are the old owner's clock.

    `claim` counts the owners so far. Billable time was `billable_ms` at `asof_ms` and ran on, if
    `running`, at least until `beat_ms`. A device is None, or `rest`, for a party without a socket.
    """

    claim: int
    kind: str
    connect_on: str
    note: str | None
    caller: Profile
    callee: Profile
    caller_device: str | None
    callee_device: str | None
    tariff: Tariff
    created_ms: int
    ringing_ms: int | None
    accepted_ms: int | None
    connected_ms: int | None
    billable_ms: int
    asof_ms: int
    beat_ms: int
    running: bool
    charged_minor: int
    hold_minor: int
    available_minor: int


def proved_ms(remains: Remains) -> int:
    """The billable time that is proved and paid for, or can be paid out of the hold."""
    billable_ms = remains.billable_ms
    if remains.running:
        billable_ms += max(0, remains.beat_ms - remains.asof_ms)
        funded_ms = horizon(remains.tariff, remains.charged_minor + remains.hold_minor)
        if funded_ms is not None:
            billable_ms = max(remains.billable_ms, min(billable_ms, funded_ms))
    return billable_ms


def revive(
    call_id: UUID, remains: Remains, limits: CallLimits, now_ms: int
) -> tuple[Call, list[Effect]]:
    """The call as its new owner begins with it, and what must be done then."""
    call = Call(
        id=call_id,
        kind=remains.kind,
        connect_on=remains.connect_on,
        caller=Leg(
            profile=remains.caller,
            device=remains.caller_device,
            socket=_has_socket(remains.caller_device),
        ),
        callee=Leg(
            profile=remains.callee,
            device=remains.callee_device,
            socket=_has_socket(remains.callee_device),
        ),
        limits=limits,
        meter=_meter(remains),
        state=State.REQUESTED,
        rev=remains.claim * REVS_PER_OWNER + 1,
        created_ms=remains.created_ms,
        expires_ms=now_ms + limits.reach_ms,
        note=remains.note,
        ringing_ms=remains.ringing_ms,
        accepted_ms=remains.accepted_ms,
        connected_ms=remains.connected_ms,
    )
    if remains.connected_ms is not None:
        return _talking(call, now_ms)
    if remains.accepted_ms is not None:
        call = replace(
            call,
            state=State.ACCEPTED,
            expires_ms=now_ms + limits.connect_ms,
            ice_ms=now_ms + limits.ice_ttl_ms * 4 // 5,
            talk=Negotiation(unknown=True),
        )
        return call, []
    return _ringing(call, now_ms)


def _has_socket(device: str | None) -> bool:
    return device is not None and device != REST


def _meter(remains: Remains) -> Meter:
    meter = Meter(
        tariff=remains.tariff,
        cover_minor=remains.charged_minor + remains.hold_minor,
        available_minor=remains.available_minor,
        charged_minor=remains.charged_minor,
        billable_ms=proved_ms(remains),
        posted_ms=remains.billable_ms,
    )
    return metering.told(meter) if remains.billable_ms else meter


def _ringing(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """Ring once more: what the caller had offered is lost, and offered again after its welcome."""
    if call.caller.socket:
        call = replace(call, caller_gone_ms=now_ms + call.limits.caller_gone_ms)
    assert call.expires_ms is not None
    incoming = CallIncoming(
        call=snapshot(call, Party.CALLEE, None, now_ms),
        caller=call.caller.profile,
        expires_at=call.expires_ms,
    )
    return call, [Tell(Party.CALLEE, incoming, call.rev), WakeCallee()]


def _talking(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    missing = frozenset(
        party
        for party, leg in ((Party.CALLER, call.caller), (Party.CALLEE, call.callee))
        if leg.socket
    )
    call = replace(
        call,
        talk=Negotiation(unknown=True),
        ice_ms=now_ms + call.limits.ice_ttl_ms * 4 // 5,
        caller=replace(call.caller, media=not call.caller.socket),
        callee=replace(call.callee, media=not call.callee.socket),
    )
    if not missing:
        # A call of requests and answers only: nobody has to come back.
        call = replace(
            talking.proved(call, now_ms),
            state=State.CONNECTED,
            expires_ms=talking.last_ms(call),
            meter=metering.run(call.meter, now_ms),
        )
        return talking.charge(call, now_ms, turn=True)
    call = replace(
        call,
        state=State.RECONNECTING,
        down=missing,
        why="node",
        down_since_ms=now_ms,
        expires_ms=min(now_ms + call.limits.grace_ms, talking.last_ms(call)),
    )
    told: list[Effect] = []
    for number, party in enumerate(each for each in Party if each in missing):
        # Two events, two numbers.
        call = replace(call, rev=call.rev + (number > 0))
        event = CallReconnecting(leg=party, why=call.why, expires_at=call.expires_ms)
        told += talking.tell_both(call, event)
    call, effects = talking.charge(call, now_ms, turn=True)
    return call, [*effects, *told]


def encode(call: Call) -> bytes:
    """The whole state, for the next owner."""
    return _encode(call)


def decode(state: bytes, skew_ms: int) -> Call:
    """What another node has left. `skew_ms` is how far our clock is ahead of its clock.

    Raises:
        msgspec.DecodeError: another release wrote it; the books say enough to go on.
    """
    call = _decode(state)
    return call if abs(skew_ms) < SKEW_MS else shifted(call, skew_ms)


def shifted(call: Call, by_ms: int) -> Call:
    """The same call by a clock that is `by_ms` ahead."""

    def to(at_ms: int | None) -> int | None:
        return None if at_ms is None else at_ms + by_ms

    meter = call.meter
    return replace(
        call,
        caller=_leg_shifted(call.caller, by_ms),
        callee=_leg_shifted(call.callee, by_ms),
        meter=replace(meter, since_ms=to(meter.since_ms), warned_end_ms=to(meter.warned_end_ms)),
        created_ms=call.created_ms + by_ms,
        expires_ms=to(call.expires_ms),
        ringing_ms=to(call.ringing_ms),
        accepted_ms=to(call.accepted_ms),
        connected_ms=to(call.connected_ms),
        ended_ms=to(call.ended_ms),
        caller_gone_ms=to(call.caller_gone_ms),
        ice_ms=to(call.ice_ms),
        down_since_ms=to(call.down_since_ms),
        breaks=tuple((start + by_ms, end + by_ms) for start, end in call.breaks),
        gap=None if call.gap is None else _gap_shifted(call.gap, by_ms),
        settle_by_ms=to(call.settle_by_ms),
    )


def _leg_shifted(leg: Leg, by_ms: int) -> Leg:
    return replace(
        leg,
        proof_ms=leg.proof_ms and leg.proof_ms + by_ms,
        report_ms=leg.report_ms and leg.report_ms + by_ms,
    )


def _gap_shifted(gap: Gap, by_ms: int) -> Gap:
    end_ms = None if gap.end_ms is None else gap.end_ms + by_ms
    return replace(gap, start_ms=gap.start_ms + by_ms, end_ms=end_ms)
