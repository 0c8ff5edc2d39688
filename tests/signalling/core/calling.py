"""Calls in any state, made by their inputs. Alice calls Bob from her phone; Bob has a desk phone.

Alice's tablet and Bob's watch are further devices of theirs.
"""

from collections.abc import Callable
from uuid import UUID

from msgspec.structs import replace

from signalling.codes import Party, State
from signalling.core import inputs
from signalling.core.call import open_call, step
from signalling.core.effects import Charge, Effect, Settle, Tell
from signalling.core.model import Call
from signalling.core.tariff import Tariff, first_hold, minute
from signalling.events import Event, Profile
from signalling.limits import CallLimits

NOW = 1_700_000_000_000
CALL = UUID(int=7)
ALICE = Profile(user_id=UUID(int=1), name="Alice")
BOB = Profile(user_id=UUID(int=2), name="Bob")
PHONE, TABLET, DESK, WATCH = "phone", "tablet", "desk", "watch"
LEG = {Party.CALLER: PHONE, Party.CALLEE: DESK}
OTHER = {Party.CALLER: TABLET, Party.CALLEE: WATCH}
LIMITS = CallLimits()
PRICE = minute(120)


def opened(
    *,
    connect_on: str = "media",
    tariff: Tariff = PRICE,
    available: int = 10_000,
    has_socket: bool = True,
    limits: CallLimits = LIMITS,
    wakeable: bool = True,
) -> tuple[Call, list[Effect]]:
    """A call at NOW; `available` is what Alice may spend besides the first hold."""
    return open_call(
        call_id=CALL,
        kind="audio",
        connect_on=connect_on,
        caller=ALICE,
        callee=BOB,
        device=PHONE,
        has_socket=has_socket,
        tariff=tariff,
        held_minor=first_hold(tariff),
        available_minor=available,
        limits=limits,
        note=None,
        wakeable=wakeable,
        created_ms=NOW,
        now_ms=NOW,
    )


def feed(call: Call, *given: inputs.Input, now_ms: int = NOW) -> Call:
    for one in given:
        call, _ = step(call, one, now_ms)
    return call


def connected(party: Party) -> inputs.MediaConnected:
    return inputs.MediaConnected(party, LEG[party])


def stats(party: Party, in_bytes: int) -> inputs.MediaStats:
    return inputs.MediaStats(party, LEG[party], in_bytes, 20.0, 0.0, 3.0)


def posted(call: Call, effects: list[Effect], wallet: int | None = None) -> inputs.ChargePosted:
    """What a ledger that can hold everything answers; or one whose payer had `wallet` in all."""
    charge = next(effect for effect in effects if isinstance(effect, Charge))
    quantum = charge.quantum_minor
    if wallet is None:
        wallet = call.meter.cover_minor + call.meter.available_minor
    room = wallet - charge.target_minor
    wanted = charge.cover_minor - charge.target_minor
    hold = wanted if room >= wanted else room // quantum * quantum
    return inputs.ChargePosted(charge.target_minor, hold, room - hold)


def talking(
    *,
    now_ms: int = NOW,
    connect_on: str = "media",
    tariff: Tariff = PRICE,
    available: int = 10_000,
    limits: CallLimits = LIMITS,
) -> Call:
    """A call connected at `now_ms`, its first slice posted."""
    call, _ = opened(connect_on=connect_on, tariff=tariff, available=available, limits=limits)
    call = feed(call, inputs.Rang(DESK))
    call, effects = step(call, inputs.Accepted(DESK), now_ms)
    if connect_on == "media":
        call = feed(call, connected(Party.CALLER), now_ms=now_ms)
        call, effects = step(call, connected(Party.CALLEE), now_ms)
    return feed(call, posted(call, effects), now_ms=now_ms)


MAKERS: dict[State, Callable[[], Call]] = {
    State.REQUESTED: lambda: opened()[0],
    State.RINGING: lambda: feed(opened()[0], inputs.Rang(DESK)),
    State.ACCEPTED: lambda: feed(opened()[0], inputs.Rang(DESK), inputs.Accepted(DESK)),
    State.CONNECTED: talking,
    State.RECONNECTING: lambda: feed(talking(), inputs.SocketLost(Party.CALLER, PHONE)),
    State.ENDED: lambda: feed(talking(), inputs.HungUp(Party.CALLER)),
}
LIVE = tuple(state for state in State if state is not State.ENDED)


def in_state(state: State) -> Call:
    """A call at NOW. Reconnecting waits for the caller's socket; ended is not settled yet."""
    return MAKERS[state]()


def events(effects: list[Effect], party: Party | None = None) -> list[Event]:
    return [
        effect.event
        for effect in effects
        if isinstance(effect, Tell) and (party is None or effect.party is party)
    ]


def settle_of(effects: list[Effect]) -> Settle:
    (settle,) = (effect for effect in effects if isinstance(effect, Settle))
    return settle


def charge_of(effects: list[Effect]) -> Charge:
    (charge,) = (effect for effect in effects if isinstance(effect, Charge))
    return charge


def settled(settle: Settle, available: int = 0) -> inputs.Settled:
    return inputs.Settled(settle.target_minor, settle.earned_minor, settle.billable_ms, available)


def quick(**timers: int) -> CallLimits:
    return replace(LIMITS, **timers)
