"""A ledger in memory that obeys the statements of `storage`: accounts, meters, slots, call rows,
and which life of which node owns what.

Every commit is checked against the books' invariants, as far as it has touched them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from signalling.core.tariff import Tariff, cost, share
from storage import works
from storage.errors import Fenced

_tariff = msgspec.json.Decoder(Tariff)


@dataclass
class Account:
    posted: int = 0
    held: int = 0
    floor: int = 0

    @property
    def free(self) -> int:
        return self.posted - self.held - self.floor


@dataclass
class Life:
    """A row of `node`. `locked`: a connection holds the lock on its name; `left`: it has ended in
    order."""

    epoch: int
    name: str
    beat_ms: int
    beat_at_ms: int
    platform: int
    fenced: bool = False
    left: bool = False
    locked: bool = True


@dataclass
class Meter:
    """A meter, and what the row of its call says. `owners` are all epochs that it had."""

    asked: works.Authorise
    tariff: Tariff
    hold: int
    epoch: int
    asof_ms: int
    claim: int = 0
    running: bool = False
    state: str = "requested"
    ringing_ms: int | None = None
    accepted_ms: int | None = None
    connected_ms: int | None = None
    caller_leg: str | None = None
    callee_device: str | None = None
    charged: int = 0
    earned: int = 0
    billable_ms: int = 0
    settled: works.Settle | None = None
    settlements: int = 0
    paid_payee: int = 0
    paid_platform: int = 0
    owners: list[int] = field(default_factory=list)


@dataclass
class Left:
    """A row of `call_handover`."""

    epoch: int
    now_ms: int
    at_ms: int
    state: bytes


@dataclass
class Ledger:
    """`clock` is the database's."""

    clock: Callable[[], int]
    accounts: dict[int, Account] = field(default_factory=dict)
    lives: dict[int, Life] = field(default_factory=dict)
    meters: dict[UUID, Meter] = field(default_factory=dict)
    opened: dict[UUID, Meter] = field(default_factory=dict)
    records: dict[UUID, works.Record] = field(default_factory=dict)
    left: dict[UUID, Left] = field(default_factory=dict)
    slots: dict[UUID, UUID] = field(default_factory=dict)
    operations: set[str] = field(default_factory=set)
    requests: dict[tuple[UUID, str, str], UUID] = field(default_factory=dict)
    of_user: dict[UUID, list[UUID]] = field(default_factory=dict)
    refused: list[works.Work] = field(default_factory=list)

    def open_account(self, posted: int = 0, *, floor: int = 0) -> int:
        number = len(self.accounts) + 1
        self.accounts[number] = Account(floor=floor)
        if posted:
            self.grant(number, posted)
        return number

    def grant(self, account: int, amount: int) -> None:
        """From account 1, which may go below any floor."""
        self.accounts[1].posted -= amount
        self.accounts[account].posted += amount

    def commit(self, epoch: int, beat_ms: int, batch: Sequence[works.Work]) -> list[works.Outcome]:
        """One slice of a node, in the combiner's order.

        Raises:
            Fenced: the epoch is not the node's any more; nothing was written.
        """
        life = self.lives[epoch]
        if life.fenced:
            raise Fenced("this node was fenced")
        life.beat_at_ms = self.clock()
        life.beat_ms = max(life.beat_ms, beat_ms)
        if not batch:
            return []
        outcomes: dict[int, works.Outcome] = {}
        for kind, step in self._steps():
            for n, work in enumerate(batch):
                if type(work) is kind:
                    outcomes[n] = step(epoch, work)
        self._check_touched(batch)
        return [outcomes[n] for n in range(len(batch))]

    def _steps(self) -> tuple[tuple[type[works.Work], Callable[..., works.Outcome]], ...]:
        return (
            (works.Settle, self._settle),
            (works.Charge, self._charge),
            (works.Note, self._note),
            (works.NoteLegs, self._note_legs),
            (works.Record, self._record),
            (works.HandOver, self._hand_over),
            (works.Authorise, self._authorise),
        )

    def _record(self, _: int, work: works.Record) -> works.Outcome:
        if work.call_id not in self.meters and work.call_id not in self.records:
            self.records[work.call_id] = work
            self._remember(work)
        return works.Recorded()

    def _remember(self, work: works.Record | works.Authorise) -> None:
        for user_id in (work.caller_id, work.callee_id):
            self.of_user.setdefault(user_id, []).append(work.call_id)
        if work.request_id is not None:
            self.requests.setdefault(
                (work.caller_id, work.caller_device, work.request_id), work.call_id
            )

    def _note(self, epoch: int, work: works.Note) -> works.Outcome:
        meter = self.opened.get(work.call_id)
        if meter is not None and meter.epoch == epoch:
            meter.state = work.state
            meter.ringing_ms = meter.ringing_ms or work.ringing_ms
            meter.accepted_ms = meter.accepted_ms or work.accepted_ms
            meter.callee_device = work.callee_device or meter.callee_device
        return works.Noted()

    def _note_legs(self, epoch: int, work: works.NoteLegs) -> works.Outcome:
        meter = self.opened.get(work.call_id)
        if meter is not None and meter.epoch == epoch:
            meter.caller_leg, meter.callee_device = work.caller_device, work.callee_device
        return works.Noted()

    def _hand_over(self, epoch: int, work: works.HandOver) -> works.Outcome:
        meter = self.opened.get(work.call_id)
        if meter is None or meter.epoch != epoch:
            return works.HandedOver(False)
        self.left[work.call_id] = Left(epoch, work.now_ms, self.clock(), work.state)
        return works.HandedOver(True)

    def _authorise(self, epoch: int, work: works.Authorise) -> works.Outcome:
        payer = self.accounts[work.payer]
        known = self.meters.get(work.call_id)
        if known is not None or work.call_id in self.records:
            if (
                known is not None
                and known.settled is None
                and known.epoch == epoch
                and known.asked.caller_id == work.caller_id
                and known.asof_ms == work.created_ms
            ):
                return works.Authorised(payer.free)  # its first answer was lost
            return works.Known(work.call_id)
        if work.request_id is not None:
            same = self.requests.get((work.caller_id, work.caller_device, work.request_id))
            if same is not None:
                return works.Known(same)
        for user_id in (work.caller_id, work.callee_id):
            if user_id in self.slots:
                return works.SlotTaken(user_id, self.slots[user_id])
        if payer.free < work.hold_minor:
            return works.Short(work.hold_minor, payer.free)
        payer.held += work.hold_minor
        self.slots[work.caller_id] = self.slots[work.callee_id] = work.call_id
        meter = Meter(
            work, _tariff.decode(work.tariff), work.hold_minor, epoch, work.created_ms,
            owners=[epoch],
        )  # fmt: skip
        self.meters[work.call_id] = self.opened[work.call_id] = meter
        self._remember(work)
        return works.Authorised(payer.free)

    def _charge(self, epoch: int, work: works.Charge) -> works.Outcome:
        meter, payer = self.meters[work.call_id], self.accounts[work.payer]
        beyond = work.target_minor > meter.charged + meter.hold
        if meter.settled is not None or meter.epoch != epoch or beyond:
            self.refused.append(work)
            return works.Charged(meter.charged, meter.earned, meter.hold, payer.free, True)
        assert work.target_minor <= cost(meter.tariff, work.billable_ms)
        self._post(meter, work.target_minor, work.earned_minor)
        meter.billable_ms = max(meter.billable_ms, work.billable_ms)
        meter.asof_ms, meter.running = work.asof_ms, work.running
        if work.connected_ms is not None:
            meter.state, meter.connected_ms = work.state, work.connected_ms
            meter.ringing_ms = work.ringing_ms or meter.ringing_ms
            meter.accepted_ms = work.accepted_ms or meter.accepted_ms
            meter.callee_device = work.callee_device or meter.callee_device
        wanted = max(0, work.cover_minor - meter.charged)
        room = max(0, payer.free) + meter.hold
        hold = wanted
        if room < wanted:
            hold = max(room // work.quantum_minor * work.quantum_minor, meter.hold)
        payer.held += hold - meter.hold
        meter.hold = hold
        return works.Charged(meter.charged, meter.earned, meter.hold, payer.free)

    def _settle(self, epoch: int, work: works.Settle) -> works.Outcome:
        meter, payer = self.meters.get(work.call_id), self.accounts[work.payer]
        if meter is None:
            return works.Settled(False, 0, 0, 0, 0, payer.free, False)
        first = meter.settled is None
        if first and meter.epoch != epoch:
            return works.Failed(Fenced("the call belongs to another node"))
        if first:
            target = min(max(work.target_minor, meter.charged), meter.charged + meter.hold)
            self._post(meter, target, work.earned_minor)
            payer.held -= meter.hold
            meter.hold = 0
            meter.billable_ms = max(meter.billable_ms, work.billable_ms)
            meter.settled, meter.running, meter.state = work, False, "ended"
            meter.ringing_ms = work.ringing_ms or meter.ringing_ms
            meter.accepted_ms = work.accepted_ms or meter.accepted_ms
            meter.connected_ms = work.connected_ms or meter.connected_ms
            meter.callee_device = work.callee_device or meter.callee_device
            meter.settlements += 1
            for user_id in (meter.asked.caller_id, meter.asked.callee_id):
                assert self.slots.pop(user_id) == work.call_id
            del self.opened[work.call_id]
        assert meter.settled is not None
        return works.Settled(
            first, meter.charged, meter.earned, meter.billable_ms, meter.settled.units, payer.free
        )

    def _post(self, meter: Meter, target: int, earned: int) -> None:
        delta = target - meter.charged
        if delta <= 0:
            return
        assert not self.lives[meter.epoch].fenced, "posted by a fenced node"
        key = f"call:{meter.asked.call_id}:{target}"
        assert key not in self.operations
        self.operations.add(key)
        part = earned - meter.earned
        assert 0 <= part <= delta
        asked = meter.asked
        payer = self.accounts[asked.payer]
        payer.posted -= delta
        payer.held -= delta
        meter.hold -= delta
        if asked.payee is not None:
            self.accounts[asked.payee].posted += part
        self.accounts[asked.platform].posted += delta - part
        meter.charged, meter.earned = target, earned
        meter.paid_payee += part
        meter.paid_platform += delta - part

    # -- invariants

    def _check_touched(self, batch: Sequence[works.Work]) -> None:
        for work in batch:
            meter = self.meters.get(work.call_id)
            if meter is None:
                continue
            check_meter(meter)
            account = self.accounts[meter.asked.payer]
            assert account.held >= 0
            assert account.free >= 0
            if meter.settled is None:
                users = (meter.asked.caller_id, meter.asked.callee_id)
                assert [self.slots.get(user) for user in users] == [work.call_id] * 2

    def check(self) -> None:
        """Every invariant of the books, as of now."""
        assert sum(account.posted for account in self.accounts.values()) == 0
        held = dict.fromkeys(self.accounts, 0)
        for meter in self.meters.values():
            check_meter(meter)
            held[meter.asked.payer] += meter.hold
        for number, account in self.accounts.items():
            assert account.held == held[number]
            assert account.free >= 0
        assert len(self.slots) == 2 * len(self.opened)
        assert self.left.keys() <= self.opened.keys()


def check_meter(meter: Meter) -> None:
    assert meter.hold >= 0
    assert meter.paid_payee + meter.paid_platform == meter.charged
    assert meter.settlements == (meter.settled is not None)
    if meter.settled is not None:
        assert meter.hold == 0
        assert meter.charged == cost(meter.tariff, meter.billable_ms)
        if meter.asked.payee is not None:
            assert meter.earned == share(meter.tariff, meter.charged)
