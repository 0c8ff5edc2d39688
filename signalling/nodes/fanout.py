"""Events to a user's devices, wherever their sockets are. Encoded once, numbered per device."""

from uuid import UUID

import msgspec

from signalling.frames import Encoded
from signalling.nodes.bus import Bus, Presence
from signalling.sockets.hub import Hub


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """An event on its way to another node's devices of one user."""

    user_id: UUID
    head: bytes
    tail: bytes
    only: str | None = None
    but: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Parcel).decode


class Fanout:
    def __init__(self, hub: Hub, presence: Presence, bus: Bus) -> None:
        self._hub = hub
        self._presence = presence
        self._bus = bus
        bus.listen(self._received)

    def to_user(
        self,
        user_id: UUID,
        event: Encoded,
        *,
        only: str | None = None,
        but: str | None = None,
        re: tuple[str, str] | None = None,
    ) -> None:
        """Send to all of the user's devices, `only` one or all `but` one.

        `re` is (device, command id): that device is told which of its commands caused the event.
        """
        if self._here(user_id, event, only, but, re):
            return  # The one device it is for is here.
        for node in self._presence.elsewhere(user_id):
            parcel = Parcel(user_id, event.head, event.tail, only, but)
            self._bus.post(node, _encode(parcel))

    def reachable(self, user_id: UUID) -> bool:
        """Whether any device of the user has a socket."""
        return bool(self._hub.devices(user_id)) or bool(self._presence.elsewhere(user_id))

    def has_device(self, user_id: UUID, device: str) -> bool:
        """Whether this very device has a socket on this node."""
        known = self._hub.get(user_id, device)
        return known is not None and known.connected

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
            return device.connected
        for device in self._hub.sessions(user_id):
            if device.id != but:
                device.send(event, re[1] if re is not None and re[0] == device.id else None)
        return False

    def _received(self, _: str, parcel: bytes) -> None:
        given = _decode(parcel)
        event = Encoded(given.head, given.tail)
        self._here(given.user_id, event, given.only, given.but, None)
