"""What must be done after a step. Values only: the performer carries them out, in order."""

import msgspec

from signalling.codes import By, Party, Reason, State
from signalling.events import Event


class Effect(msgspec.Struct, frozen=True, gc=False):
    """Base of all effects."""


class Tell(Effect, frozen=True):
    """An event for devices of one party: all, `only` one, or all `but` one."""

    party: Party
    event: Event
    rev: int | None = None
    only: str | None = None
    but: str | None = None


class Relay(Effect, frozen=True):
    """Signalling for one device, as it came."""

    party: Party
    device: str
    data: bytes


class WakeCallee(Effect, frozen=True):
    """Push to the callee's devices that have no socket."""


class PushIce(Effect, frozen=True):
    """Fresh TURN credentials for a leg."""

    party: Party
    device: str


class Note(Effect, frozen=True):
    """Write the call's state down when there is time; nobody waits for it."""

    state: State
    ringing_ms: int | None
    accepted_ms: int | None
    callee_device: str | None


class NoteLegs(Effect, frozen=True):
    """Write down which devices are the legs; nobody waits for it."""

    caller: str | None
    callee: str | None


class Charge(Effect, frozen=True):
    """Post the cumulative cost and hold what comes next.

    `cover_minor` is the cumulative cost to be covered by charged + held afterwards; `asof_ms` is
    the node clock's time at which `billable_ms` had been talked.
    """

    target_minor: int
    earned_minor: int
    billable_ms: int
    asof_ms: int
    running: bool
    cover_minor: int
    quantum_minor: int
    units: int
    connected_ms: int | None
    state: State


class Settle(Effect, frozen=True):
    """Close the books, once."""

    target_minor: int
    earned_minor: int
    billable_ms: int
    units: int
    reason: Reason
    by: By
    ended_ms: int


class Closed(Effect, frozen=True):
    """Everybody has been told; the host may let the call go."""
