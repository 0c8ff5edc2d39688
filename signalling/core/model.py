"""The state of a call as frozen values. All times are the node clock's Unix milliseconds."""

from uuid import UUID

import msgspec
from msgspec.structs import replace

from signalling.codes import By, Party, Reason, State
from signalling.core.meter import Meter
from signalling.core.negotiation import Negotiation
from signalling.events import Final, Profile
from signalling.limits import CallLimits

# What a party is called that acts by requests and has no socket in the call.
REST = "rest"


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One party's side. `device` is None until the callee answers, or for a leg without a socket.

    `proof_ms` is the last moment at which this leg proved that media reached it, `report_ms` its
    last report of any kind; `rate` is the inbound bytes per second of the last two reports.
    `relay` is whether its media goes through a TURN server, as it last said; None: it never did.
    """

    profile: Profile
    device: str | None = None
    socket: bool = False
    here: bool = False
    media: bool = False
    audio: bool = True
    video: bool = False
    hold: bool = False
    proof_ms: int = 0
    report_ms: int = 0
    in_bytes: int = 0
    rate: float = 0.0
    quality: str = "good"
    relay: bool | None = None


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """An interruption whose time is billed only if both legs' counters show that media flowed."""

    start_ms: int
    end_ms: int | None = None
    caller_bytes: int
    callee_bytes: int
    caller_proved: bool = False
    callee_proved: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call. `expires_ms` is the deadline of its state; `down` are the legs that must come back.

    `breaks` are the past (start, end) times of reconnecting inside the budget's window.
    """

    id: UUID
    kind: str
    connect_on: str
    caller: Leg
    callee: Leg
    limits: CallLimits
    meter: Meter
    state: State
    rev: int
    created_ms: int
    expires_ms: int | None
    note: str | None = None
    said: str | None = None  # what the callee said with a rejection
    talk: Negotiation = Negotiation()
    ringing_ms: int | None = None
    accepted_ms: int | None = None
    connected_ms: int | None = None
    ended_ms: int | None = None
    caller_gone_ms: int | None = None
    ice_ms: int | None = None
    down: frozenset[Party] = frozenset()
    why: str = ""
    down_since_ms: int | None = None
    breaks: tuple[tuple[int, int], ...] = ()
    gap: Gap | None = None
    reason: Reason | None = None
    by: By | None = None
    settle_by_ms: int | None = None
    final: Final | None = None
    told: bool = False

    def with_leg(self, party: Party, leg: Leg) -> "Call":
        if party is Party.CALLER:
            return replace(self, caller=leg)
        return replace(self, callee=leg)


def leg_of(call: Call, party: Party) -> Leg:
    return call.caller if party is Party.CALLER else call.callee
