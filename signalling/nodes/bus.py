"""Two small interfaces between the nodes of a deployment. One node alone uses the memory twins.

A node is named by its address, `<name>.<epoch>`: what is sent to a life that is over never
reaches the next one. A parcel is bytes for another node; delivery is at most once, and in order
per pair of nodes. Nothing that money depends on goes this way: who owns a call, and what it has
cost, is in the database.
"""

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

Deliver = Callable[[str, bytes], None]


class Misconfigured(Exception):
    """What lies between nodes refuses this one, and will go on to; the message says what to set."""


class Listener(Protocol):
    """What a node does with what the bus has for it. Called on the loop; must not wait or raise."""

    def parcel(self, sender: str, parcel: bytes) -> None:
        """A parcel to this node, from the node `sender`."""
        ...

    def joined(self, node: str) -> None:
        """Another node has come; also at the start, once for each that is there already."""
        ...

    def left(self, node: str) -> None:
        """Another node has gone: said good-bye, or was silent for too long."""
        ...

    def gap(self) -> None:
        """Parcels to or from this node may have been lost: what others know is to be asked anew."""
        ...


class Bus(Protocol):
    """Parcels between nodes. `post`, `post_all` and `post_user` never wait and never raise."""

    @property
    def address(self) -> str:
        """This node."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether parcels arrive, as far as this node knows."""
        ...

    @property
    def alone(self) -> bool:
        """Whether there can be no other node: then nobody need be asked."""
        ...

    def listen(self, listener: Listener) -> None:
        """To be called once, before the bus is started."""
        ...

    def post(self, node: str, parcel: bytes) -> None:
        """To one node. A parcel to a node that is gone is lost."""
        ...

    def post_all(self, parcel: bytes) -> None:
        """To every other node."""
        ...

    def post_user(self, user_id: UUID, parcel: bytes) -> None:
        """To every other node on which the user has sockets, or sessions that wait for one."""
        ...

    def peers(self) -> frozenset[str]:
        """The other nodes that are there."""
        ...

    def successors(self) -> tuple[str, ...]:
        """Those of them that take calls over: not draining themselves."""
        ...

    def drain(self) -> None:
        """This node is going away: let no call be handed to it."""
        ...


class RunningBus(Bus, Protocol):
    """One with a life of its own."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Presence(Protocol):
    """On which nodes a user has sockets."""

    def arrived(self, user_id: UUID) -> None:
        """The user's first socket on this node. Never waits."""
        ...

    async def known(self, user_id: UUID) -> None:
        """Until the others can know what was last said of the user; if they cannot be told, for a
        moment only. Never raises."""
        ...

    def waits(self, user_id: UUID) -> None:
        """The user's last socket on this node is gone, but a session may be resumed here: parcels
        still come, `where` does not count it. Never waits."""
        ...

    def left(self, user_id: UUID) -> None:
        """There is neither a socket nor a session of the user here any more. Never waits."""
        ...

    async def where(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        """The other nodes that have sockets of each user, in the order of `user_ids`.

        Raises:
            Unavailable: nobody can say now.
        """
        ...
