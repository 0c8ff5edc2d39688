"""The answered part of a call: evidence of media, the meter, interruptions, taking over."""

from msgspec.structs import replace

from signalling.codes import By, Code, Party, Reason, Refused, State
from signalling.core import ending, evidence, inputs
from signalling.core import meter as metering
from signalling.core.effects import Charge, Effect, NoteLegs, PushIce, Relay, Tell
from signalling.core.model import Call, Gap, Leg, leg_of
from signalling.core.negotiation import release
from signalling.core.tariff import cost, share, units
from signalling.core.views import can_take, funded_until, meter_view
from signalling.events import (
    BalanceLow,
    CallConnected,
    CallReconnecting,
    CallTaken,
    CallTick,
    Event,
    PeerMediaState,
    PeerQuality,
)

BOTH = (Party.CALLER, Party.CALLEE)


def step(call: Call, given: inputs.Input, now_ms: int) -> tuple[Call, list[Effect]]:
    """Inputs that only make sense once the call was answered."""
    match given:
        case inputs.ChargePosted() | inputs.ChargeRefused() if call.connected_ms is None:
            return call, []  # Nothing is charged before.
        case inputs.ChargePosted():
            return charge_posted(call, given, now_ms)
        case inputs.ChargeRefused():
            return ending.end(call, Reason.SERVER_ERROR, By.SERVER, now_ms)
        case inputs.Funded():
            return charge(call, now_ms) if call.state is State.CONNECTED else (call, [])
        case inputs.Took(party=party, device=device):
            return take(call, party, device, now_ms)
        case (
            inputs.MediaConnected() | inputs.MediaLost() | inputs.MediaStats() | inputs.MediaState()
        ):
            if call.accepted_ms is None:
                raise Refused(Code.WRONG_STATE, f"The call is {call.state}, not answered yet.")
            leg = leg_of(call, given.party)
            if leg.device != given.device:
                raise Refused(Code.NOT_YOUR_LEG, "Only the device that is the leg may report.")
            return report(call, given, leg, now_ms)
        case _:
            raise Refused(Code.WRONG_STATE, f"The call is {call.state}.")


def report(call: Call, given: inputs.Input, leg: Leg, now_ms: int) -> tuple[Call, list[Effect]]:
    match given:
        case inputs.MediaConnected(party=party, relay=relay):
            return media_connected(call, party, routed(leg, relay), now_ms)
        case inputs.MediaLost(party=party, why=why):
            if call.state is State.ACCEPTED:
                return call.with_leg(party, replace(leg, media=False)), []
            return interrupt(call, party, why, now_ms)
        case inputs.MediaStats():
            return stats(call, given, leg, now_ms)
        case inputs.MediaState(party=party, audio=audio, video=video, hold=hold):
            # The payer's hold may silence the counters: proof starts afresh when it begins or ends.
            call = call.with_leg(party, replace(leg, audio=audio, video=video, hold=hold))
            if hold != leg.hold and party is Party.CALLER:
                call = proved(call, now_ms)
            event = PeerMediaState(leg=party, audio=audio, video=video, hold=hold)
            return call, tell_leg_of(call, party.other, event)
        case _:
            raise AssertionError(given)


def routed(leg: Leg, relay: bool | None) -> Leg:
    """The leg after a report that says, or does not, whether its media is relayed."""
    return leg if relay is None or relay == leg.relay else replace(leg, relay=relay)


def tell_both(call: Call, event: Event) -> list[Effect]:
    return [Tell(party, event, call.rev) for party in BOTH]


def tell_leg_of(call: Call, party: Party, event: Event) -> list[Effect]:
    """An event for the device that is the party's leg, if there is one."""
    device = leg_of(call, party).device
    return [] if device is None else [Tell(party, event, only=device)]


def rate(call: Call, party: Party, quality: str) -> tuple[Call, list[Effect]]:
    """Remember how good a leg's connection is; the other leg hears of a change."""
    leg = leg_of(call, party)
    if leg.quality == quality:
        return call, []
    call = call.with_leg(party, replace(leg, quality=quality))
    return call, tell_leg_of(call, party.other, PeerQuality(leg=party, quality=quality))


def proved(call: Call, now_ms: int) -> Call:
    return replace(
        call,
        caller=replace(call.caller, proof_ms=now_ms),
        callee=replace(call.callee, proof_ms=now_ms),
    )


# -- connecting, interruptions


def media_connected(call: Call, party: Party, leg: Leg, now_ms: int) -> tuple[Call, list[Effect]]:
    call = call.with_leg(party, replace(leg, media=True, proof_ms=now_ms, report_ms=now_ms))
    if call.state is State.RECONNECTING:
        call, found = rate(call, party, "good") if leg.quality == "lost" else (call, [])
        call, effects = back(call, party, now_ms)
        return call, [*found, *effects]
    if call.state is State.ACCEPTED and leg_of(call, party.other).media:
        return connect(call, now_ms) if call.connect_on == "media" else answered(call, now_ms)
    return call, []


def answered(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """Where the answer connects, it does so as soon as no leg's socket is missing."""
    if any(leg.socket and not leg.here for leg in (call.caller, call.callee)):
        return call, []
    return connect(call, now_ms)


def connect(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """Both legs have media: time costs money from now on, and the first unit is posted."""
    call = replace(
        proved(call, now_ms),
        state=State.CONNECTED,
        rev=call.rev + 1,
        connected_ms=now_ms,
        expires_ms=now_ms + call.limits.duration_max_ms,
        meter=metering.run(call.meter, now_ms),
    )
    told = tell_connected(call, now_ms)
    call, effects = charge(call, now_ms, turn=True)
    return call, [*effects, *told]


def tell_connected(call: Call, now_ms: int, *, resumed: bool = False) -> list[Effect]:
    assert call.connected_ms is not None
    effects: list[Effect] = []
    for party in BOTH:
        view = meter_view(call, party, now_ms)
        if resumed:
            event = CallConnected(connected_at=call.connected_ms, resumed=True, meter=view)
        else:
            event = CallConnected(connected_at=call.connected_ms, meter=view)
        effects.append(Tell(party, event, call.rev))
    return effects


def interrupt(call: Call, party: Party, why: str, now_ms: int) -> tuple[Call, list[Effect]]:
    """A leg is gone. The meter stands still since the last proof of media and opens no unit."""
    call, lost = rate(call, party, "lost")
    call = call.with_leg(party, replace(leg_of(call, party), media=False))
    if call.state is State.RECONNECTING:
        if party in call.down:
            return call, lost
        call = replace(call, rev=call.rev + 1, down=call.down | {party}, why=why)
        again = CallReconnecting(leg=party, why=why, expires_at=call.expires_ms)
        return call, [*tell_both(call, again), *lost]
    paused_ms = now_ms
    if call.connect_on == "media":
        paused_ms = min(now_ms, call.caller.proof_ms, call.callee.proof_ms)
    running = call.meter
    call = replace(call, meter=metering.pause(running, paused_ms))
    # What was posted before the pause is sold already and no part of the gap.
    paused_ms = max(paused_ms, metering.at_ms(running, call.meter.billable_ms))
    window_ms = now_ms - call.limits.grace_window_ms
    breaks = tuple(past for past in call.breaks if past[1] > window_ms)
    used_ms = sum(end - max(start, window_ms) for start, end in breaks)
    left_ms = call.limits.grace_budget_ms - used_ms
    if left_ms <= 0:
        return ending.end(call, Reason.CONNECTION_LOST, By.SERVER, now_ms)
    call = replace(
        call,
        state=State.RECONNECTING,
        rev=call.rev + 1,
        down=frozenset({party}),
        why=why,
        down_since_ms=now_ms,
        breaks=breaks,
        expires_ms=min(now_ms + min(call.limits.grace_ms, left_ms), last_ms(call)),
        gap=Gap(
            start_ms=paused_ms, caller_bytes=call.caller.in_bytes, callee_bytes=call.callee.in_bytes
        ),
    )
    call, effects = charge(call, now_ms, turn=True)
    told = tell_both(call, CallReconnecting(leg=party, why=why, expires_at=call.expires_ms))
    return call, [*effects, *told, *lost]


def last_ms(call: Call) -> int:
    assert call.connected_ms is not None
    return call.connected_ms + call.limits.duration_max_ms


def back(call: Call, party: Party, now_ms: int) -> tuple[Call, list[Effect]]:
    """A leg is there again; when it was the last one missing, the call goes on."""
    if party not in call.down:
        return call, []
    call = replace(call, down=call.down - {party})
    if call.down:
        return call, []
    assert call.down_since_ms is not None
    gap = call.gap
    call = replace(
        proved(call, now_ms),
        state=State.CONNECTED,
        rev=call.rev + 1,
        why="",
        breaks=(*call.breaks, (call.down_since_ms, now_ms)),
        down_since_ms=None,
        expires_ms=last_ms(call),
        meter=metering.run(call.meter, now_ms),
        gap=None if gap is None else replace(gap, end_ms=now_ms),
    )
    told = tell_connected(call, now_ms, resumed=True)
    call, effects = charge(call, now_ms, turn=True)
    return call, [*effects, *told]


def take(call: Call, party: Party, device: str, now_ms: int) -> tuple[Call, list[Effect]]:
    leg = leg_of(call, party)
    if leg.device == device:
        return call, []
    if not can_take(call, party):
        raise Refused(Code.WRONG_STATE, "A leg can be taken over only while it is reconnecting.")
    leg = replace(leg, device=device, socket=True, here=True, media=False, in_bytes=0, rate=0.0)
    # Counters of another device prove nothing about the gap.
    call = replace(call.with_leg(party, leg), rev=call.rev + 1, gap=None)
    talk, early = release(call.talk) if party is Party.CALLEE else (call.talk, ())
    effects = tell_both(call, CallTaken(leg=party, device=device))
    effects.append(NoteLegs(call.caller.device, call.callee.device))
    effects += [Relay(party, device, signal.data) for signal in early]
    call = replace(call, talk=talk)
    if call.state is State.RECONNECTING and call.connect_on == "answer":
        call, more = back(call, party, now_ms)
        effects += more
    return call, effects


# -- evidence


def stats(call: Call, given: inputs.MediaStats, leg: Leg, now_ms: int) -> tuple[Call, list[Effect]]:
    party = given.party
    leg, flowing = evidence.count(call, given, routed(leg, given.relay), now_ms)
    call = call.with_leg(party, leg)
    effects: list[Effect] = []
    if flowing or party not in call.down:
        call, effects = rate(call, party, evidence.judge_quality(given))
    if call.gap is not None and call.state is State.CONNECTED:
        call = evidence.prove_gap(call, call.gap, party, now_ms)
    if call.state is State.RECONNECTING and call.why == "silent" and flowing and leg.here:
        call = call.with_leg(party, replace(leg, media=True))
        call, more = back(call, party, now_ms)
        effects += more
    return call, effects


# -- the meter


def charge(call: Call, now_ms: int, *, turn: bool = False) -> tuple[Call, list[Effect]]:
    """Ask the ledger for the cost so far; while the meter runs, also to cover what comes next.

    `turn` marks a change of state, which the call's row then shows as well.
    """
    meter, talked = metering.post(call.meter, now_ms, renew_ms=call.limits.renew_ms)
    running = meter.since_ms is not None
    target = cost(meter.tariff, talked)
    effect = Charge(
        target_minor=target,
        earned_minor=share(meter.tariff, target),
        billable_ms=talked,
        asof_ms=metering.at_ms(meter, talked) if running else now_ms,
        running=running,
        cover_minor=meter.asked_minor,
        quantum_minor=meter.tariff.quantum_minor,
        units=units(meter.tariff, talked),
        connected_ms=call.connected_ms if turn else None,
        state=call.state,
    )
    return replace(call, meter=meter), [effect]


def charge_posted(call: Call, given: inputs.ChargePosted, now_ms: int) -> tuple[Call, list[Effect]]:
    meter = metering.posted(
        call.meter,
        charged_minor=given.charged_minor,
        hold_minor=given.hold_minor,
        available_minor=given.available_minor,
    )
    before = meter.told_minor
    told = metering.told(meter)
    if told.told_slice <= meter.told_slice:
        return replace(call, meter=meter), []
    call = replace(call, meter=told, rev=call.rev + 1)
    return call, [Tell(party, tick(call, party, before, now_ms), call.rev) for party in BOTH]


def tick(call: Call, party: Party, before_minor: int, now_ms: int) -> CallTick:
    meter = call.meter
    event = CallTick(
        unit=meter.told_slice + 1,
        charged=meter.charged_minor - before_minor,
        total=meter.charged_minor,
        billed_seconds=metering.billed_ms(meter.tariff, meter.posted_ms) // 1000,
        funded_until=funded_until(call, now_ms),
        status=metering.status(meter),
    )
    if party is Party.CALLER:
        return replace(event, balance=metering.balance(meter))
    return event


# -- timers


def deadline(call: Call) -> int | None:
    """When evidence lapses or TURN credentials grow old; the meter has its own time."""
    times = (call.ice_ms, evidence.lapse_ms(call))
    return min((time for time in times if time is not None), default=None)


def stop_ms(call: Call) -> int | None:
    """The moment at which the evidence or the covered money of a running meter ends."""
    times = (evidence.lapse_ms(call), metering.covered_until_ms(call.meter))
    return min((time for time in times if time is not None), default=None)


def timer(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    effects: list[Effect] = []
    if call.ice_ms is not None and now_ms >= call.ice_ms:
        call = replace(call, ice_ms=now_ms + call.limits.ice_ttl_ms * 4 // 5)
        for party in BOTH:
            leg = leg_of(call, party)
            if leg.device is not None and leg.socket:
                effects.append(PushIce(party, leg.device))
    if call.state is not State.CONNECTED:
        return call, effects
    limits = call.limits
    lapse, covered = evidence.lapse_ms(call), metering.covered_until_ms(call.meter)
    # A late timer finds what came first, not what is asked about first.
    if lapse is not None and now_ms >= lapse and (covered is None or lapse < covered):
        call, more = silence(call, now_ms)
        return call, [*effects, *more]
    due = metering.look(call.meter, now_ms, renew_ms=limits.renew_ms, warn_ms=limits.low_balance_ms)
    if due.cut:
        call, more = cut(call, now_ms)
        return call, [*effects, *more]
    if due.warn_end_ms is not None or due.withdrawn:
        call, more = warn(call, now_ms)
        effects += more
    if due.post:
        call, more = charge(call, now_ms)
        effects += more
    return call, effects


def silence(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """The legs that proved nothing for too long are gone."""
    effects: list[Effect] = []
    for party in BOTH:
        silent = now_ms >= leg_of(call, party).proof_ms + call.limits.evidence_ms
        if silent and call.state is not State.ENDED:
            call, more = interrupt(call, party, "silent", now_ms)
            effects += more
    return call, effects


def cut(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """The covered money is used up: the call ends at that very millisecond."""
    at_ms = metering.covered_until_ms(call.meter)
    assert at_ms is not None
    # If the wallet could pay, the ledger has not answered: time beyond the hold is not sold.
    known = metering.end_ms(call.meter) == metering.funded_ms(call.meter)
    reason = Reason.BALANCE_EXHAUSTED if known else Reason.SERVER_ERROR
    return ending.end(call, reason, By.SERVER, at_ms, late_ms=now_ms - at_ms)


def warn(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    end = metering.end_ms(call.meter)
    meter = metering.warned(call.meter, now_ms, call.limits.low_balance_ms)
    withdrawn = meter.warned_ms is None
    call = replace(call, meter=meter, rev=call.rev + 1)
    ends_at = None if end is None else metering.at_ms(meter, end)
    event = BalanceLow(
        seconds_left=None if ends_at is None else max(0, ends_at - now_ms) // 1000,
        ends_at=ends_at,
        withdrawn=withdrawn,
    )
    return call, tell_both(call, event)
