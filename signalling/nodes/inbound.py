"""The parcels of one other node, which may come by two ways: each is taken once, in order.

By Redis they come in order, by the spare way too; parcels may be repeated by the spare way, and
each names the one before it. Pure: the time is given.
"""

from collections import deque
from collections.abc import Callable

from signalling.nodes.frame import PARTS_MAX, Item

HELD_MAX = 1_000
HELD_S = 1.0
PARTS_S = 10.0


class Inbound:
    """Methods return whether a parcel has been lost."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._n = 0
        # The sender uses the spare way: what comes by Redis meanwhile may be later than what is
        # still on that way, and waits for its end.
        self._open = False
        self._held: deque[tuple[int, bytes, float]] = deque()
        self._parts: list[bytes] = []
        self._part_n = 0
        self._part_s = 0.0

    def by_redis(self, n: int, parcel: bytes, now_s: float) -> bool:
        if n <= self._n:
            return False  # It was repeated by the spare way, and that was quicker.
        if not self._open:
            self._take(n, parcel)
            return False
        self._held.append((n, parcel, now_s))
        return len(self._held) > HELD_MAX and self._give_up()

    def by_spare(self, item: Item, now_s: float) -> bool:
        self._open = True
        lost = self.reached(item.prev)
        if not item.parts:
            self._close()
        elif item.n > self._n:
            self._collect(item, now_s)
        return lost

    def reached(self, n: int) -> bool:
        """All up to that number was sent before."""
        while self._held and self._held[0][0] <= n:
            self._next_held()
        if n <= self._n:
            return False
        self._n = n
        return True

    def expire(self, now_s: float) -> bool:
        """To be called now and then."""
        if self._parts and now_s - self._part_s > PARTS_S:
            self._parts = []
        if self._held and now_s - self._held[0][2] > HELD_S:
            return self._give_up()
        return False

    def _give_up(self) -> bool:
        """The end of the spare way was not told; true if that matters."""
        missing = any(n > self._n for n, _, _ in self._held)
        self._close()
        return missing

    def _close(self) -> None:
        while self._held:
            self._next_held()
        self._open = False

    def _next_held(self) -> None:
        n, parcel, _ = self._held.popleft()
        if n > self._n:
            self._take(n, parcel)

    def _collect(self, item: Item, now_s: float) -> None:
        """A parcel that does not become whole is found missing by the next one."""
        if item.parts > PARTS_MAX:
            return
        if item.part == 0:
            self._parts, self._part_n, self._part_s = [], item.n, now_s
        elif item.n != self._part_n or item.part != len(self._parts):
            return  # Another try of what came already, or a part is missing.
        self._parts.append(item.data)
        if item.completes:
            parcel, self._parts = b"".join(self._parts), []
            self._take(item.n, parcel)

    def _take(self, n: int, parcel: bytes) -> None:
        self._n = n
        self._deliver(parcel)
