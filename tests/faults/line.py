"""One call as its two phones live it, and how long it must have cost money."""

import asyncio
from collections.abc import Sequence

SIDES = ("caller", "callee")
# Of these interruptions the server learns only when evidence lapses, and bills to the last proof.
UNNOTICED = ("silent",)

# By then another node has taken over what a dead one had.
FENCED_S = 8.0

Span = tuple[float, float]


class Line:
    """Times are of the monotonic clock, in seconds.

    `spans` are the times in which both phones had a socket and had been told that the call is
    connected: it cannot have cost less. `lapses` of them ended by evidence that did not come.
    """

    def __init__(self, call: str) -> None:
        self.call = call
        self.connected = asyncio.Event()
        self.changed = asyncio.Condition()
        self.over: set[str] = set()
        self.media_s: dict[str, float] = {}
        self.heard_s = 0.0
        self.talking: set[str] = set()
        # Somebody wants out: from then on only the server knows how long it lasted.
        self.leaving = False
        self.left_s: float | None = None
        self.spans: list[Span] = []
        self.lapses = 0
        self.interrupted = 0
        self._up: dict[str, float] = {}

    @property
    def proved_ms(self) -> int:
        """The longest that both legs can have proved media for."""
        if len(self.media_s) < 2:
            return 0
        return max(0, int((self.heard_s - max(self.media_s.values())) * 1_000))

    def up(self, side: str, at_s: float) -> None:
        """This phone has a socket and knows that the call is connected."""
        if self.leaving:
            return
        self._up.setdefault(side, at_s)

    def down(self, side: str, at_s: float, why: str = "") -> None:
        """Not any more."""
        if len(self._up) == len(SIDES):
            self.spans.append((max(self._up.values()), at_s))
            self.lapses += why in UNNOTICED
        self._up.pop(side, None)

    def leave(self, at_s: float) -> None:
        for side in SIDES:
            self.down(side, at_s)
        self.leaving = True
        if self.left_s is None:
            self.left_s = at_s

    def orphaned(self, deaths: Sequence[float], jumps: Sequence[float]) -> list[Span]:
        """When nobody ran the call, as it turned out: a node died, and soon after it another one
        went on with the call, or it was over. A call that is not told anew was not that node's."""
        ends = [*jumps, *([] if self.left_s is None else [self.left_s])]
        return [
            (died_s, min(later))
            for died_s in deaths
            if (later := [end_s for end_s in ends if died_s <= end_s < died_s + FENCED_S])
        ]

    def told(self, side: str, state: str, at_s: float) -> None:
        """A snapshot says so."""
        if state == "connected":
            self.up(side, at_s)
        else:
            self.down(side, at_s)

    def sure_ms(self, dark: Sequence[Span]) -> tuple[int, int]:
        """How long both were surely talking outside of `dark`, and in how many pieces."""
        pieces = list(self.spans)
        for since_s, until_s in dark:
            pieces = [
                left
                for begin_s, end_s in pieces
                for left in ((begin_s, min(end_s, since_s)), (max(begin_s, until_s), end_s))
                if left[0] < left[1]
            ]
        return int(sum(end_s - begin_s for begin_s, end_s in pieces) * 1_000), len(pieces)
