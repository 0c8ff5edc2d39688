"""A call as one of its parties may see it."""

from msgspec import UNSET

from signalling.codes import Party, State
from signalling.core.meter import at_ms, balance, billed_ms, funded_ms, talked_ms
from signalling.core.model import Call, Leg, leg_of
from signalling.core.tariff import Tariff, price_per_minute, units
from signalling.events import Final, Legs, LegView, MediaView, MeterView, Snapshot, TariffView


def tariff_view(tariff: Tariff) -> TariffView:
    return TariffView(
        name=tariff.name,
        price_per_minute=price_per_minute(tariff),
        currency=tariff.currency,
        first_ms=tariff.first_ms,
        next_ms=tariff.next_ms,
        free_ms=tariff.free_ms,
        connect_fee=tariff.connect_fee_minor,
    )


def leg_view(leg: Leg) -> LegView:
    return LegView(
        device=leg.device,
        connected=leg.media,
        media=MediaView(audio=leg.audio, video=leg.video, hold=leg.hold),
    )


def funded_until(call: Call, now_ms: int) -> int | None:
    """The moment the covered money ends: exact while the meter runs, from now while it stands."""
    end = funded_ms(call.meter)
    if end is None:
        return None
    if call.meter.since_ms is None:
        return now_ms + end - call.meter.billable_ms
    return at_ms(call.meter, end)


def meter_view(call: Call, party: Party, now_ms: int) -> MeterView:
    meter = call.meter
    talked = talked_ms(meter, now_ms)
    return MeterView(
        running=meter.since_ms is not None,
        billable_ms=talked,
        units=units(meter.tariff, talked),
        charged=meter.charged_minor,
        held=meter.cover_minor - meter.charged_minor,
        funded_until=funded_until(call, now_ms),
        balance=balance(meter) if party is Party.CALLER else UNSET,
    )


def can_take(call: Call, party: Party) -> bool:
    """Whether another device may become the leg: it is missing, or never had a socket."""
    leg = leg_of(call, party)
    if call.accepted_ms is None or call.state is State.ENDED:
        return False
    return not leg.socket or (call.state is State.RECONNECTING and party in call.down)


def standing(call: Call, party: Party, device: str | None) -> str:
    """What this device is to the call: active, ringing, elsewhere or canTake."""
    leg = leg_of(call, party)
    if leg.device is None and party is Party.CALLEE and call.accepted_ms is None:
        return "ringing"
    if leg.device == device:
        return "active"
    return "canTake" if can_take(call, party) else "elsewhere"


def snapshot(call: Call, party: Party, device: str | None, now_ms: int) -> Snapshot:
    """The call as `device` of `party` sees it. After the end `final` says it all, no meter runs."""
    over = call.final is not None
    return Snapshot(
        id=call.id,
        state=call.state,
        rev=call.rev,
        kind=call.kind,
        connect_on=call.connect_on,
        role=party,
        peer=leg_of(call, party.other).profile,
        legs=Legs(caller=leg_view(call.caller), callee=leg_view(call.callee)),
        you=standing(call, party, device),
        tariff=tariff_view(call.meter.tariff),
        created_at=call.created_ms,
        ringing_at=call.ringing_ms,
        accepted_at=call.accepted_ms,
        connected_at=call.connected_ms,
        ended_at=call.ended_ms,
        expires_at=call.expires_ms,
        gen=call.talk.gen,
        note=call.note,
        meter=None if over or call.connected_ms is None else meter_view(call, party, now_ms),
        reason=call.reason,
        by=call.by,
        final=UNSET if call.final is None else call.final,
    )


def final_view(call: Call, *, billable_ms: int, charged_minor: int, settled: bool) -> Final:
    """What an ended call came to. Seconds are rounded up to whole ones, as people read them."""
    assert call.ended_ms is not None
    tariff = call.meter.tariff
    answered = call.accepted_ms if call.accepted_ms is not None else call.ended_ms
    return Final(
        ring_seconds=0 if call.ringing_ms is None else max(0, answered - call.ringing_ms) // 1000,
        talk_seconds=-(-billable_ms // 1000),
        billed_seconds=billed_ms(tariff, billable_ms) // 1000,
        units=units(tariff, billable_ms),
        total=charged_minor,
        settled=settled,
    )
