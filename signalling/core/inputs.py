"""What can happen to a call. Values only: the shell makes them, `step` reads them."""

from typing import Literal

import msgspec

from signalling.codes import By, Party


class Input(msgspec.Struct, frozen=True, gc=False):
    """Base of all inputs."""


class Rang(Input, frozen=True):
    """A device of the callee rings."""

    device: str


class Accepted(Input, frozen=True):
    """A device of the callee answers; None when it was done without a socket."""

    device: str | None
    audio: bool = True
    video: bool = False


class Rejected(Input, frozen=True):
    """The callee says no before answering. `away` is told as unavailable."""

    reason: Literal["declined", "busy", "away"]
    note: str | None = None


class HungUp(Input, frozen=True):
    """This party wants out, in any state and from any device."""

    party: Party


class Signalled(Input, frozen=True):
    """Signalling of one leg. `data` is the JSON object to relay, `size` its bytes."""

    party: Party
    device: str
    kind: Literal["offer", "answer", "candidates", "end"]
    gen: int
    data: bytes


class MediaConnected(Input, frozen=True):
    """Media reaches a leg. `relay`: through a TURN server; None: unknown. `ms`: see `Watcher`."""

    party: Party
    device: str
    relay: bool | None = None
    ms: int = 0


class MediaLost(Input, frozen=True):
    party: Party
    device: str
    why: Literal["ice", "app"]


class MediaHook(Input, frozen=True):
    """What the operator's own media server has seen of both legs."""

    kind: Literal["connected", "rtp", "end"]


class MediaStats(Input, frozen=True):
    """Cumulative inbound bytes of one leg, and how good its connection is."""

    party: Party
    device: str
    in_bytes: int
    rtt_ms: float
    loss: float
    jitter_ms: float
    relay: bool | None = None


class MediaState(Input, frozen=True):
    party: Party
    device: str
    audio: bool
    video: bool
    hold: bool


class Took(Input, frozen=True):
    """Another device of the party takes the leg over."""

    party: Party
    device: str


class SocketLost(Input, frozen=True):
    party: Party
    device: str


class SocketMoving(Input, frozen=True):
    """The device's node goes away; it comes back on another one. Evidence says whether media
    flows meanwhile."""

    party: Party
    device: str


class SocketBack(Input, frozen=True):
    party: Party
    device: str


class TimerFired(Input, frozen=True):
    """The time that `deadline` named has come."""


class Funded(Input, frozen=True):
    """Money arrived in the payer's wallet."""


class ChargePosted(Input, frozen=True):
    """The ledger's answer to a charge: cumulative figures, and what the payer may still spend."""

    charged_minor: int
    hold_minor: int
    available_minor: int


class ChargeRefused(Input, frozen=True):
    """The ledger will not take charges of this call from us any more."""


class Settled(Input, frozen=True):
    """The books of the call are closed; the ledger's figures."""

    charged_minor: int
    earned_minor: int
    billable_ms: int
    available_minor: int


class SettleFailed(Input, frozen=True):
    """This node can close the books of the call no more; recovery will."""


class Stopped(Input, frozen=True):
    """The operator, or a fault that cannot be mended, ends the call."""

    by: Literal[By.ADMIN, By.SERVER]
