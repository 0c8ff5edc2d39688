"""What a node sends to another one by the spare way, and what it may have to repeat by it.

Every parcel of a node has a number, growing over all that it sends. Pure: the time is given.
"""

from collections import deque
from typing import NamedTuple

from signalling.nodes.frame import FRAME_BYTES, PARCEL_BYTES_MAX, Item, split
from signalling.nodes.outgoing import TO_NODE

# Longer than an outage lasts before it is noticed by this node and told by the others.
HISTORY_S = 5.0
HISTORY_BYTES = 2 << 20
HISTORY_PARCELS = 10_000
FORGOTTEN_MAX = 10_000


class Past(NamedTuple):
    n: int
    kind: str
    target: str
    parcel: bytes
    at_s: float


class History:
    """What was given to Redis lately, of which nobody knows whether it came."""

    def __init__(self) -> None:
        self._past: deque[Past] = deque()
        self._bytes = 0
        # The last numbers that are no longer kept: to each node, and to all.
        self._forgotten: dict[str, int] = {}
        self._forgotten_all = 0

    def add(self, past: Past) -> None:
        self._past.append(past)
        self._bytes += len(past.parcel)
        self.trim(past.at_s)

    def trim(self, now_s: float) -> None:
        past = self._past
        while past and (
            past[0].at_s < now_s - HISTORY_S
            or len(past) > HISTORY_PARCELS
            or self._bytes > HISTORY_BYTES
        ):
            first = past.popleft()
            self._bytes -= len(first.parcel)
            if first.kind == TO_NODE:
                self._forgotten.pop(first.target, None)
                self._forgotten[first.target] = first.n
                if len(self._forgotten) > FORGOTTEN_MAX:
                    del self._forgotten[next(iter(self._forgotten))]
            elif not first.target:
                self._forgotten_all = first.n

    def before(self, node: str) -> int:
        """The number of the last parcel to that node that cannot be repeated."""
        return max(self._forgotten.get(node, 0), self._forgotten_all)

    def repeat(self, node: str) -> list[Past]:
        """All that may have been for that node: nobody knows where users are."""
        return [past for past in self._past if past.kind != TO_NODE or past.target == node]


class Link:
    """One other node. `since_n`: what has a lower number was sent before that node came."""

    def __init__(self, node: str, channel: str, since_n: int) -> None:
        self.node = node
        self.channel = channel
        self.since_n = since_n
        self.last_n = 0
        # Whether parcels go by the spare way, and since when.
        self.spare = False
        self.since_s = float("-inf")
        # Since when Redis could be used again.
        self.leaving_s: float | None = None
        # When it was heard by the spare way, and when it said that Redis does not reach it.
        self.heard_s = self.deaf_s = float("-inf")
        self.hello = False
        self.queued_bytes = 0
        self._queue: deque[tuple[float, Item]] = deque()

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return self.hello or bool(self._queue)

    def open(self, history: History, now_s: float) -> list[Past]:
        """From now on by the spare way. Returns what is to be put first."""
        self.spare = True
        self.since_s = now_s
        self.leaving_s = None
        self.hello = True
        history.trim(now_s)
        self.last_n = max(self.last_n, history.before(self.node))
        if self.last_n <= self.since_n:
            self.last_n = 0
        known = max(self.last_n, self.since_n)
        return [past for past in history.repeat(self.node) if past.n > known]

    def close(self, now_s: float) -> None:
        """What follows goes by Redis."""
        self.spare = False
        self._append(Item(self.last_n, self.last_n, 0, 0, b""), now_s)

    def put(self, n: int, parcel: bytes, now_s: float, room_bytes: int) -> bool:
        """False if there is no room for it: the other node will know that it is missing."""
        prev, self.last_n = self.last_n, n
        if len(parcel) > PARCEL_BYTES_MAX or len(parcel) > room_bytes:
            return False
        for item in split(n, prev, parcel):
            self._append(item, now_s)
        return True

    def drop_older_than(self, since_s: float) -> int:
        """Returns how many parcels were given up."""
        dropped = 0
        while self._queue and self._queue[0][0] < since_s:
            dropped += self._pop().completes
        return dropped

    def take(self) -> tuple[list[Item], int]:
        """What fits in one frame, and the `last` that goes with it."""
        items: list[Item] = []
        room_bytes = FRAME_BYTES
        while self._queue and self._queue[0][1].size_bytes <= room_bytes:
            items.append(self._pop())
            room_bytes -= items[-1].size_bytes
        self.hello = False
        return items, 0 if self._queue or not self.spare else self.last_n

    def _append(self, item: Item, now_s: float) -> None:
        self._queue.append((now_s, item))
        self.queued_bytes += item.size_bytes

    def _pop(self) -> Item:
        item = self._queue.popleft()[1]
        self.queued_bytes -= item.size_bytes
        return item
