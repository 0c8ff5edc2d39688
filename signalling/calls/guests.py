"""Calls that other nodes run and whose parties have devices here."""

from collections.abc import Callable
from uuid import UUID

import msgspec

from signalling.calls.registry import Registry
from signalling.nodes.parcels import Owns

# Far more than a node has devices.
GUESTS_MAX = 100_000
OVER_MAX = 10_000


class Guest(msgspec.Struct, frozen=True):
    """`node` is None while the call is on its way from one node to another."""

    call_id: UUID
    users: tuple[UUID, UUID]
    node: str | None
    claim: int


class Guests:
    """`changed(user_id)` is called when a user begins or ends to be in a call of another node;
    `lost(guest)` when what was known of a call has proved wrong, and nobody has told of it yet."""

    def __init__(self, registry: Registry, changed: Callable[[UUID], None]) -> None:
        self._registry = registry
        self._changed = changed
        self.lost: Callable[[Guest], None] = lambda _guest: None
        self._calls: dict[UUID, Guest] = {}
        self._of_user: dict[UUID, Guest] = {}
        # The claims of owners that have ended their calls: an older owner may not know yet.
        self._over: dict[UUID, int] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def all(self) -> list[Guest]:
        return list(self._calls.values())

    def find(self, call_id: UUID) -> Guest | None:
        return self._calls.get(call_id)

    def of_user(self, user_id: UUID) -> Guest | None:
        return self._of_user.get(user_id)

    def learn(self, node: str | None, owns: Owns) -> bool:
        """A node says that the call is its own; false if a later owner is known."""
        known = self._calls.get(owns.call)
        if known is not None and known.claim > owns.claim:
            return False
        if self._over.get(owns.call, -1) >= owns.claim:
            return False
        if self._is_ours(owns.call) or len(self._calls) >= GUESTS_MAX:
            return False
        guest = Guest(owns.call, owns.users, node, owns.claim)
        self._calls[owns.call] = guest
        for user_id in owns.users:
            self._of_user[user_id] = guest
            if known is None:
                self._changed(user_id)
        return True

    def forget(self, call_id: UUID, claim: int | None = None) -> None:
        """The call is over, or this node's own; `claim` is that of whoever says so."""
        guest = self._calls.get(call_id)
        if guest is None or (claim is not None and claim < guest.claim):
            return
        del self._calls[call_id]
        for user_id in guest.users:
            if self._of_user.get(user_id) is guest:
                del self._of_user[user_id]
                self._changed(user_id)

    def lose(self, guest: Guest) -> None:
        """The call is not there any more, or has ended."""
        if self._calls.get(guest.call_id) is guest:
            self.forget(guest.call_id)
            self.lost(guest)

    def not_at(self, call_id: UUID, node: str) -> None:
        """That node says that it does not run the call."""
        guest = self._calls.get(call_id)
        if guest is not None and guest.node == node:
            self.lose(guest)

    def has_heard(self, guest: Guest) -> bool:
        """Whether anything newer is known of its call: its end, or where it is now."""
        call_id = guest.call_id
        return self._over.get(call_id, -1) >= guest.claim or self.is_live(call_id)

    def over(self, call_id: UUID, claim: int) -> None:
        """The owner with this claim has ended the call."""
        self._over[call_id] = max(claim, self._over.get(call_id, claim))
        if len(self._over) > OVER_MAX:
            del self._over[next(iter(self._over))]
        self.forget(call_id, claim)

    def is_live(self, call_id: UUID) -> bool:
        """Whether the call goes on, here or on another node, as far as is known here."""
        return call_id in self._calls or self._registry.find(call_id) is not None

    def admits(self, call_id: UUID, claim: int) -> bool:
        """Whether an event of this call comes from its present owner, as far as is known here."""
        if self._is_ours(call_id):
            return False
        known = self._calls.get(call_id)
        newest = self._over.get(call_id, 0) if known is None else known.claim
        return claim >= newest

    def _is_ours(self, call_id: UUID) -> bool:
        """Run here, or ended here a while ago: an owner that slept may still think it has it."""
        registry = self._registry
        return registry.find(call_id) is not None or registry.ended(call_id) is not None
