"""What the sockets ask of the rest of the server: who is this, and what to do with a frame."""

from typing import Protocol

from signalling.commands import Frame
from signalling.events import Welcome
from signalling.sockets.device import Device
from signalling.sockets.identity import Identity


class Desk(Protocol):
    """Only `authenticate` and `prepare` may wait; everything else is done when it returns. What
    was prepared is `attached` or `dismissed`."""

    async def authenticate(self, token: str) -> Identity:
        """Who holds this token.

        Raises:
            Refused: unauthorized or token_expired.
        """
        ...

    async def prepare(self, identity: Identity, device: str) -> object:
        """What the welcome needs from the database; handed to `welcome` and `attached` as it is.

        Raises:
            Refused: unavailable, the socket is closed and the client comes back; unauthorized, the
                session was ended meanwhile.
        """
        ...

    def dismissed(self, identity: Identity) -> None:
        """A device that `prepare` has returned for will not be welcomed."""
        ...

    def welcome(self, device: Device, prepared: object) -> Welcome:
        """The snapshot. The device is attached already and nothing runs before the welcome is
        queued, so no event can be missed or come first. Nothing may be sent from in here."""
        ...

    def attached(self, device: Device, prepared: object) -> None:
        """The welcome is queued, and what a resumed session has missed; events may follow."""
        ...

    def lost(self, device: Device, *, bye: bool) -> None:
        """The device has no socket any more. Not called when a newer socket replaced the older."""
        ...

    def ended(self, device: Device) -> None:
        """The session of a device without a socket is over. Not called when a new session took
        its place: `welcome` comes then."""
        ...

    def receive(self, device: Device, frame: Frame) -> None:
        """Any command or report but hello, ping, ack and bye. A frame's `id` comes here once.

        The answer is given with `device.ok` or `device.fail`, now or later.

        Raises:
            Refused: answered as an error.
        """
        ...
