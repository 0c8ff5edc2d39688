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
from signalling.codes import Close, Party, Refused, State
from signalling.core import inputs
from signalling.core.call import BEFORE_ANSWER
from signalling.core.model import leg_of
from signalling.core.views import snapshot
from signalling.events import CallIncoming
from signalling.frames import encode_event
from signalling.nodes.bus import Presence
from signalling.nodes.exchange import Exchange
from signalling.nodes.fanout import NOWHERE, Fanout
from signalling.nodes.parcels import Missed, Over, Owns, SocketNews
from signalling.sockets.hub import Hub
from signalling.sockets.naps import on_time
from storage.errors import Unavailable

log = logging.getLogger(__name__)

# Who connects while a call is being opened may be in neither the first look nor the books yet.
LOOKS_S = (0.3, 1.0)
# A node that cannot be reached is asked after for so long: the others fence it when it is dead.
DEAD_LOOK_S = 0.5
DEAD_LOOKS = 60
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
        # Devices on other nodes, of users in calls of this one: user -> device -> node.
        self._places: dict[UUID, dict[str, str]] = {}
        # Calls that other nodes were told the end of: when, which nodes, and how.
        self._over: deque[tuple[int, frozenset[str], Over]] = deque(maxlen=OVER_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        exchange.on(SocketNews, self._socket_news)
        exchange.on_nodes(left=self.left, gap=self.gap)

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
        owns = Owns(host.id, users, host.claim, fresh)
        for node in {*caller, *callee}:
            self._exchange.send(node, owns)
        if fresh:
            self._ask_anew(host)
        if host.call.state in BEFORE_ANSWER:
            self._start(self._look_again(host))

    def heard(self, host: Host, user_id: UUID, device: str, node: str) -> None:
        """A device of a party has spoken from that node."""
        self._places.setdefault(user_id, {})[device] = node
        if self._fanout.seen(user_id, node):
            self._exchange.send(node, Owns(host.id, host.users(), host.claim))

    def is_elsewhere(self, user_id: UUID, device: str) -> bool:
        """Whether this leg of a call of ours has its socket on another node."""
        return device in self._places.get(user_id, ())

    def is_here(self, user_id: UUID, device: str) -> None:
        """The device has a socket on this node."""
        self._places.get(user_id, {}).pop(device, None)

    def closed(self, host: Host) -> None:
        """The call is over and its books are closed."""
        if self.alone:
            return
        over = Over(host.id, host.claim)
        nodes = self._nodes(host)
        for node in nodes:
            self._exchange.send(node, over)
        self._over.append((self._clock(), nodes, over))
        self.forget(host)

    def forget(self, host: Host) -> None:
        """The call is over for this node."""
        for user_id in host.users():
            self._fanout.unfollow(user_id, host.id)
            if self._registry.of_user(user_id) is None:
                self._places.pop(user_id, None)

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
                for devices in self._places.values():
                    for device in [one for one, at in devices.items() if at == node]:
                        del devices[device]
                self._fanout.gone(node)
                return

    def _missing(
        self, node: str, news: type[inputs.SocketLost] | type[inputs.SocketMoving]
    ) -> None:
        for host in self._registry.hosts():
            for party in Party:
                leg = leg_of(host.call, party)
                user_id, device = leg.profile.user_id, leg.device
                if device is not None and self._place(user_id, device) == node:
                    feed_quietly(host, news(party, device))

    def _place(self, user_id: UUID, device: str) -> str | None:
        return self._places.get(user_id, {}).get(device)

    def gap(self) -> None:
        """What was sent may not have come: the devices of other nodes must ask anew, also after
        calls that ended meanwhile."""
        for host in self._registry.hosts():
            for node in self._nodes(host):
                self._exchange.send(node, Missed(host.id))
        since_ms = self._clock() - OVER_MS
        for at_ms, nodes, over in self._over:
            for node in nodes if at_ms >= since_ms else ():
                self._exchange.send(node, Missed(over.call))
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
                known.close(Close.SERVICE_RESTART)

    def _socket_news(self, node: str, given: SocketNews) -> None:
        host = self._registry.find(given.call)
        if host is None or given.user_id not in host.users():
            return
        party = host.party(given.user_id)
        if given.news == "back":
            self.heard(host, given.user_id, given.device, node)
            feed_quietly(host, inputs.SocketBack(party, given.device))
            return
        if self._place(given.user_id, given.device) not in (None, node):
            return  # It has come back on another node meanwhile.
        leg = leg_of(host.call, party)
        if leg.device != given.device:
            return
        match given.news:
            case "bye":
                feed_quietly(host, inputs.HungUp(party))
            case "moving":
                feed_quietly(host, inputs.SocketMoving(party, given.device))
            case _:
                feed_quietly(host, inputs.SocketLost(party, given.device))

    async def _look_again(self, host: Host) -> None:
        """Ring also where the callee has connected while the call was being opened."""
        for wait_s in LOOKS_S:
            if not await on_time(wait_s):
                return  # The call may be another node's by now, and ringing again a ghost.
            if host.call.state not in BEFORE_ANSWER or self._registry.find(host.id) is not host:
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
            self._exchange.send(node, Owns(host.id, host.users(), host.claim))
            call, now_ms = host.call, self._clock()
            if ringing and call.expires_ms is not None:
                view = snapshot(call, Party.CALLEE, None, now_ms)
                event = CallIncoming(
                    call=view, caller=call.caller.profile, expires_at=call.expires_ms
                )
                encoded = encode_event(event, now_ms, call=host.id_text, rev=call.rev)
                self._fanout.to_node(node, user_id, encoded, call=host.id, claim=host.claim)


def feed_quietly(host: Host, given: inputs.Input) -> None:
    """Give a call news that nobody waits to be answered."""
    if host.call.state is State.ENDED:
        return
    try:
        host.feed(given)
    except Refused as refused:
        log.debug("news dropped", extra={"call_id": str(host.id), "code": refused.code})
