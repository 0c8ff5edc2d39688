"""What a node has for the others and has not sent yet: bounded, in order, taken in batches.

A batch keeps its number until it is acknowledged or given up, so that sending it again after a
lost answer does nothing twice. Pure: the time is given.
"""

from collections import deque
from typing import NamedTuple
from uuid import UUID

PARCELS_MAX = 10_000
BYTES_MAX = 8 << 20
BATCH_PARCELS_MAX = 500
BATCH_BYTES_MAX = 1 << 20
BATCH_USERS_MAX = 1_000

TO_NODE, TO_ALL, TO_USER = "n", "a", "u"
# A user has sockets on this node, or only a session that waits for one, or neither.
HERE, WAITS, AWAY = "+", "~", "-"


class Posted(NamedTuple):
    """One parcel: `kind` says what `target` is (a node, nothing, a user)."""

    kind: str
    target: str
    parcel: bytes
    at_s: float


class Batch(NamedTuple):
    """What goes in one round trip: first who is here and who is away, then the parcels."""

    number: int
    users: dict[UUID, str]
    parcels: list[Posted]

    def arguments(self) -> list[str | bytes]:
        """Three for each: kind, target, parcel."""
        flat: list[str | bytes] = []
        for user_id, stay in self.users.items():
            flat += (stay, str(user_id), b"")
        for posted in self.parcels:
            flat += posted[:3]
        return flat


class Outgoing:
    def __init__(self) -> None:
        self._parcels: deque[Posted] = deque()
        self._bytes = 0
        self._users: dict[UUID, str] = {}
        self._batch: Batch | None = None
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._batch or self._parcels or self._users)

    def post(self, kind: str, target: str, parcel: bytes, now_s: float) -> int:
        """Returns how many parcels were dropped to make room: the oldest, or one too large."""
        if len(parcel) > BATCH_BYTES_MAX:
            return 1
        self._parcels.append(Posted(kind, target, parcel, now_s))
        self._bytes += len(parcel)
        dropped = 0
        while len(self._parcels) > PARCELS_MAX or self._bytes > BYTES_MAX:
            self._bytes -= len(self._parcels.popleft().parcel)
            dropped += 1
        return dropped

    def user(self, user_id: UUID, stay: str) -> None:
        """`stay` is HERE, WAITS or AWAY. Only the last word about a user is sent."""
        self._users[user_id] = stay

    def owes(self, user_id: UUID) -> bool:
        """Whether something about this user has not been carried out yet."""
        batch = self._batch
        return user_id in self._users or (batch is not None and user_id in batch.users)

    def batch(self) -> Batch | None:
        """What to send now: the same again until it is `done` or dropped."""
        if self._batch is None and (self._users or self._parcels):
            self._number += 1
            self._batch = Batch(self._number, self._take_users(), self._take_parcels())
        return self._batch

    def done(self, batch: Batch) -> None:
        """It has been carried out."""
        if self._batch is batch:
            self._batch = None

    def drop_older_than(self, since_s: float) -> int:
        """Give up parcels that were posted before `since_s`; what is known of users stays.

        Returns how many. A batch with such a parcel is given up whole.
        """
        dropped = 0
        batch = self._batch
        if batch is not None and batch.parcels and batch.parcels[0].at_s < since_s:
            dropped += len(batch.parcels)
            self._users = {**batch.users, **self._users}
            self._batch = None
        while self._parcels and self._parcels[0].at_s < since_s:
            self._bytes -= len(self._parcels.popleft().parcel)
            dropped += 1
        return dropped

    def _take_users(self) -> dict[UUID, str]:
        if len(self._users) <= BATCH_USERS_MAX:
            taken, self._users = self._users, {}
            return taken
        chosen = [user_id for user_id, _ in zip(self._users, range(BATCH_USERS_MAX), strict=False)]
        return {user_id: self._users.pop(user_id) for user_id in chosen}

    def _take_parcels(self) -> list[Posted]:
        taken: list[Posted] = []
        room_bytes = BATCH_BYTES_MAX
        while self._parcels and len(taken) < BATCH_PARCELS_MAX:
            size_bytes = len(self._parcels[0].parcel)
            if size_bytes > room_bytes:
                break
            room_bytes -= size_bytes
            self._bytes -= size_bytes
            taken.append(self._parcels.popleft())
        return taken
