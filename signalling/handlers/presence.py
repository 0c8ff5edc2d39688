"""Who of the providers is there, told to those who watch.

What a provider set by hand is stored; `busy` is never stored, so that the end of a call restores
what was set before. Without a socket a provider is offline, whatever is stored.
"""

from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

from signalling.calls.registry import Registry
from signalling.codes import Code, Refused
from signalling.commands import PresenceWatch
from signalling.events import PresenceUpdated
from signalling.frames import encode_event
from signalling.limits import SocketLimits
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub


class PresenceBoard:
    """`set_by_hand` holds (availability, status message) of the providers that have sockets."""

    def __init__(
        self,
        limits: SocketLimits,
        clock: Callable[[], int],
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._hub: Hub | None = None
        self._registry: Registry | None = None
        self._set_by_hand: dict[UUID, tuple[str, str | None]] = {}
        self._told: dict[UUID, tuple[str, str | None]] = {}
        self._watchers: defaultdict[UUID, set[Device]] = defaultdict(set)
        self._directory: set[Device] = set()

    def connect(self, hub: Hub, registry: Registry) -> None:
        """The hub and the registry need a board before they exist themselves."""
        self._hub = hub
        self._registry = registry

    def learned(self, user_id: UUID, availability: str, message: str | None) -> None:
        """What a provider has set by hand, read when a socket opened or just written."""
        self._set_by_hand[user_id] = (availability, message)
        self.changed(user_id)

    def of(self, user_id: UUID, availability: str | None = None) -> str:
        """online, busy, break or offline. `availability`: what is stored, if the caller knows."""
        assert self._hub is not None
        assert self._registry is not None
        known = self._set_by_hand.get(user_id)
        by_hand = availability or (known[0] if known is not None else "offline")
        if by_hand == "offline" or not self._hub.devices(user_id):
            return "offline"
        if self._registry.of_user(user_id) is not None:
            return "busy"
        return by_hand

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
        now = (self.of(user_id), known[1])
        assert self._hub is not None
        if not self._hub.devices(user_id):
            del self._set_by_hand[user_id]
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
            message = self._set_by_hand.get(user_id, ("", None))[1]
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
