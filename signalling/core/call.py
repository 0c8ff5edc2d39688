"""One call: its frozen state, and `step`, the only function that changes it.

`step(call, given, now_ms)` returns the next state and what must be done. An input that makes no
sense raises a refusal and changes nothing; after the end everything is quietly ignored.
"""

from uuid import UUID

from msgspec.structs import replace

from signalling.codes import By, Code, Party, Reason, Refused, State
from signalling.core import ending, inputs, media_hook, talking
from signalling.core.effects import Effect, Note, Relay, Tell, WakeCallee
from signalling.core.meter import Meter, wake_ms
from signalling.core.model import Call, Leg, leg_of
from signalling.core.negotiation import Verdict, judge, keep, release
from signalling.core.tariff import Tariff
from signalling.core.views import snapshot
from signalling.events import CallAccepted, CallIncoming, CallRinging, Profile
from signalling.limits import CallLimits

BEFORE_ANSWER = frozenset({State.REQUESTED, State.RINGING})
TALKING = frozenset({State.CONNECTED, State.RECONNECTING})


def open_call(
    *,
    call_id: UUID,
    kind: str,
    connect_on: str,
    caller: Profile,
    callee: Profile,
    device: str,
    has_socket: bool,
    here: bool | None = None,
    tariff: Tariff,
    held_minor: int,
    available_minor: int,
    limits: CallLimits,
    note: str | None,
    wakeable: bool = True,
    created_ms: int,
    now_ms: int,
) -> tuple[Call, list[Effect]]:
    """A call that was just authorised: slots claimed and `held_minor` set aside, durably.

    `created_ms` is what its row says, from before the books had answered; it is given its time
    from `now_ms` on.
    `has_socket`: the caller's device is one with a socket, not a REST client; `here` is false if
    it lost that socket meanwhile. `wakeable`: the callee has devices that a push may wake.
    """
    here = has_socket if here is None else here
    call = Call(
        id=call_id,
        kind=kind,
        connect_on=connect_on,
        caller=Leg(profile=caller, device=device, here=here, socket=has_socket),
        callee=Leg(profile=callee),
        limits=limits,
        meter=Meter(tariff=tariff, cover_minor=held_minor, available_minor=available_minor),
        state=State.REQUESTED,
        rev=1,
        created_ms=created_ms,
        expires_ms=now_ms + limits.reach_ms,
        # The caller's socket may have gone while the money was being set aside.
        caller_gone_ms=now_ms + limits.caller_gone_ms if has_socket and not here else None,
        note=note,
    )
    incoming = CallIncoming(
        call=snapshot(call, Party.CALLEE, None, now_ms),
        caller=caller,
        expires_at=now_ms + limits.reach_ms,
    )
    tell = Tell(Party.CALLEE, incoming, call.rev)
    return call, [tell, WakeCallee()] if wakeable else [tell]


def step(call: Call, given: inputs.Input, now_ms: int) -> tuple[Call, list[Effect]]:
    """The call after one input, and the effects in the order in which they must happen.

    Raises:
        Refused: the input is not allowed now, or not to this device. Nothing has changed.
    """
    if call.state is State.ENDED:
        return ending.after_end(call, given, now_ms)
    match given:
        case inputs.Signalled():
            return signal(call, given)
        case inputs.Rang(device=device):
            return ring(call, device, now_ms)
        case inputs.Accepted():
            return accept(call, given, now_ms)
        case inputs.Rejected(reason=why, note=note):
            return reject(call, why, note, now_ms)
        case inputs.HungUp(party=party):
            return hang_up(call, party, now_ms)
        case inputs.SocketLost(party=party, device=device):
            return socket_lost(call, party, device, now_ms)
        case inputs.SocketMoving(party=party, device=device):
            return socket_moving(call, party, device, now_ms)
        case inputs.SocketBack(party=party, device=device):
            return socket_back(call, party, device, now_ms)
        case inputs.TimerFired():
            return timer(call, now_ms)
        case inputs.Stopped(by=By.ADMIN):
            return ending.end(call, Reason.ADMIN, By.ADMIN, now_ms)
        case inputs.Stopped():
            return ending.end(call, Reason.SERVER_ERROR, By.SERVER, now_ms)
        case inputs.MediaHook(kind=kind):
            return media_hook.seen(call, kind, now_ms)
        case inputs.Settled() | inputs.SettleFailed():
            return call, []  # Books close only after the end.
        case _:
            return talking.step(call, given, now_ms)


def deadline(call: Call) -> int | None:
    """The next moment at which `TimerFired` must be given; None when only inputs can change it."""
    if call.state is State.ENDED:
        return None if call.told else call.settle_by_ms
    times = [call.expires_ms, call.caller_gone_ms, talking.deadline(call)]
    if call.state is State.CONNECTED:
        limits = call.limits
        times.append(wake_ms(call.meter, renew_ms=limits.renew_ms, warn_ms=limits.low_balance_ms))
    known = [time for time in times if time is not None]
    return min(known) if known else None


def ring(call: Call, device: str, now_ms: int) -> tuple[Call, list[Effect]]:
    if call.state is State.RINGING:
        return call, []
    if call.state is not State.REQUESTED:
        raise refuse_late(call, device)
    call = replace(
        call,
        state=State.RINGING,
        rev=call.rev + 1,
        ringing_ms=now_ms,
        expires_ms=now_ms + call.limits.ring_ms,
    )
    event = CallRinging(device=device, expires_at=call.expires_ms)
    return call, [Tell(Party.CALLER, event, call.rev), Tell(Party.CALLEE, event, call.rev)]


def refuse_late(call: Call, device: str | None) -> Refused:
    """Why a callee's device may not ring, accept or reject any more."""
    if call.callee.device == device:
        return Refused(Code.WRONG_STATE, f"The call is {call.state} already.")
    return Refused(Code.ANSWERED_ELSEWHERE, "Another device has answered the call.")


def accept(call: Call, given: inputs.Accepted, now_ms: int) -> tuple[Call, list[Effect]]:
    if call.state not in BEFORE_ANSWER:
        if call.callee.device == given.device:
            return call, []
        raise refuse_late(call, given.device)
    # Without a socket nobody could take them yet: they wait for the device that takes the leg.
    talk, early = (call.talk, ()) if given.device is None else release(call.talk)
    has_socket = given.device is not None
    limits = call.limits
    call = replace(
        call,
        state=State.ACCEPTED,
        rev=call.rev + 1,
        talk=talk,
        accepted_ms=now_ms,
        expires_ms=now_ms + limits.connect_ms,
        caller_gone_ms=None,
        callee=replace(
            call.callee,
            device=given.device,
            here=has_socket,
            socket=has_socket,
            audio=given.audio,
            video=given.video,
        ),
        ice_ms=now_ms + limits.ice_ttl_ms * 4 // 5,
    )
    effects: list[Effect] = [
        *told_accepted(call, Party.CALLER, polite=False),
        *told_accepted(call, Party.CALLEE, polite=True),
        Note(State.ACCEPTED, call.ringing_ms, now_ms, given.device),
    ]
    if given.device is not None:
        effects += [Relay(Party.CALLEE, given.device, signal.data) for signal in early]
    if call.connect_on == "answer":
        call, more = talking.answered(call, now_ms)
        effects += more
    return call, effects


def told_accepted(call: Call, party: Party, *, polite: bool) -> list[Effect]:
    here = CallAccepted(
        device=call.callee.device, elsewhere=False, polite=polite, expires_at=call.expires_ms
    )
    return ending.tell_leg(call, party, here, replace(here, elsewhere=True))


def reject(call: Call, why: str, note: str | None, now_ms: int) -> tuple[Call, list[Effect]]:
    if call.state not in BEFORE_ANSWER:
        raise Refused(Code.WRONG_STATE, f"The call is {call.state} already; end it instead.")
    reason = {"declined": Reason.DECLINED, "busy": Reason.BUSY, "away": Reason.UNAVAILABLE}[why]
    return ending.end(replace(call, said=note), reason, By.CALLEE, now_ms)


def hang_up(call: Call, party: Party, now_ms: int) -> tuple[Call, list[Effect]]:
    if call.state not in BEFORE_ANSWER:
        reason = Reason.HANGUP
    elif party is Party.CALLER:
        reason = Reason.CANCELLED
    else:
        reason = Reason.DECLINED
    return ending.end(call, reason, By(party.value), now_ms)


def socket_lost(call: Call, party: Party, device: str, now_ms: int) -> tuple[Call, list[Effect]]:
    leg = leg_of(call, party)
    # Without its socket in a connected call it was moving: now it is known not to come.
    if leg.device != device or not (leg.here or call.state is State.CONNECTED):
        return call, []
    call = call.with_leg(party, replace(leg, here=False))
    if call.state in BEFORE_ANSWER and party is Party.CALLER:
        return replace(call, caller_gone_ms=now_ms + call.limits.caller_gone_ms), []
    if call.state in TALKING:
        return talking.interrupt(call, party, "socket", now_ms)
    return call, []


def socket_moving(call: Call, party: Party, device: str, now_ms: int) -> tuple[Call, list[Effect]]:
    """Where nobody asks for evidence, a missing socket is all there is to go by."""
    if call.state is not State.CONNECTED or call.connect_on == "answer":
        return socket_lost(call, party, device, now_ms)
    leg = leg_of(call, party)
    if leg.device != device or not leg.here:
        return call, []
    return call.with_leg(party, replace(leg, here=False)), []


def socket_back(call: Call, party: Party, device: str, now_ms: int) -> tuple[Call, list[Effect]]:
    leg = leg_of(call, party)
    if leg.device != device or leg.here:
        return call, []
    call = call.with_leg(party, replace(leg, here=True, socket=True))
    if party is Party.CALLER:
        call = replace(call, caller_gone_ms=None)
    if call.connect_on == "answer":
        if call.state is State.RECONNECTING:
            return talking.back(call, party, now_ms)
        if call.state is State.ACCEPTED:
            return talking.answered(call, now_ms)
    return call, []


def signal(call: Call, given: inputs.Signalled) -> tuple[Call, list[Effect]]:
    leg = leg_of(call, given.party)
    if call.state in BEFORE_ANSWER and given.party is Party.CALLEE:
        raise Refused(Code.WRONG_STATE, "Accept the call before you signal.")
    if leg.device != given.device:
        raise Refused(Code.NOT_YOUR_LEG, "Only the device that is the leg may signal.")
    talk, verdict = judge(call.talk, given)
    if verdict is not Verdict.RELAY:
        return call, []
    other = leg_of(call, given.party.other)
    if other.device is None:
        talk = keep(
            talk,
            given,
            signals_max=call.limits.buffered_signals_max,
            bytes_max=call.limits.buffered_bytes_max,
        )
        return replace(call, talk=talk), []
    if talk is not call.talk:
        call = replace(call, talk=talk)
    return call, [Relay(given.party.other, other.device, given.data)]


def timer(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """Whatever is due first; nothing when the timer was early."""
    gone, stop = call.caller_gone_ms, talking.stop_ms(call)
    if gone is not None and now_ms >= gone and (call.expires_ms is None or gone <= call.expires_ms):
        return ending.end(call, Reason.CANCELLED, By.CALLER, gone, late_ms=now_ms - gone)
    expires = call.expires_ms
    if expires is not None and now_ms >= expires and (stop is None or expires <= stop):
        reason = {
            State.REQUESTED: Reason.UNREACHABLE,
            State.RINGING: Reason.NO_ANSWER,
            State.ACCEPTED: Reason.CONNECT_FAILED,
            State.CONNECTED: Reason.MAX_DURATION,
            State.RECONNECTING: Reason.CONNECTION_LOST,
        }[call.state]
        if call.state is State.RECONNECTING and expires == talking.last_ms(call):
            reason = Reason.MAX_DURATION
        return ending.end(call, reason, By.SERVER, expires, late_ms=now_ms - expires)
    return talking.timer(call, now_ms)
