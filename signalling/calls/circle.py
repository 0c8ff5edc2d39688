"""The nodes on which the parties of this node's calls have devices: who is told, who may speak."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import UUID

from signalling.calls.claims import Claims
from signalling.calls.host import Host
from signalling.calls.registry import Registry
from signalling.codes import Party, State
from signalling.core import inputs
from signalling.core.call import BEFORE_ANSWER
from signalling.core.model import leg_of
from signalling.core.views import snapshot
from signalling.events import CallIncoming
from signalling.frames import encode_event
from signalling.nodes.bus import Presence
from signalling.nodes.exchange import Exchange
from signalling.nodes.fanout import NOWHERE, Fanout
from signalling.nodes.parcels import Missed, Over, Owns, SocketNews, encode
from signalling.sockets.hub import Hub
from signalling.sockets.naps import on_time
from storage.errors import Unavailable

log = logging.getLogger(__name__)

# Who connects while a call is being opened may be in neither the first look nor the books yet.
LOOKS_S = (0.3, 1.0)
# A node that cannot be reached is asked after for so long: the others fence it when it is dead.
DEAD_LOOK_S = 0.5
DEAD_LOOKS = 60
# What a device said before it came here from another node has arrived by then.
LATE_MS = 5_000
# Ends of calls that an outage may have swallowed are told again after it, as far back as this.
OVER_MS = 60_000
OVER_MAX = 5_000


class Circle:
    def __init__(
        self,
        *,
        exchange: Exchange,
        fanout: Fanout,
        presence: Presence,
        hub: Hub,
        registry: Registry,
        claims: Claims,
        clock: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._fanout = fanout
        self._presence = presence
        self._hub = hub
        self._registry = registry
        self._claims = claims
        self._clock = clock
        # By call, where the devices of its parties have spoken from: (user, device) -> node.
        self._places: dict[UUID, dict[tuple[UUID, str], str]] = {}
        # Calls that other nodes were told the end of: when, which nodes, whose, and how.
        self._over: deque[tuple[int, frozenset[str], tuple[UUID, UUID], Over]] = deque(
            maxlen=OVER_MAX
        )
        self._tasks: set[asyncio.Task[None]] = set()
        exchange.on(SocketNews, self._socket_news)
        exchange.on_nodes(joined=self.joined, left=self.left, gap=self.gap)

    @property
    def alone(self) -> bool:
        return self._exchange.bus.alone

    async def where(self, caller: UUID, callee: UUID) -> tuple[frozenset[str], frozenset[str]]:
        """The other nodes on which the two have devices.

        Raises:
            Unavailable: nobody can say now.
        """
        if self.alone:
            return NOWHERE, NOWHERE
        found = await self._presence.where([caller, callee])
        return found[0], found[1]

    def opened(
        self, host: Host, caller: Iterable[str], callee: Iterable[str], *, fresh: bool = False
    ) -> None:
        """The call runs here from now on; to be called before anything is told of it.

        `fresh`: what its legs had reported is not known here; they are made to say it again.
        """
        if self.alone:
            if fresh:
                self._ask_anew(host)
            return
        users = host.users()
        for user_id, nodes in zip(users, (caller, callee), strict=True):
            self._fanout.follow(user_id, host.id, nodes)
        parcel = owns(host, fresh=fresh)
        for node in {*caller, *callee}:
            self._exchange.send(node, parcel)
        if fresh:
            self._ask_anew(host)
        if self._may_be_missed(host):
            self._start(self._look_again(host))

    def taken(self, node: str, call_ids: Iterable[UUID]) -> None:
        """Those of these calls that run here are ours: for the node that has handed them over, and
        waits, whether devices are there or not."""
        for call_id in call_ids:
            host = self._registry.find(call_id)
            if host is None:
                continue
            for user_id in host.users():
                self._fanout.seen(user_id, node)
            self._exchange.send(node, owns(host))

    def heard(self, host: Host, user_id: UUID, device: str, node: str) -> None:
        """A device of a party has spoken from that node."""
        known = self._hub.get(user_id, device)
        if known is None or not known.connected:
            self._places.setdefault(host.id, {}).setdefault((user_id, device), node)
        elif self._clock() - known.met_ms > LATE_MS:
            self.arrived(host, user_id, device, node)
            return
        if self._meet(host, user_id, node):
            # It knows the call, but nobody has told it what has happened since.
            self._exchange.send(node, missed(host))

    def arrived(
        self, host: Host, user_id: UUID, device: str, node: str, *, asks: bool = False
    ) -> None:
        """That node has the newest socket of a device; it `asks` for the call, or knows it."""
        self._places.setdefault(host.id, {})[user_id, device] = node
        older = self._hub.get(user_id, device)
        if older is not None:
            # Half open, or it would have said good-bye: what is sent to it reaches nobody.
            self._hub.renew(older)
        if self._meet(host, user_id, node, again=asks) and not asks:
            self._exchange.send(node, missed(host))  # What it knows is of an earlier owner.

    def is_elsewhere(self, host: Host, user_id: UUID, device: str) -> bool:
        """Whether another node has a newer socket of a device than this one."""
        return (user_id, device) in self._places.get(host.id, {})

    def is_here(self, host: Host, user_id: UUID, device: str) -> None:
        """This node has the newest socket of a device."""
        self._places.get(host.id, {}).pop((user_id, device), None)

    def _meet(self, host: Host, user_id: UUID, node: str, *, again: bool = False) -> bool:
        """From now on the node is told of the call; true if it was not before."""
        new = self._fanout.seen(user_id, node)
        if new or again:
            self._exchange.send(node, owns(host))
        return new

    def closed(self, host: Host) -> None:
        """The call is over and its books are closed."""
        if self.alone:
            return
        over = Over(host.id, host.claim)
        nodes = self._nodes(host)
        for node in nodes:
            self._exchange.send(node, over)
        self._over.append((self._clock(), nodes, host.users(), over))
        self.forget(host)

    def unheard(self, host: Host) -> None:
        """The call goes on here as its last owner has left it, but what that has told in the end
        may have been lost with it: the devices ask anew."""
        if not self.alone:
            self._exchange.bus.post_all(encode(missed(host)))
            self._hub.renew_all(host.users())

    def over_unheard(self, call_id: UUID, users: tuple[UUID, UUID], claim: int) -> None:
        """A call that nobody ran is over. Its devices were not told: they connect anew."""
        for parcel in (Missed(call_id, users, claim), Over(call_id, claim)):
            self._exchange.bus.post_all(encode(parcel))
        self._hub.renew_all(users)

    def forget(self, host: Host) -> None:
        """The call is over for this node."""
        self._places.pop(host.id, None)
        for user_id in host.users():
            self._fanout.unfollow(user_id, host.id)

    def left(self, node: str) -> None:
        """A node has gone, or cannot be reached: whether media flows is for the evidence to say.
        If it is dead, so are the sockets that it had."""
        self._missing(node, inputs.SocketMoving)
        self._start(self._watch_missing(node))

    async def _watch_missing(self, node: str) -> None:
        for _ in range(DEAD_LOOKS):
            await asyncio.sleep(DEAD_LOOK_S)
            if node in self._exchange.bus.peers():
                return  # It is back, and says of itself what is so.
            try:
                dead = await self._claims.is_dead(node)
            except Unavailable:
                continue
            if dead:
                self._missing(node, inputs.SocketLost)
                for places in self._places.values():
                    for spoke in [one for one, at in places.items() if at == node]:
                        del places[spoke]
                self._fanout.gone(node)
                return

    def _missing(
        self, node: str, news: type[inputs.SocketLost] | type[inputs.SocketMoving]
    ) -> None:
        for host in self._registry.hosts():
            places = self._places.get(host.id, {})
            for party in Party:
                leg = leg_of(host.call, party)
                device = leg.device
                if device is not None and places.get((host.user(party), device)) == node:
                    host.take(news(party, device))

    def joined(self, node: str) -> None:
        """What was sent to it before it was heard may be lost, also that a call is run here."""
        for host in self._registry.hosts():
            if host.call.state is not State.ENDED and node in self._nodes(host):
                self._exchange.send(node, owns(host))
        self._may_have_missed(lambda at: at & {node})

    def gap(self) -> None:
        """What was sent may not have come: the devices of other nodes must ask anew, also after
        calls that ended meanwhile."""
        self._may_have_missed(lambda at: at)

    def _may_have_missed(self, who: Callable[[frozenset[str]], frozenset[str]]) -> None:
        for host in self._registry.hosts():
            for node in who(self._nodes(host)):
                self._exchange.send(node, missed(host))
        since_ms = self._clock() - OVER_MS
        for at_ms, nodes, users, over in self._over:
            for node in who(nodes) if at_ms >= since_ms else ():
                self._exchange.send(node, Missed(over.call, users, over.claim))
                self._exchange.send(node, over)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _nodes(self, host: Host) -> frozenset[str]:
        caller, callee = host.users()
        return self._fanout.nodes_of(caller) | self._fanout.nodes_of(callee)

    def _ask_anew(self, host: Host) -> None:
        """Have the legs that are here connect anew: a welcome makes them report what is so."""
        for party in Party:
            leg = leg_of(host.call, party)
            known = None if leg.device is None else self._hub.get(leg.profile.user_id, leg.device)
            if known is not None and known.in_call:
                self._hub.renew(known)

    def _socket_news(self, node: str, given: SocketNews) -> None:
        host = self._registry.find(given.call)
        if host is None or given.user_id not in host.users():
            return
        party = host.party(given.user_id)
        if given.news == "back":
            self.arrived(host, given.user_id, given.device, node)
            host.take(inputs.SocketBack(party, given.device))
            return
        place = self._places.get(host.id, {}).get((given.user_id, given.device))
        if place is None and self._fanout.has_device(given.user_id, given.device):
            return  # It has come here meanwhile.
        if place not in (None, node):
            return  # Or to another node.
        leg = leg_of(host.call, party)
        if leg.device != given.device:
            return
        match given.news:
            case "bye":
                host.take(inputs.HungUp(party))
            case "moving":
                host.take(inputs.SocketMoving(party, given.device))
            case _:
                host.take(inputs.SocketLost(party, given.device))

    def _may_be_missed(self, host: Host) -> bool:
        """Whether devices that have just connected may not know of the call, or of its owner."""
        return host.call.state in BEFORE_ANSWER or host.claim > 0

    async def _look_again(self, host: Host) -> None:
        """Ring also where the callee has connected while the call was being opened, and be heard
        where a party has connected while it was taken over."""
        for wait_s in LOOKS_S:
            if not await on_time(wait_s):
                return  # The call may be another node's by now, and ringing again a ghost.
            if not self._may_be_missed(host) or self._registry.find(host.id) is not host:
                return
            try:
                for user_id, nodes in zip(
                    host.users(), await self.where(*host.users()), strict=True
                ):
                    self._introduce(host, user_id, nodes)
            except Unavailable:
                log.debug("nobody knows who is where", extra={"call_id": str(host.id)})

    def _introduce(self, host: Host, user_id: UUID, nodes: Iterable[str]) -> None:
        ringing = user_id == host.user(Party.CALLEE) and host.call.state in BEFORE_ANSWER
        for node in nodes:
            if not self._fanout.seen(user_id, node):
                continue
            self._exchange.send(node, owns(host))
            call, now_ms = host.call, self._clock()
            if host.claim > 0:
                self._exchange.send(node, missed(host))
            elif ringing and call.expires_ms is not None:
                view = snapshot(call, Party.CALLEE, None, now_ms)
                event = CallIncoming(
                    call=view, caller=call.caller.profile, expires_at=call.expires_ms
                )
                encoded = encode_event(event, now_ms, call=host.id_text, rev=call.rev)
                self._fanout.to_node(node, user_id, encoded, call=host.id, claim=host.claim)


def owns(host: Host, *, fresh: bool = False) -> Owns:
    return Owns(host.id, host.users(), host.claim, fresh)


def missed(host: Host) -> Missed:
    return Missed(host.id, host.users(), host.claim)
