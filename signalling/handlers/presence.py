"""Who of the providers is there, told to those who watch.

What a provider set by hand is stored; `busy` is never stored, so that the end of a call restores
what was set before. Without a socket a provider is offline, whatever is stored.
"""

from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

from msgspec.structs import astuple

from signalling.codes import Code, Refused
from signalling.commands import PresenceWatch
from signalling.events import PresenceUpdated
from signalling.frames import encode_event
from signalling.limits import SocketLimits
from signalling.nodes.exchange import Exchange
from signalling.nodes.parcels import Present, WhoIsPresent, Word, encode
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub

# What counts when a provider's sockets on several nodes say different things.
BUSIEST = ("busy", "online", "break")
PROVIDERS_MAX = 1_000_000
Said = tuple[str, str | None]


class PresenceBoard:
    """`set_by_hand` holds (availability, status message) of the providers that have sockets here.

    Nodes tell each other what the providers with sockets on them are; of several sockets on
    several nodes the busiest counts.
    """

    def __init__(
        self,
        limits: SocketLimits,
        clock: Callable[[], int],
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._hub: Hub | None = None
        self._in_call: Callable[[UUID], bool] = lambda _: False
        self._exchange: Exchange | None = None
        self._set_by_hand: dict[UUID, Said] = {}
        # What this node has told the others of its own, and what they have told: user -> node.
        self._mine: dict[UUID, Said] = {}
        self._elsewhere: dict[UUID, dict[str, Said]] = {}
        self._told: dict[UUID, Said] = {}
        self._watchers: defaultdict[UUID, set[Device]] = defaultdict(set)
        self._directory: set[Device] = set()

    def connect(
        self, hub: Hub, in_call: Callable[[UUID], bool], exchange: Exchange | None = None
    ) -> None:
        """The hub and the calls need a board before they exist themselves."""
        self._hub = hub
        self._in_call = in_call
        if exchange is None or exchange.bus.alone:
            return
        self._exchange = exchange
        exchange.on(Present, self._present)
        exchange.on(Word, lambda _, word: self.learned(*astuple(word)))
        exchange.on(WhoIsPresent, lambda node, _: self._tell_mine(node))
        exchange.on_nodes(joined=self._tell_mine, left=self._left, gap=self._gap)

    def learned(self, user_id: UUID, availability: str, message: str | None) -> None:
        """What a provider has set by hand, as it is stored."""
        self._set_by_hand[user_id] = (availability, message)
        self.changed(user_id)

    def set(self, user_id: UUID, availability: str, message: str | None) -> None:
        """What a provider has just set by hand, and is stored: wherever their sockets are."""
        if self._exchange is not None:
            word = Word(user_id, availability, message)
            self._exchange.bus.post_user(user_id, encode(word))
        self.learned(user_id, availability, message)

    def of(self, user_id: UUID, availability: str | None = None) -> str:
        """online, busy, break or offline. `availability`: what is stored, if the caller knows."""
        here = self._here(user_id, availability)
        return here if availability == "offline" else self._anywhere(user_id, here)

    def _anywhere(self, user_id: UUID, here: str) -> str:
        """With what the other nodes say."""
        elsewhere = self._elsewhere.get(user_id)
        if elsewhere is None:
            return here
        said = {here, *(presence for presence, _ in elsewhere.values())}
        return next((presence for presence in BUSIEST if presence in said), "offline")

    def _here(self, user_id: UUID, availability: str | None = None) -> str:
        """As far as the sockets of this node say."""
        assert self._hub is not None
        known = self._set_by_hand.get(user_id)
        by_hand = availability or (known[0] if known is not None else "offline")
        if by_hand == "offline" or not self._hub.devices(user_id):
            return "offline"
        return "busy" if self._in_call(user_id) else by_hand

    def present(self) -> dict[UUID, str]:
        """All providers who are there, with their presence: what was told of them last."""
        return {
            user_id: presence
            for user_id, (presence, _) in self._told.items()
            if presence != "offline"
        }

    def changed(self, user_id: UUID) -> None:
        """Something that presence depends on may have changed: tell, if it really has."""
        known = self._set_by_hand.get(user_id)
        if known is None:
            return
        assert self._hub is not None
        here = self._here(user_id)
        mine: Said | None = (here, known[1])
        if here == "offline" and not self._hub.devices(user_id):
            del self._set_by_hand[user_id]
            mine = None
        if self._mine.get(user_id) != mine and self._exchange is not None:
            parcel = Present(user_id, None) if mine is None else Present(user_id, *mine)
            self._exchange.bus.post_all(encode(parcel))
        if mine is None:
            self._mine.pop(user_id, None)
        else:
            self._mine[user_id] = mine
        self._announce(user_id, here, known[1])

    def _announce(self, user_id: UUID, here: str, message: str | None) -> None:
        """Tell who watches, if there is something to tell."""
        now = (self._anywhere(user_id, here), message)
        gone = user_id not in self._mine and user_id not in self._elsewhere
        if gone:
            self._told.pop(user_id, None)
        elif self._told.get(user_id) == now:
            return
        else:
            self._told[user_id] = now
        watchers = self._watchers.get(user_id, set()) | self._directory
        if watchers:
            event = encode_event(
                PresenceUpdated(user_id=user_id, presence=now[0], status_message=now[1]),
                self._clock(),
            )
            for device in watchers:
                device.send(event)

    # -- other nodes

    def _present(self, node: str, given: Present) -> None:
        said = self._elsewhere.setdefault(given.user_id, {})
        if given.presence is None:
            said.pop(node, None)
        elif given.user_id in self._told or len(self._told) < PROVIDERS_MAX:
            said[node] = (given.presence, given.message)
        if not said:
            del self._elsewhere[given.user_id]
        self._announce(given.user_id, self._here(given.user_id), given.message)

    def _tell_mine(self, node: str) -> None:
        assert self._exchange is not None
        for user_id, (presence, message) in self._mine.items():
            self._exchange.send(node, Present(user_id, presence, message))

    def _left(self, node: str) -> None:
        for user_id in [one for one, said in self._elsewhere.items() if node in said]:
            message = self._elsewhere[user_id][node][1]
            self._present(node, Present(user_id, None, message))

    def _gap(self) -> None:
        assert self._exchange is not None
        self._exchange.bus.post_all(encode(WhoIsPresent()))
        for node in self._exchange.bus.peers():
            self._tell_mine(node)

    # -- who watches

    def watch(self, device: Device, wish: PresenceWatch) -> None:
        """Replace what the device watches, and tell it what is so now."""
        if len(wish.users) > self._limits.watches_max:
            raise Refused(
                Code.BAD_FRAME,
                f"At most {self._limits.watches_max} users can be watched one by one.",
                field="data.users",
            )
        self.unwatch(device)
        device.watching = frozenset(wish.users)
        device.watches_directory = wish.directory
        for user_id in device.watching:
            self._watchers[user_id].add(device)
        if wish.directory:
            self._directory.add(device)
        known = device.watching | (self._told.keys() if wish.directory else set())
        for user_id in known:
            message = self._told.get(user_id, ("", None))[1]
            event = PresenceUpdated(
                user_id=user_id, presence=self.of(user_id), status_message=message
            )
            device.send(encode_event(event, self._clock()))

    def unwatch(self, device: Device) -> None:
        for user_id in device.watching:
            watchers = self._watchers.get(user_id)
            if watchers is not None:
                watchers.discard(device)
                if not watchers:
                    del self._watchers[user_id]
        self._directory.discard(device)
        device.watching = frozenset()
        device.watches_directory = False
