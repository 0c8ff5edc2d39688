"""The port that wakes a sleeping phone. Adapters send; without one, only open sockets ring."""

from typing import Protocol
from uuid import UUID

import msgspec


class Wake(msgspec.Struct, frozen=True, kw_only=True):
    """A call that rings. The phone is told no more than call, caller's name, kind and end: nothing
    that a lock screen must not show.

    `connected` are the callee's devices that ring by their sockets, as far as this node knows;
    `expires_at` is when the ringing ends, in Unix ms.
    """

    user_id: UUID
    call_id: UUID
    caller_name: str
    kind: str
    expires_at: int
    connected: frozenset[str] = frozenset()


class Push(Protocol):
    @property
    def enabled(self) -> bool:
        """Whether there is any way to send; whom it reaches is for the database to say."""
        ...

    def wake(self, wake: Wake) -> None:
        """Send without waiting; useless after `expires_at`. What fails is no fault of the call."""
        ...


class NoPush:
    """No adapter is configured: nobody can be woken."""

    enabled = False

    def wake(self, wake: Wake) -> None:
        return
