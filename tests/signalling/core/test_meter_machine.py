"""The meter of a call against a model ledger: one wallet, a virtual clock, delays and lost answers.

The call connects with its answer, so that nothing but money and the socket moves the meter.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signalling.codes import Party, Reason, State
from signalling.core import inputs
from signalling.core.call import deadline, step
from signalling.core.effects import Charge, Effect, Settle, Tell
from signalling.core.tariff import Tariff, cost, first_hold, horizon, minute, second
from signalling.events import BalanceLow, CallTick
from signalling.limits import CallLimits
from tests.signalling.core.calling import NOW, PHONE, opened
from tests.signalling.core.purse import Purse

LIMITS = CallLimits(grace_ms=10_000_000, grace_budget_ms=10_000_000)
LEVELS_MS = LIMITS.low_balance_ms
TARIFFS: tuple[Tariff, ...] = (
    minute(120),
    second(10),
    second(600),
    minute(60, connect_fee_minor=7),
    second(60, free_ms=90_000),
    second(600, minimum_minor=30),
    minute(90, cap_minor=400),
    second(60, tick_ms=1_000, per_ms=1_000),
    minute(0),
)


class OneMeter(RuleBasedStateMachine):
    @initialize(tariff=st.sampled_from(TARIFFS), spare=st.integers(0, 700))
    def connect(self, tariff: Tariff, spare: int) -> None:
        self.tariff = tariff
        self.now_ms = NOW
        hold = first_hold(tariff)
        self.purse = Purse(tariff, hold + spare, hold)
        self.call, _ = opened(tariff=tariff, available=spare, connect_on="answer", limits=LIMITS)
        self.prompt = True  # Every answer has come before time went on.
        self.targets: list[int] = []
        self.ticks: list[CallTick] = []
        self.warned: list[int] = []
        self.low: BalanceLow | None = None
        self.give(inputs.Accepted("desk"))
        self.talked_ms = 0  # what runs on the meter, by our own count
        self.answer_all()

    # -- the shell

    def give(self, given: inputs.Input) -> None:
        self.call, effects = step(self.call, given, self.now_ms)
        self.perform(effects)

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Charge(target_minor=target):
                    self.targets.append(target)
                    self.purse.put(effect)
                case Settle():
                    self.purse.put(effect)
                case Tell(party=Party.CALLER, event=CallTick() as tick):
                    self.ticks.append(tick)
                case Tell(party=Party.CALLER, event=BalanceLow() as low):
                    self.warn(low)

    def warn(self, low: BalanceLow) -> None:
        if low.withdrawn:
            assert self.low is not None, "nothing was told that could be withdrawn"
            assert low.ends_at is None or low.ends_at - self.now_ms > LEVELS_MS[0]
            self.low, self.warned = None, []
            return
        assert low.ends_at is not None
        left_ms = low.ends_at - self.now_ms
        reached = min(level for level in LEVELS_MS if left_ms <= level)
        if self.low is not None and self.low.ends_at == low.ends_at:
            assert not self.warned or reached < self.warned[-1], "each level once, in order"
        if self.prompt:
            assert low.ends_at == self.true_end_at()
        self.low = low
        self.warned.append(reached)

    def true_end_at(self) -> int | None:
        """When the call's money ends if none is added, from the ledger's own figures."""
        end = horizon(self.tariff, self.purse.charged_minor + self.purse.wallet_minor)
        return None if end is None else self.now_ms + end - self.talked_ms

    def answer_all(self) -> None:
        while self.purse.waiting or self.purse.answers:
            self.purse.write_all()
            while self.purse.answers:
                self.give(self.purse.answers.popleft())
        self.prompt = True

    def fire(self) -> None:
        for _ in range(8):
            due_ms = deadline(self.call)
            if due_ms is None or due_ms > self.now_ms:
                return
            before = len(self.targets)
            self.give(inputs.TimerFired())
            assert len(self.targets) - before <= 1, "one target, however late"
        raise AssertionError("the deadline does not move")

    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        if self.call.meter.since_ms is not None:
            self.talked_ms += ms

    @property
    def over(self) -> bool:
        return self.call.state is State.ENDED

    # -- what happens

    @rule(ms=st.integers(1, 200_000))
    def talk_with_a_prompt_ledger(self, ms: int) -> None:
        until_ms = self.now_ms + ms
        while not self.over:
            due_ms = deadline(self.call)
            if due_ms is None or due_ms > until_ms:
                break
            self.pass_time(max(0, due_ms - self.now_ms))
            self.fire()
            if not self.over:
                self.answer_all()
        if not self.over:
            self.pass_time(until_ms - self.now_ms)

    @rule(ms=st.integers(1, 100_000))
    def talk_with_late_timers_and_no_answers(self, ms: int) -> None:
        self.pass_time(ms)
        self.fire()
        self.prompt = self.prompt and not self.purse.waiting

    @precondition(lambda self: not self.over)
    @rule(top_up=st.integers(1, 400))
    def top_up(self, top_up: int) -> None:
        before = self.true_end_at()
        self.purse.wallet_minor += top_up
        self.give(inputs.Funded())
        self.answer_all()
        self.fire()
        after = self.true_end_at()
        assert after is None or (before is not None and after >= before)
        if self.low is not None and not self.over and self.call.state is State.CONNECTED:
            assert self.low.ends_at == after, "what was told last is true"

    @precondition(lambda self: self.over)
    @rule()
    def top_up_after_the_end(self) -> None:
        self.purse.wallet_minor += 1_000
        before = self.call
        self.give(inputs.Funded())
        assert self.call is before

    @rule()
    def pause(self) -> None:
        self.fire()
        if not self.over:
            self.give(inputs.SocketLost(Party.CALLER, PHONE))
            self.talked_ms = max(1, self.talked_ms)  # The first millisecond is sold at once.

    @rule()
    def resume(self) -> None:
        self.fire()
        if not self.over:
            self.give(inputs.SocketBack(Party.CALLER, PHONE))

    @precondition(lambda self: self.purse.waiting)
    @rule()
    def acknowledgement_is_lost(self) -> None:
        """The ledger commits, nobody hears of it, and the same target is sent again."""
        self.purse.write(twice=True)

    @rule()
    def answers_come(self) -> None:
        self.fire()
        self.answer_all()

    @precondition(lambda self: self.purse.answers)
    @rule()
    def answer_is_lost(self) -> None:
        if isinstance(self.purse.answers[0], inputs.ChargePosted):
            self.purse.answers.popleft()
            self.prompt = False

    # -- what must be true

    @invariant()
    def targets_never_fall(self) -> None:
        assert self.targets == sorted(self.targets)

    @invariant()
    def nothing_is_charged_beyond_what_was_talked(self) -> None:
        talked = max(1, self.talked_ms)
        assert self.purse.charged_minor <= cost(self.tariff, talked)

    @invariant()
    def ticks_add_up(self) -> None:
        total = 0
        for tick in self.ticks:
            assert tick.charged == tick.total - total
            total = tick.total
        assert [tick.unit for tick in self.ticks] == sorted({tick.unit for tick in self.ticks})

    @invariant()
    def the_end_by_money_is_exact(self) -> None:
        if not self.over:
            return
        assert self.call.reason in (Reason.BALANCE_EXHAUSTED, Reason.SERVER_ERROR, Reason.HANGUP)
        if self.call.reason is Reason.BALANCE_EXHAUSTED and self.prompt:
            self.purse.write_all()
            assert self.purse.settlement is not None
            # Not one more millisecond could be paid, and not one that was paid is missing.
            billable_ms = self.purse.settlement.billable_ms
            assert cost(self.tariff, billable_ms) == self.purse.charged_minor

    def teardown(self) -> None:
        if not hasattr(self, "purse"):
            return
        self.fire()
        if not self.over:
            self.give(inputs.HungUp(Party.CALLER))
        self.purse.write_all()
        settlement = self.purse.settlement
        assert settlement is not None
        assert self.purse.hold_minor == 0
        assert settlement.charged_minor == cost(self.tariff, settlement.billable_ms)
        if self.call.reason is Reason.HANGUP:
            # Nobody talked for less than what ran on the clock, except beyond the cover.
            assert settlement.billable_ms == max(1, self.talked_ms)


def test_a_call_runs_to_the_last_millisecond_of_its_money() -> None:
    for tariff in TARIFFS:
        for spare in (0, 1, 59, 60, 61, 119, 120, 121, 500):
            machine = OneMeter()
            machine.connect(tariff, spare)
            wallet = first_hold(tariff) + spare
            end_ms = horizon(tariff, wallet)
            machine.talk_with_a_prompt_ledger(20_000_000)
            if end_ms is None or end_ms > LIMITS.duration_max_ms:
                assert machine.call.reason is Reason.MAX_DURATION
                continue
            assert machine.call.reason is Reason.BALANCE_EXHAUSTED
            assert machine.call.ended_ms == NOW + end_ms
            machine.purse.write_all()
            assert machine.purse.charged_minor == cost(tariff, end_ms)


OneMeter.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestOneMeter = OneMeter.TestCase
