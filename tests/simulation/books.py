"""The write-combining queue over the model ledger: slices, delays, failures, lost answers."""

from collections.abc import Callable
from random import Random

from signalling.codes import By, Reason
from storage import works
from storage.errors import Unavailable
from storage.lanes import Item, Lanes, answer
from tests.simulation.ledger import Ledger
from tests.simulation.loop import VirtualLoop

WAIT_MAX_S = 4.0
SLICE_MAX = 200


class SimBooks:
    """What `Books` asks for. `faults` off: every slice is written within milliseconds."""

    def __init__(
        self, loop: VirtualLoop, ledger: Ledger, dice: Random, trace: Callable[[str], None]
    ) -> None:
        self.faults = True
        self.lost_answers = 0
        self._loop = loop
        self._ledger = ledger
        self._dice = dice
        self._trace = trace
        self._lanes = Lanes()
        self._busy = False
        self._asking: set[Item] = set()

    @property
    def waiting(self) -> int:
        return len(self._lanes)

    def put(self, work: works.Work, done: Callable[[works.Outcome], None]) -> None:
        item = self._lanes.put(work, done, self._loop.clock())
        if isinstance(work, works.Authorise):
            self._asking.add(item)
            self._loop.call_later(WAIT_MAX_S, self._expire, item)
        self._next()

    def _next(self) -> None:
        if self._busy:
            return
        items = self._lanes.take(SLICE_MAX, self._loop.time())
        if not items:
            return
        self._busy = True
        fate, delay_ms = "written", self._dice.randint(1, 8)
        if self.faults:
            fate = self._dice.choice(["written"] * 16 + ["failed", "lost", "lost"])
            if self._dice.random() < 0.03:
                delay_ms = self._dice.randint(500, 9_000)
        self._loop.later(delay_ms, lambda: self._write(items, fate))

    def _write(self, items: list[Item], fate: str) -> None:
        if fate == "failed":
            self._again(items)
            return
        outcomes = self._ledger.commit([item.work for item in items])
        for item, outcome in zip(items, outcomes, strict=True):
            self._trace(f"{fate} {item.work} {outcome}")
        if fate == "lost":
            self.lost_answers += 1
            for item in items:
                item.doubt = True
            self._again(items)
            return
        for item, outcome in zip(items, outcomes, strict=True):
            self._finish(item, outcome)
        self._busy = False
        self._next()

    def _again(self, items: list[Item]) -> None:
        for item in items:
            if item.expired:
                self._give_up(item)
            else:
                self._lanes.put_back(item)
        self._busy = False
        self._loop.later(self._dice.randint(50, 1_000), self._next)

    def _finish(self, item: Item, outcome: works.Outcome) -> None:
        if item.expired:
            item.doubt = isinstance(outcome, works.Authorised)
            self._give_up(item)
            return
        self._remove(item)
        for work, done in item.asked:
            done(answer(work, outcome))

    def _remove(self, item: Item) -> None:
        self._lanes.remove(item)
        self._asking.discard(item)

    def _expire(self, item: Item) -> None:
        if item not in self._asking:
            return
        item.expired = True
        if not item.taken:
            self._give_up(item)

    def _give_up(self, item: Item) -> None:
        """Nobody waits any longer; what may have been committed is undone."""
        work = item.work
        assert isinstance(work, works.Authorise)
        self._remove(item)
        for _, done in item.asked:
            done(works.Failed(Unavailable("too late")))
        if not item.doubt or work.call_id not in self._ledger.meters:
            return
        undo = works.Settle(
            call_id=work.call_id,
            payer=work.payer,
            payee=work.payee,
            platform=work.platform,
            target_minor=0,
            earned_minor=0,
            billable_ms=0,
            talk_ms=0,
            units=0,
            reason=Reason.SERVER_ERROR.value,
            ended_by=By.SERVER.value,
            ended_ms=self._loop.clock(),
        )
        self.put(undo, lambda _: None)
