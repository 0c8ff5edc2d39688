"""The port that wakes a sleeping phone. Adapters send; without one, only open sockets ring."""

from typing import Protocol
from uuid import UUID

import msgspec


class Wake(msgspec.Struct, frozen=True, kw_only=True):
    """What a push carries: enough to ring, nothing that a lock screen must not show."""

    user_id: UUID
    call_id: UUID
    caller_name: str
    kind: str
    expires_at: int


class Push(Protocol):
    def can_wake(self, user_id: UUID) -> bool:
        """Whether a device of the user could be reached this way."""
        ...

    def wake(self, wake: Wake) -> None:
        """Send without waiting; useless after `expires_at`."""
        ...


class NoPush:
    """No adapter is configured: nobody can be woken."""

    def can_wake(self, user_id: UUID) -> bool:
        return False

    def wake(self, wake: Wake) -> None:
        return
