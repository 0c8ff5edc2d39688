"""Three small interfaces between the nodes of a deployment. One node uses the memory twins.

A parcel is bytes for another node's devices or calls; delivery is at most once and in order per
pair of nodes. Nothing that money depends on goes this way.
"""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

Deliver = Callable[[str, bytes], None]


class Bus(Protocol):
    """Parcels between nodes."""

    def listen(self, deliver: Deliver) -> None:
        """Call `deliver(from_node, parcel)` for each parcel to this node."""
        ...

    def post(self, node: str, parcel: bytes) -> None:
        """Send without waiting. A parcel to a node that is gone is lost."""
        ...


class Presence(Protocol):
    """On which other nodes a user has sockets, as far as this node knows."""

    def arrived(self, user_id: UUID) -> None:
        """The user's first socket on this node."""
        ...

    def left(self, user_id: UUID) -> None:
        """The user's last socket on this node is gone."""
        ...

    def elsewhere(self, user_id: UUID) -> tuple[str, ...]:
        """Other nodes that have sockets of the user."""
        ...


class Routes(Protocol):
    """Which node hosts a call."""

    def claim(self, call_id: UUID) -> None: ...

    def drop(self, call_id: UUID) -> None: ...

    def owner(self, call_id: UUID) -> str | None:
        """The node that hosts the call; None when nobody does."""
        ...
