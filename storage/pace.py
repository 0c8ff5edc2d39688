"""When a work may be written: at once, unless waiting a moment lets many be written as one."""

from __future__ import annotations

from collections.abc import Iterable

from storage.works import Charge, Note, Settle, Work

# Nobody waits for a note, and soon a charge or the settlement will stand for it.
NOTE_WAIT_S = 0.25
# A ring waits for its hold, but who talks or has hung up does not notice this. Starting a posting
# statement costs the database as much as four or five of its rows: at 200 calls a second this takes
# a fourth off what a call costs there. The first after a quiet time waits for nothing.
POSTING_GAP_S = 0.02


class Pace:
    """Keeps slices that post apart from each other; `now_s` is the loop's clock."""

    def __init__(self, posting_gap_s: float = POSTING_GAP_S) -> None:
        self._gap_s = posting_gap_s
        self._next_posting_s = 0.0

    def after_s(self, work: Work, now_s: float, *, crowded: bool = False) -> float:
        """When a work that is put now may be taken. `crowded`: a full slice waits already, so
        there is nothing to wait for."""
        kind = type(work)
        if kind is Charge or kind is Settle:
            return 0.0 if crowded else self._next_posting_s
        return now_s + NOTE_WAIT_S if kind is Note else 0.0

    def began(self, works: Iterable[Work], now_s: float) -> None:
        """A slice of these works is being written."""
        if any(type(work) in (Charge, Settle) for work in works):
            self._next_posting_s = now_s + self._gap_s
