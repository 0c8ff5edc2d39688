"""The ledger as one call sees it: a wallet, a meter, and answers that may come late or never."""

from collections import deque

from signalling.core import inputs
from signalling.core.effects import Charge, Settle
from signalling.core.tariff import Tariff, cost

Asked = Charge | Settle


class Purse:
    """Works are written in order by `write`; their answers wait in `answers`."""

    def __init__(self, tariff: Tariff, wallet_minor: int, hold_minor: int) -> None:
        assert wallet_minor >= hold_minor
        self.tariff = tariff
        self.wallet_minor = wallet_minor  # everything not charged yet, the hold included
        self.charged_minor = 0
        self.hold_minor = hold_minor
        self.billable_ms = 0
        self.waiting: deque[Asked] = deque()
        self.answers: deque[inputs.Input] = deque()
        self.postings: list[int] = []
        self.settlement: inputs.Settled | None = None

    @property
    def free_minor(self) -> int:
        return self.wallet_minor - self.hold_minor

    def put(self, asked: Asked) -> None:
        self.waiting.append(asked)

    def write(self, *, twice: bool = False) -> None:
        """Commit the oldest work; `twice` as after a lost acknowledgement."""
        asked = self.waiting.popleft()
        answer = self._commit(asked)
        if twice:
            again = self._commit(asked)
            assert again == answer
        self.answers.append(answer)

    def write_all(self) -> None:
        while self.waiting:
            self.write()

    def _commit(self, asked: Asked) -> inputs.Input:
        if isinstance(asked, Settle):
            return self._settle(asked)
        return self._charge(asked)

    def _charge(self, asked: Charge) -> inputs.Input:
        if self.settlement is not None:
            return inputs.ChargeRefused()
        # The core may never ask for more than it set aside.
        assert asked.target_minor <= self.charged_minor + self.hold_minor
        assert asked.target_minor == cost(self.tariff, asked.billable_ms)
        self._post(asked.target_minor, asked.billable_ms)
        wanted = max(0, asked.cover_minor - self.charged_minor)
        rest, room = self.hold_minor, self.wallet_minor
        quantum = asked.quantum_minor
        self.hold_minor = wanted if room >= wanted else max(rest, room // quantum * quantum)
        self._check()
        return inputs.ChargePosted(self.charged_minor, self.hold_minor, self.free_minor)

    def _settle(self, asked: Settle) -> inputs.Input:
        if self.settlement is None:
            assert asked.target_minor <= self.charged_minor + self.hold_minor
            self._post(asked.target_minor, asked.billable_ms)
            self.hold_minor = 0
            self.settlement = inputs.Settled(
                self.charged_minor, asked.earned_minor, self.billable_ms, self.free_minor
            )
        self._check()
        return self.settlement

    def _post(self, target_minor: int, billable_ms: int) -> None:
        delta = max(0, target_minor - self.charged_minor)
        if delta:
            self.postings.append(delta)
        self.charged_minor += delta
        self.hold_minor -= delta
        self.wallet_minor -= delta
        self.billable_ms = max(self.billable_ms, billable_ms)

    def _check(self) -> None:
        assert 0 <= self.hold_minor <= self.wallet_minor
        assert sum(self.postings) == self.charged_minor
