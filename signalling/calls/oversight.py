"""Live calls as operators see them, whichever node runs them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import msgspec

from signalling.calls.host import Host
from signalling.calls.journal import Entry
from signalling.calls.registry import Registry
from signalling.codes import Refused, State
from signalling.core.meter import balance, talked_ms
from signalling.core.model import Call, Leg
from signalling.core.tariff import units
from signalling.core.views import funded_until
from signalling.events import Shape
from signalling.nodes.exchange import Exchange
from signalling.nodes.parcels import Survey
from storage.errors import Unavailable

# A page waits for it: what is not known by then is left out.
LOOK_S = 1.0


class LiveLeg(Shape, frozen=True):
    """`here`: its socket is connected; `media`: media reaches it. `quality`: good, poor or lost,
    None before it had media; `relay` as it last said."""

    device: str | None
    here: bool
    media: bool
    quality: str | None
    relay: bool | None
    audio: bool
    video: bool
    hold: bool


class LiveMeter(Shape, frozen=True):
    """Amounts are minor units. `fundedUntil`, Unix ms, is None for a call that costs nothing."""

    running: bool
    billable_ms: int
    units: int
    charged: int
    held: int
    balance: int
    funded_until: int | None


class LiveJournal(Shape, frozen=True):
    """`reports` counts media reports that changed nothing; they have no entries."""

    entries: list[Entry]
    left_out: int
    reports: int


class LiveCall(Shape, frozen=True):
    """A call as its owner has it; times are Unix ms of its clock, `claim` its owners before."""

    id: UUID
    claim: int
    state: State
    ringing_at: int | None
    accepted_at: int | None
    connected_at: int | None
    ended_at: int | None
    caller: LiveLeg
    callee: LiveLeg
    meter: LiveMeter
    journal: LiveJournal | None


_decode = msgspec.json.Decoder(list[LiveCall]).decode


class Oversight:
    """`address` is this node."""

    def __init__(
        self, *, registry: Registry, exchange: Exchange, address: str, clock: Callable[[], int]
    ) -> None:
        self._registry = registry
        self._exchange = exchange
        self._address = address
        self._clock = clock

    def here(self, call_ids: Sequence[UUID], *, journal: bool = False) -> list[LiveCall]:
        """Those of the calls that this node runs."""
        found = [self._registry.find(call_id) for call_id in call_ids]
        now_ms = self._clock()
        return [view(host, now_ms, journal=journal) for host in found if host is not None]

    async def look(
        self, wanted: Mapping[str, Sequence[UUID]], *, journal: bool = False
    ) -> dict[UUID, LiveCall]:
        """The calls that are `wanted` of each node. Never raises: calls of a node that does not
        answer in time are missing, as are those that it does not run any more."""
        answers = await asyncio.gather(
            *[self._ask(node, call_ids, journal) for node, call_ids in wanted.items()]
        )
        return {call.id: call for answer in answers for call in answer}

    async def _ask(self, node: str, call_ids: Sequence[UUID], journal: bool) -> list[LiveCall]:
        if node == self._address:
            return self.here(call_ids, journal=journal)
        if node not in self._exchange.bus.peers():
            return []
        try:
            survey = Survey(tuple(call_ids), journal)
            return _decode(await self._exchange.ask(node, survey, timeout_s=LOOK_S))
        except (Refused, Unavailable):
            return []


def view(host: Host, now_ms: int, *, journal: bool) -> LiveCall:
    call, noted = host.call, host.journal
    return LiveCall(
        id=call.id,
        claim=host.claim,
        state=call.state,
        ringing_at=call.ringing_ms,
        accepted_at=call.accepted_ms,
        connected_at=call.connected_ms,
        ended_at=call.ended_ms,
        caller=_leg(call, call.caller),
        callee=_leg(call, call.callee),
        meter=_meter(call, now_ms),
        journal=LiveJournal(entries=noted.entries(), left_out=noted.left_out, reports=noted.reports)
        if journal
        else None,
    )


def _leg(call: Call, leg: Leg) -> LiveLeg:
    return LiveLeg(
        device=leg.device,
        here=leg.here,
        media=leg.media,
        quality=None if call.connected_ms is None else leg.quality,
        relay=leg.relay,
        audio=leg.audio,
        video=leg.video,
        hold=leg.hold,
    )


def _meter(call: Call, now_ms: int) -> LiveMeter:
    meter = call.meter
    billable_ms = talked_ms(meter, now_ms)
    return LiveMeter(
        running=meter.since_ms is not None,
        billable_ms=billable_ms,
        units=units(meter.tariff, billable_ms),
        charged=meter.charged_minor,
        held=meter.cover_minor - meter.charged_minor,
        balance=balance(meter),
        funded_until=funded_until(call, now_ms),
    )
