"""What waits for the combiner: one lane for each call, so that a call's works stay in order.

Newer work takes the place of older where the result is the same: that bounds what can pile up
while the database is away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from uuid import UUID

from msgspec.structs import replace

from storage.works import (
    Authorise,
    Charge,
    Charged,
    Note,
    Noted,
    NoteLegs,
    Outcome,
    Settle,
    Settled,
    Work,
)

Done = Callable[[Outcome], None]


class Item:
    """A work that waits, or is taken, and everybody who waits for it.

    `put_ms` is the node clock's time of the oldest work it stands for; `after_s`, on the loop's
    clock, is when it may be taken again; `doubt` means that it may have been committed already.
    """

    __slots__ = ("after_s", "asked", "delays", "doubt", "expired", "put_ms", "taken", "work")

    def __init__(self, work: Work, done: Done, put_ms: int, after_s: float = 0.0) -> None:
        self.work = work
        self.asked: list[tuple[Work, Done]] = [(work, done)]
        self.put_ms = put_ms
        self.after_s = after_s
        self.delays = 0
        self.doubt = False
        self.expired = False
        self.taken = False


def merge(older: Work, newer: Work) -> Work | None:
    """The one work that does what both would do in turn, or None. Targets are cumulative."""
    match older, newer:
        case Charge(), Charge():
            if newer.connected_ms is None and older.connected_ms is not None:
                return replace(
                    newer,
                    connected_ms=older.connected_ms,
                    ringing_ms=older.ringing_ms,
                    accepted_ms=older.accepted_ms,
                    callee_device=older.callee_device,
                )
            return newer
        case Note(), Charge() if newer.connected_ms is not None:
            return replace(
                newer,
                ringing_ms=older.ringing_ms if newer.ringing_ms is None else newer.ringing_ms,
                accepted_ms=older.accepted_ms if newer.accepted_ms is None else newer.accepted_ms,
                callee_device=newer.callee_device or older.callee_device,
            )
        case Note(), Note():
            return Note(
                call_id=newer.call_id,
                state=newer.state,
                ringing_ms=older.ringing_ms if newer.ringing_ms is None else newer.ringing_ms,
                accepted_ms=older.accepted_ms if newer.accepted_ms is None else newer.accepted_ms,
                callee_device=newer.callee_device or older.callee_device,
            )
        case (NoteLegs(), NoteLegs()) | ((Charge() | Note() | NoteLegs()), Settle()):
            return newer
        case _:
            return None


def answer(work: Work, outcome: Outcome) -> Outcome:
    """What the asker of `work` hears, whose place another work may have taken."""
    match work, outcome:
        case Charge(), Settled():
            return Charged(
                outcome.charged_minor,
                outcome.earned_minor,
                0,
                outcome.available_minor,
                work.target_minor > outcome.charged_minor,
            )
        case ((Note() | NoteLegs()), (Settled() | Charged())):
            return Noted()
        case _:
            return outcome


class Lanes:
    """All lanes, in the order in which their first work came."""

    def __init__(self) -> None:
        self._lanes: dict[UUID, deque[Item]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, call_id: UUID) -> bool:
        """Whether anything of this call waits or is taken."""
        return call_id in self._lanes

    def put(self, work: Work, done: Done, now_ms: int, after_s: float = 0.0) -> Item:
        """Add a work; it may take the place of the last ones of its lane.

        `after_s` is when it may be taken at the earliest, on the loop's clock.
        """
        lane = self._lanes.setdefault(work.call_id, deque())
        lane.append(Item(work, done, now_ms, after_s))
        self._count += 1
        while len(lane) > 1 and self._fold(lane, len(lane) - 2):
            pass
        return lane[-1]

    def take(self, limit: int, now_s: float) -> list[Item]:
        """At most `limit` items: one of each call, one Charge of each payer, and Authorise only if
        they share no user, so that each is judged by what the one before it has left. If there are
        more, those of calls that are there go before new calls, and notes are last."""
        items: list[Item] = []
        used: set[tuple[type[Work], int | UUID]] = set()
        lanes: Iterable[deque[Item]] = self._lanes.values()
        if len(self._lanes) > limit:
            lanes = sorted(lanes, key=_rank)
        for lane in lanes:
            item = lane[0]
            if item.taken or item.after_s > now_s:
                continue
            claims = _claims(item.work)
            if not used.isdisjoint(claims):
                continue
            used.update(claims)
            item.taken = True
            items.append(item)
            if len(items) == limit:
                break
        return items

    def oldest_ms(self, besides: Iterable[Item]) -> int | None:
        """When the oldest work was put that is not among `besides`; None if there is none.

        Notes do not count: no money depends on them.
        """
        skip = set(besides)
        if self._count == len(skip):
            return None
        return min(
            (
                item.put_ms
                for lane in self._lanes.values()
                for item in lane
                if item not in skip and type(item.work) not in (Note, NoteLegs)
            ),
            default=None,
        )

    def next_s(self) -> float | None:
        """When the next item may be taken, on the loop's clock; 0 for at once."""
        return min((lane[0].after_s for lane in self._lanes.values()), default=None)

    def remove(self, item: Item) -> None:
        """Forget an item, done or not."""
        lane = self._lanes[item.work.call_id]
        lane.remove(item)
        self._count -= 1
        del self._lanes[item.work.call_id]
        if lane:
            # What came behind queues behind the others.
            self._lanes[item.work.call_id] = lane

    def put_back(self, item: Item) -> None:
        """A taken item waits again, in its place, unless its successor can stand for both."""
        item.taken = False
        lane = self._lanes[item.work.call_id]
        while len(lane) > 1 and self._fold(lane, 0):
            pass

    def drain(self) -> list[Item]:
        """Everything, in order; nothing is left."""
        items = [item for lane in self._lanes.values() for item in lane]
        self._lanes.clear()
        self._count = 0
        return items

    def _fold(self, lane: deque[Item], at: int) -> bool:
        """Merge the item at `at` and the next one; False if they must stay two."""
        older, newer = lane[at], lane[at + 1]
        merged = None if older.taken else merge(older.work, newer.work)
        if merged is None:
            return False
        newer.work = merged
        newer.asked = older.asked + newer.asked
        newer.put_ms = older.put_ms
        if type(older.work) is not Note:  # A note waits because nobody does; what follows must not.
            newer.after_s = max(older.after_s, newer.after_s)
        del lane[at]
        self._count -= 1
        return True


def _rank(lane: deque[Item]) -> int:
    """A new call can be refused, one that is there cannot; and for a note nobody waits."""
    kind = type(lane[0].work)
    return 2 if kind is Note else 1 if kind is Authorise else 0


def _claims(work: Work) -> tuple[tuple[type[Work], int | UUID], ...]:
    """What no two works of one slice may share."""
    match work:
        case Charge():
            return ((Charge, work.payer),)
        case Authorise():
            return (
                (Authorise, work.payer),
                (Authorise, work.caller_id),
                (Authorise, work.callee_id),
            )
        case _:
            return ()
