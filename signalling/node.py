"""Everything live of one node, wired: sockets, calls, and what it says to other nodes.

What it stands on is passed in: the database, the ledger's queue, the bus, the time. The server, the
tests' harness and the simulation make their nodes here, each on their own ground.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from signalling.calls.actions import Actions
from signalling.calls.adoption import Adopter
from signalling.calls.answering import Answering
from signalling.calls.asking import Asking
from signalling.calls.circle import Circle
from signalling.calls.claims import Claims
from signalling.calls.finder import Finder
from signalling.calls.guests import Guests
from signalling.calls.handover import Handover, Ledger
from signalling.calls.host import Host, Later
from signalling.calls.opening import House, Opener, TermsSource
from signalling.calls.oversight import Oversight
from signalling.calls.performer import CallPerformer
from signalling.calls.registry import Registry
from signalling.calls.routed import RoutedActions
from signalling.calls.wakefulness import Wakefulness
from signalling.calls.watcher import Watcher
from signalling.codes import Close
from signalling.commands import Frame
from signalling.events import Event
from signalling.frames import encode_event
from signalling.handlers.context import Context
from signalling.handlers.presence import PresenceBoard
from signalling.handlers.remote import Forwarder, Remotes
from signalling.handlers.table import CallDesk, Doorman
from signalling.handlers.visits import Visits
from signalling.limits import CallLimits, SocketLimits
from signalling.nodes.bus import Bus, Presence
from signalling.nodes.exchange import Exchange
from signalling.nodes.fanout import Fanout
from signalling.nodes.parcels import SessionEnded, encode
from signalling.push import NoPush, Push
from signalling.sockets.hub import Hub
from signalling.turn import TurnTerms, ice_servers
from storage.pool import Pool

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a node stands on. `proved_s` is when, by the loop's time, its epoch was last proved to
    hold; without it the node is always sure of that. `wait_ms` says when to ask again for a new
    call, while there are too many; 0 lets it begin. `closed` is
    told of calls that are over, `parted` of those that go on elsewhere, `adopted` of those taken
    over, `fenced` of nodes that were found dead, `session_ended` of log-ins that were revoked on
    another node."""

    pool: Pool
    terms: TermsSource
    books: Ledger
    claims: Claims
    bus: Bus
    presence: Presence
    doorman: Doorman
    house: House
    clock: Callable[[], int]
    later: Later
    call_limits: CallLimits = field(default_factory=CallLimits)
    socket_limits: SocketLimits = field(default_factory=SocketLimits)
    push: Push = field(default_factory=NoPush)
    turn: TurnTerms = field(default_factory=TurnTerms)
    watcher: Watcher | None = None
    proved_s: Callable[[], float] = lambda: math.inf
    wait_ms: Callable[[], int] = lambda: 0
    closed: Callable[[Host], None] = lambda _host: None
    parted: Callable[[Host], None] = lambda _host: None
    adopted: Callable[[str], None] = lambda _how: None
    fenced: Callable[[int], None] = lambda _nodes: None
    session_ended: Callable[[UUID], None] = lambda _session_id: None


class LiveNode:
    """`stop` leaves no task behind. The hub's sweep is started and stopped by whoever serves."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        clock = ground.clock
        self.exchange = Exchange(ground.bus)
        wakefulness = Wakefulness(asyncio.get_running_loop().time, ground.proved_s)
        self.board = PresenceBoard(ground.socket_limits, clock)
        self.desk = CallDesk(
            doorman=ground.doorman,
            presence=ground.presence,
            socket_limits=ground.socket_limits,
            call_limits=ground.call_limits,
        )
        self.hub = Hub(self.desk, ground.socket_limits, clock, awake=wakefulness.tick)
        self.registry = Registry(clock, self.board.changed)
        self.guests = Guests(self.registry, self.board.changed)
        self.fanout = Fanout(self.hub, self.exchange, self.guests.admits, self.guests.is_live)
        self.board.connect(self.hub, self.is_in_call, self.exchange)
        self.circle = Circle(
            exchange=self.exchange,
            fanout=self.fanout,
            presence=ground.presence,
            hub=self.hub,
            registry=self.registry,
            claims=ground.claims,
            clock=clock,
        )
        self.performer = CallPerformer(
            self.fanout,
            ground.books,
            ground.push,
            ground.turn,
            closed=self._closed,
            watcher=ground.watcher,
            sure=wakefulness.is_sure,
        )
        self.adopter = Adopter(
            claims=ground.claims,
            registry=self.registry,
            guests=self.guests,
            circle=self.circle,
            fanout=self.fanout,
            exchange=self.exchange,
            books=ground.books,
            performer=self.performer,
            limits=ground.call_limits,
            clock=clock,
            later=ground.later,
            adopted=ground.adopted,
            fenced=ground.fenced,
        )
        self.finder = Finder(
            claims=ground.claims,
            adopter=self.adopter,
            registry=self.registry,
            guests=self.guests,
            bus=ground.bus,
        )
        self.asking = Asking(self.finder, self.exchange, ground.claims.address)
        self.opener = Opener(
            pool=ground.pool,
            terms=ground.terms,
            registry=self.registry,
            books=ground.books,
            performer=self.performer,
            fanout=self.fanout,
            circle=self.circle,
            elsewhere=self.asking,
            push=ground.push,
            limits=ground.call_limits,
            house=ground.house,
            clock=clock,
            later=ground.later,
            closed=lambda: self.visits.moving,
        )
        self.actions = Actions(
            pool=ground.pool,
            registry=self.registry,
            opener=self.opener,
            fanout=self.fanout,
            circle=self.circle,
            hub=self.hub,
            turn=ground.turn,
            clock=clock,
            wait_ms=ground.wait_ms,
        )
        self.routed = RoutedActions(
            actions=self.actions,
            registry=self.registry,
            asking=self.asking,
            finder=self.finder,
            exchange=self.exchange,
            address=ground.claims.address,
            credentials=lambda user_id, call_id: ice_servers(
                ground.turn, user_id, call_id, clock()
            ),
        )
        self.oversight = Oversight(
            registry=self.registry,
            exchange=self.exchange,
            address=ground.claims.address,
            clock=clock,
        )
        self.answering = Answering(
            exchange=self.exchange,
            registry=self.registry,
            actions=self.actions,
            oversight=self.oversight,
            arrived=self._arrived,
            clock=clock,
        )
        self.visits = Visits(
            pool=ground.pool,
            exchange=self.exchange,
            fanout=self.fanout,
            hub=self.hub,
            guests=self.guests,
            finder=self.finder,
            forwarder=Forwarder(self.exchange, self.guests, self.hub, clock),
            address=ground.claims.address,
        )
        self.remotes = Remotes(
            self.exchange,
            ground.socket_limits,
            clock,
            has=lambda frame: frame.call is not None and self._has(frame.call),
            receive=self.desk.receive_from_afar,
            heard=self._heard_frame,
        )
        self.handover = Handover(
            registry=self.registry,
            guests=self.guests,
            circle=self.circle,
            exchange=self.exchange,
            books=ground.books,
            clock=clock,
            parted=ground.parted,
        )
        self.exchange.on(SessionEnded, self._session_ended)
        self.desk.connect(
            Context(
                pool=ground.pool,
                hub=self.hub,
                fanout=self.fanout,
                registry=self.registry,
                actions=self.actions,
                board=self.board,
                visits=self.visits,
                turn=ground.turn,
                clock=clock,
            )
        )

    def is_in_call(self, user_id: UUID) -> bool:
        """Whether the user is in a live call, of this node or, as far as it knows, of another."""
        return (
            self.registry.of_user(user_id) is not None or self.guests.of_user(user_id) is not None
        )

    def tell(self, user_id: UUID, event: Event) -> None:
        """Send an event to all devices of a user, wherever they are."""
        self.fanout.to_user(user_id, encode_event(event, self.ground.clock()))

    def end_session(self, session_id: UUID) -> None:
        """A login was revoked: close its sockets here and on every other node."""
        self.close_session(session_id)
        if not self.ground.bus.alone:
            self.ground.bus.post_all(encode(SessionEnded(session_id)))

    def close_session(self, session_id: UUID) -> None:
        """Close the sockets that a log-in has here."""
        self.hub.close_session(session_id, Close.REVOKED)

    def abandon_calls(self) -> None:
        """Others have taken this node's calls: nothing of them is done or told here any more."""
        self.adopter.close()
        for host in self.registry.hosts():
            host.abandon()
            self.registry.release(host)
            self.ground.parted(host)

    async def hand_over(self) -> int:
        """Leave every call to other nodes; how many there were. New ones are refused."""
        self.adopter.close()
        self.visits.moving = True
        count = 0
        while left := await self.handover.all():
            count += left  # Those that were being opened meanwhile come last.
        return count

    async def stop(self) -> None:
        await self.desk.stop()
        await self.answering.stop()
        await self.visits.stop()
        await self.circle.stop()
        await self.adopter.stop()

    def _closed(self, host: Host) -> None:
        self.registry.drop(host)
        self.actions.closed(host)
        self.circle.closed(host)
        self.guests.over(host.id, host.claim)
        self.ground.closed(host)

    def _has(self, call_id: UUID) -> bool:
        return self.registry.find(call_id) is not None or self.registry.ended(call_id) is not None

    def _arrived(self, call_id: UUID, user_id: UUID, device: str, node: str) -> None:
        host = self.registry.find(call_id)
        if host is not None and user_id in host.users():
            self.circle.arrived(host, user_id, device, node, asks=True)

    def _heard_frame(self, frame: Frame, user_id: UUID, device: str, node: str) -> None:
        host = None if frame.call is None else self.registry.find(frame.call)
        if host is not None and user_id in host.users():
            self.circle.heard(host, user_id, device, node)

    def _session_ended(self, _: str, given: SessionEnded) -> None:
        self.ground.session_ended(given.session_id)
        self.close_session(given.session_id)
