"""Events to a user's devices, wherever their sockets are. Encoded once, numbered per device."""

from collections.abc import Callable, Iterable
from uuid import UUID
from weakref import ref

from signalling.frames import Encoded
from signalling.nodes import parcels
from signalling.nodes.exchange import Exchange
from signalling.nodes.parcels import InCall, Telling
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub

HELD_MAX = 256
NOWHERE: frozenset[str] = frozenset()


class Held:
    """What came for a device while its welcome was being made; kept for as long as somebody holds
    on to it."""

    def __init__(self, user_id: UUID, device: str) -> None:
        self.user_id = user_id
        self.device = device
        self.events: list[Telling] = []

    def clear(self) -> None:
        """What came so far is in the welcome."""
        self.events.clear()


class Fanout:
    """Users in a call that runs here are followed: the nodes that have their devices are known.

    `admits(call, claim)` says whether an event of a call comes from its present owner, and
    `is_live(call)` whether that goes on.
    """

    def __init__(
        self,
        hub: Hub,
        exchange: Exchange,
        admits: Callable[[UUID, int], bool] = lambda _call, _claim: True,
        is_live: Callable[[UUID], bool] = lambda _call: False,
    ) -> None:
        self._hub = hub
        self._bus = exchange.bus
        self._admits = admits
        self._is_live = is_live
        self._followed: dict[UUID, tuple[UUID, set[str]]] = {}
        self._held: dict[UUID, list[ref[Held]]] = {}
        exchange.on(Telling, self._telling)
        exchange.on(InCall, self._in_call)

    # -- who is where

    def follow(self, user_id: UUID, call_id: UUID, nodes: Iterable[str]) -> None:
        """The user is in a live call of this node, and has devices on these others."""
        self._followed[user_id] = (call_id, set(nodes))

    def unfollow(self, user_id: UUID, call_id: UUID) -> None:
        followed = self._followed.get(user_id)
        if followed is not None and followed[0] == call_id:
            del self._followed[user_id]

    def seen(self, user_id: UUID, node: str) -> bool:
        """A followed user has a device on that node; true if that was not known."""
        followed = self._followed.get(user_id)
        if followed is None or node in followed[1]:
            return False
        followed[1].add(node)
        return True

    def gone(self, node: str) -> None:
        """That node is not there any more."""
        for _, nodes in self._followed.values():
            nodes.discard(node)

    def nodes_of(self, user_id: UUID) -> frozenset[str]:
        """The other nodes on which a followed user has devices."""
        followed = self._followed.get(user_id)
        return NOWHERE if followed is None else frozenset(followed[1])

    def has_device(self, user_id: UUID, device: str) -> bool:
        """Whether this very device has a socket on this node."""
        known = self._hub.get(user_id, device)
        return known is not None and known.connected

    def is_here(self, user_id: UUID) -> bool:
        """Whether any device of the user has a socket on this node."""
        return bool(self._hub.devices(user_id))

    # -- telling

    def to_user(
        self,
        user_id: UUID,
        event: Encoded,
        *,
        only: str | None = None,
        but: str | None = None,
        re: tuple[str, str] | None = None,
        call: UUID | None = None,
        claim: int = 0,
    ) -> None:
        """Send to all of the user's devices, `only` one or all `but` one.

        `re` is (device, command id): that device is told which of its commands caused the event.
        `call` and `claim` are given for an event of a call of this node.
        """
        if self._here(user_id, event, only, but, re):
            return  # The one device it is for is here.
        if self._bus.alone:
            return
        followed = self._followed.get(user_id)
        if followed is not None and not followed[1]:
            return
        parcel = parcels.encode(
            Telling(user_id, event.head, event.tail, only, but, re, call, claim)
        )
        if followed is None:
            self._bus.post_user(user_id, parcel)
            return
        for node in followed[1]:
            self._bus.post(node, parcel)

    def door(self, user_id: UUID, device: str) -> Device | None:
        """A device that is known here, connected or not."""
        return self._hub.get(user_id, device)

    def to_node(self, node: str, user_id: UUID, event: Encoded, *, call: UUID, claim: int) -> None:
        """Send to the user's devices on one other node only."""
        parcel = Telling(user_id, event.head, event.tail, call=call, claim=claim)
        self._bus.post(node, parcels.encode(parcel))

    def connected(self, user_id: UUID) -> frozenset[str]:
        """The user's devices with a socket on this node; those on other nodes are not known."""
        return frozenset(device.id for device in self._hub.devices(user_id))

    def mark(self, user_id: UUID, device: str, *, in_call: bool) -> None:
        """A device begins or ends to be a leg of a live call."""
        known = self._hub.get(user_id, device)
        if known is not None:
            known.in_call = in_call
        followed = self._followed.get(user_id)
        if followed is not None:
            parcel = parcels.encode(InCall(user_id, device, in_call))
            for node in followed[1]:
                self._bus.post(node, parcel)

    def hold(self, user_id: UUID, device: str) -> Held:
        """From now on, keep what other nodes send to a device that is not here yet."""
        held = Held(user_id, device)
        self._held.setdefault(user_id, []).append(
            ref(held, lambda gone: self._let_go(user_id, gone))
        )
        return held

    def release(self, held: Held, call: UUID | None) -> None:
        """Send the device, which is here now, what was kept for it; `call` is in its welcome. What
        was told of another call that is over is nothing to it: it has not heard of its beginning.
        """
        events, held.events = held.events, []
        for given in events:
            if given.call in (None, call) or self._is_live(given.call):
                event = Encoded(given.head, given.tail)
                self._here(held.user_id, event, held.device, None, given.re)

    def _let_go(self, user_id: UUID, gone: "ref[Held]") -> None:
        """Nobody holds on to it any more."""
        holding = self._held[user_id]
        holding.remove(gone)
        if not holding:
            del self._held[user_id]

    def _here(
        self,
        user_id: UUID,
        event: Encoded,
        only: str | None,
        but: str | None,
        re: tuple[str, str] | None,
    ) -> bool:
        """Send to the devices on this node; true if that was the `only` one there is.

        One that has lost its socket a moment ago keeps the event, but may be elsewhere by now.
        """
        if only is not None:
            device = self._hub.get(user_id, only)
            if device is None:
                return False
            device.send(event, re[1] if re is not None and re[0] == only else None)
            return device.link is not None
        for device in self._hub.sessions(user_id):
            if device.id != but:
                device.send(event, re[1] if re is not None and re[0] == device.id else None)
        return False

    # -- from other nodes

    def _telling(self, _: str, given: Telling) -> None:
        if given.call is not None and not self._admits(given.call, given.claim):
            if self._is_live(given.call):
                # The next owner has overtaken it: the devices ask what they have missed.
                self._hub.renew_all((given.user_id,))
            return
        event = Encoded(given.head, given.tail)
        self._here(given.user_id, event, given.only, given.but, given.re)
        if given.user_id in self._held:
            self._keep(given)

    def _keep(self, given: Telling) -> None:
        for one in tuple(self._held[given.user_id]):
            held = one()
            if held is None:
                continue
            wanted = given.only in (None, held.device) and given.but != held.device
            if wanted and len(held.events) < HELD_MAX:
                held.events.append(given)

    def _in_call(self, _: str, given: InCall) -> None:
        device = self._hub.get(given.user_id, given.device)
        if device is not None:
            device.in_call = given.in_call
