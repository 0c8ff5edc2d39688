"""A ledger in memory that obeys the statements of `storage`: accounts, meters, slots, call rows.

Every commit is checked against the books' invariants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from signalling.core.tariff import Tariff, cost, share
from storage import works
from storage.errors import Conflict

_tariff = msgspec.json.Decoder(Tariff)
FAR_BELOW = -(2**62)


@dataclass
class Account:
    posted: int = 0
    held: int = 0
    floor: int = 0

    @property
    def free(self) -> int:
        return self.posted - self.held - self.floor


@dataclass
class Meter:
    asked: works.Authorise
    tariff: Tariff
    hold: int
    charged: int = 0
    earned: int = 0
    billable_ms: int = 0
    settled: works.Settle | None = None
    settlements: int = 0
    paid_payee: int = 0
    paid_platform: int = 0


@dataclass
class Ledger:
    accounts: dict[int, Account] = field(default_factory=dict)
    meters: dict[UUID, Meter] = field(default_factory=dict)
    records: dict[UUID, works.Record] = field(default_factory=dict)
    slots: dict[UUID, UUID] = field(default_factory=dict)
    operations: set[str] = field(default_factory=set)
    requests: dict[tuple[UUID, str, str], UUID] = field(default_factory=dict)

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

    def commit(self, batch: Sequence[works.Work]) -> list[works.Outcome]:
        """One slice: settlements first, then charges, notes, records, authorisations."""
        outcomes: dict[int, works.Outcome] = {}
        for kind in (works.Settle, works.Charge, works.Note, works.Record, works.Authorise):
            for n, work in enumerate(batch):
                if type(work) is kind:
                    outcomes[n] = self._one(work)
        self.check()
        return [outcomes[n] for n in range(len(batch))]

    def _one(self, work: works.Work) -> works.Outcome:
        match work:
            case works.Settle():
                return self._settle(work)
            case works.Charge():
                return self._charge(work)
            case works.Note():
                return works.Noted()
            case works.Record():
                self.records.setdefault(work.call_id, work)
                self._remember(work)
                return works.Recorded()
            case works.Authorise():
                return self._authorise(work)
            case _:
                return works.Failed(Conflict("unknown work"))

    def _remember(self, work: works.Record | works.Authorise) -> None:
        if work.request_id is not None:
            key = (work.caller_id, work.caller_device, work.request_id)
            assert self.requests.setdefault(key, work.call_id) == work.call_id

    def _authorise(self, work: works.Authorise) -> works.Outcome:
        payer = self.accounts[work.payer]
        known = self.meters.get(work.call_id)
        if known is not None and known.asked == work and known.settled is None:
            return works.Authorised(payer.free)  # its first answer was lost
        if work.call_id in self.meters or work.call_id in self.records:
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
        self.meters[work.call_id] = Meter(work, _tariff.decode(work.tariff), work.hold_minor)
        self._remember(work)
        return works.Authorised(payer.free)

    def _charge(self, work: works.Charge) -> works.Outcome:
        meter, payer = self.meters[work.call_id], self.accounts[work.payer]
        assert meter.settled is None, "charged after the settlement"
        assert work.target_minor <= meter.charged + meter.hold, "charged beyond the hold"
        assert work.target_minor <= cost(meter.tariff, work.billable_ms)
        self._post(meter, work.target_minor, work.earned_minor)
        meter.billable_ms = max(meter.billable_ms, work.billable_ms)
        wanted = max(0, work.cover_minor - meter.charged)
        room = max(0, payer.free) + meter.hold
        hold = wanted
        if room < wanted:
            hold = max(room // work.quantum_minor * work.quantum_minor, meter.hold)
        payer.held += hold - meter.hold
        meter.hold = hold
        return works.Charged(meter.charged, meter.earned, meter.hold, payer.free)

    def _settle(self, work: works.Settle) -> works.Outcome:
        meter, payer = self.meters[work.call_id], self.accounts[work.payer]
        first = meter.settled is None
        if first:
            assert work.target_minor <= meter.charged + meter.hold, "settled beyond the hold"
            self._post(meter, work.target_minor, work.earned_minor)
            payer.held -= meter.hold
            meter.hold = 0
            meter.billable_ms = max(meter.billable_ms, work.billable_ms)
            meter.settled = work
            meter.settlements += 1
            for user_id in (meter.asked.caller_id, meter.asked.callee_id):
                assert self.slots.pop(user_id) == work.call_id
        assert meter.settled is not None
        return works.Settled(
            first, meter.charged, meter.earned, meter.billable_ms, meter.settled.units, payer.free
        )

    def _post(self, meter: Meter, target: int, earned: int) -> None:
        delta = target - meter.charged
        if delta <= 0:
            return
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

    def check(self) -> None:
        """Every invariant of the books, as of now."""
        assert sum(account.posted for account in self.accounts.values()) == 0
        held = dict.fromkeys(self.accounts, 0)
        for call_id, meter in self.meters.items():
            assert meter.hold >= 0
            assert meter.paid_payee + meter.paid_platform == meter.charged
            assert meter.settlements == (meter.settled is not None)
            held[meter.asked.payer] += meter.hold
            if meter.settled is None:
                users = (meter.asked.caller_id, meter.asked.callee_id)
                assert [self.slots.get(user) for user in users] == [call_id, call_id]
            else:
                assert meter.hold == 0
                assert meter.charged == cost(meter.tariff, meter.billable_ms)
                if meter.asked.payee is not None:
                    assert meter.earned == share(meter.tariff, meter.charged)
        for number, account in self.accounts.items():
            assert account.held == held[number]
            assert account.free >= 0
        opened = sum(meter.settled is None for meter in self.meters.values())
        assert len(self.slots) == 2 * opened
