"""How a call ends: the books first, then one terminal event for every device."""

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from signalling.codes import REJECTIONS, By, Party, Reason, State
from signalling.core import inputs
from signalling.core.effects import Closed, Effect, Settle, Tell
from signalling.core.evidence import sure_ms
from signalling.core.meter import pause, talked_ms, total
from signalling.core.model import Call, leg_of
from signalling.core.tariff import share, units
from signalling.core.views import final_view
from signalling.events import CallEnded, CallRejected, Event, WalletUpdated


def end(
    call: Call, reason: Reason, by: By, at_ms: int, *, late_ms: int = 0
) -> tuple[Call, list[Effect]]:
    """The call as ended at `at_ms`, which is noticed `late_ms` later.

    Nobody is told before the books are closed or 2 s are over.
    """
    connected = call.connected_ms is not None
    meter = pause(call.meter, sure_ms(call, at_ms)) if connected else call.meter
    billable_ms = talked_ms(meter, at_ms) if connected else 0
    target = total(meter, billable_ms) if connected else 0
    call = replace(
        call,
        state=State.ENDED,
        rev=call.rev + 1,
        reason=reason,
        by=by,
        ended_ms=at_ms,
        expires_ms=None,
        caller_gone_ms=None,
        ice_ms=None,
        down=frozenset(),
        meter=meter,
        settle_by_ms=at_ms + late_ms + call.limits.settle_wait_ms,
    )
    settle = Settle(
        target_minor=target,
        earned_minor=share(meter.tariff, target),
        billable_ms=billable_ms,
        units=units(meter.tariff, billable_ms),
        reason=reason,
        by=by,
        ended_ms=at_ms,
    )
    return call, [settle]


def after_end(call: Call, given: inputs.Input, now_ms: int) -> tuple[Call, list[Effect]]:
    """Late inputs are normal and change nothing; the ledger's answer and the timer tell the end."""
    match given:
        case inputs.Settled():
            if call.final is not None and call.final.settled:
                return call, [Closed()]
            was_told = call.told
            final = final_view(
                call,
                billable_ms=given.billable_ms,
                charged_minor=given.charged_minor,
                settled=True,
            )
            call = replace(call, final=final, told=True)
            last = [] if was_told else terminal(call)
            return call, [*_wallets(call, given), *last, Closed()]
        case inputs.TimerFired() if (
            not call.told and call.settle_by_ms is not None and now_ms >= call.settle_by_ms
        ):
            return tell_unsettled(call, now_ms)
        case inputs.SettleFailed():
            if call.told:
                return call, [Closed()]
            call, effects = tell_unsettled(call, now_ms)
            return call, [*effects, Closed()]
        case _:
            return call, []


def tell_unsettled(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """The end by the meter's own figures; the ledger's truth is for later, in the history."""
    billable_ms = 0 if call.connected_ms is None else talked_ms(call.meter, now_ms)
    charged = 0 if call.connected_ms is None else total(call.meter, billable_ms)
    final = final_view(call, billable_ms=billable_ms, charged_minor=charged, settled=False)
    call = replace(call, final=final, told=True)
    return call, terminal(call)


def _wallets(call: Call, given: inputs.Settled) -> list[Effect]:
    if given.charged_minor == 0:
        return []
    currency = call.meter.tariff.currency
    effects: list[Effect] = [
        Tell(
            Party.CALLER,
            WalletUpdated(
                balance=given.available_minor, currency=currency, reason="call", call=call.id
            ),
        )
    ]
    if given.earned_minor:
        effects.append(
            Tell(
                Party.CALLEE,
                WalletUpdated(
                    currency=currency, reason="earnings", call=call.id, earnings=given.earned_minor
                ),
            )
        )
    return effects


def terminal(call: Call) -> list[Effect]:
    """The one terminal event: `call_rejected` if the callee's side refused, else `call_ended`."""
    assert call.reason is not None
    assert call.by is not None
    assert call.final is not None
    kind = CallRejected if call.reason in REJECTIONS else CallEnded
    here = kind(
        reason=call.reason,
        by=call.by,
        elsewhere=False,
        final=call.final,
        note=UNSET if call.said is None else call.said,
    )
    elsewhere = msgspec.structs.replace(here, elsewhere=True)
    return [
        *tell_leg(call, Party.CALLER, here, elsewhere),
        *tell_leg(call, Party.CALLEE, here, elsewhere),
    ]


def tell_leg(call: Call, party: Party, here: Event, elsewhere: Event) -> list[Effect]:
    """`here` for the device that is the leg, `elsewhere` for the party's other devices."""
    device = leg_of(call, party).device
    if device is None:
        return [Tell(party, here, call.rev)]
    return [
        Tell(party, here, call.rev, only=device),
        Tell(party, elsewhere, call.rev, but=device),
    ]
