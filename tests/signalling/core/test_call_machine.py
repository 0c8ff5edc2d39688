"""One call under anything that can happen to it, in any order, with a slow and forgetful ledger."""

from collections import defaultdict
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signalling.codes import By, Party, Refused, State
from signalling.core import inputs
from signalling.core.call import deadline, step
from signalling.core.effects import Charge, Closed, Effect, PushIce, Relay, Settle, Tell
from signalling.core.model import Call, leg_of
from signalling.core.tariff import Tariff, cost, first_hold, minute, second, share
from signalling.events import CallEnded
from signalling.limits import CallLimits
from tests.signalling.core.calling import NOW, PHONE, TABLET, opened
from tests.signalling.core.purse import Purse

FIRINGS_MAX = 16
LIMITS = CallLimits(duration_max_ms=1_200_000, buffered_signals_max=5, buffered_bytes_max=64)
DEVICES = {Party.CALLER: (PHONE, TABLET, "car"), Party.CALLEE: ("desk", "watch", "tv")}
TARIFFS: tuple[Tariff, ...] = (
    minute(120),
    second(10),
    minute(0),
    minute(60, connect_fee_minor=7, free_ms=30_000),
    second(600, cap_minor=1_500),
    second(600, tick_ms=1_000, minimum_minor=30),
)
parties = st.sampled_from(list(Party))
devices = st.integers(0, 2)
# Short waits and the moments around every timer.
waits = st.one_of(
    st.integers(0, 3_000),
    st.sampled_from([5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 60_000]).flatmap(
        lambda ms: st.integers(ms - 2, ms + 2)
    ),
    st.integers(60_000, 400_000),
)


class OneCall(RuleBasedStateMachine):
    @initialize(
        tariff=st.sampled_from(TARIFFS),
        spare=st.sampled_from([0, 1, 59, 120, 500, 10_000]),
        connect_on=st.sampled_from(["media", "media", "answer"]),
        has_socket=st.booleans(),
        answer_at_once=st.booleans(),
    )
    def open(
        self, tariff: Tariff, spare: int, connect_on: str, has_socket: bool, answer_at_once: bool
    ) -> None:
        self.now_ms = NOW
        hold = first_hold(tariff)
        self.purse = Purse(tariff, hold + spare, hold)
        self.revs: defaultdict[tuple[Party, str], list[int]] = defaultdict(list)
        self.ends: defaultdict[tuple[Party, str], int] = defaultdict(int)
        self.gen = 0
        self.flowing_since_ms: int | None = None
        self.flowed_ms = 0
        self.interruptions = 0
        self.closed = False
        self.call, effects = opened(
            tariff=tariff,
            available=spare,
            connect_on=connect_on,
            has_socket=has_socket,
            limits=LIMITS,
        )
        self.perform(self.call, effects)
        if answer_at_once:
            self.give(inputs.Accepted("desk"))
            for party in Party:
                self.connected(party, 0)

    # -- what the shell does

    def give(self, given: inputs.Input) -> bool:
        """As the host: the deadline comes before the input. False if it was refused."""
        self.fire_due()
        return self.apply(given)

    def apply(self, given: inputs.Input) -> bool:
        before = self.call
        try:
            after, effects = step(before, given, self.now_ms)
        except Refused:
            assert self.call is before
            return False
        if before.state is State.ENDED:
            assert after.state is State.ENDED
            assert (after.rev, after.reason, after.meter) == (
                before.rev,
                before.reason,
                before.meter,
            )
        if before.state is not State.RECONNECTING and after.state is State.RECONNECTING:
            self.interruptions += 1
        self.call = after
        self.perform(before, effects)
        return True

    def fire_due(self) -> None:
        for _ in range(FIRINGS_MAX):
            due_ms = deadline(self.call)
            if due_ms is None or due_ms > self.now_ms:
                return
            self.apply(inputs.TimerFired())
        raise AssertionError("the deadline does not move")

    def perform(self, before: Call, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Tell():
                    self.tell(effect)
                case Relay(party=party, device=device) | PushIce(party=party, device=device):
                    assert leg_of(self.call, party).device == device
                case Charge():
                    assert before.state is not State.ENDED
                    self.purse.put(effect)
                case Settle():
                    assert before.state is not State.ENDED
                    self.purse.put(effect)
                case Closed():
                    self.closed = True

    def tell(self, tell: Tell) -> None:
        if tell.rev is None and tell.only is not None:
            assert leg_of(self.call, tell.party).device == tell.only
        for device in DEVICES[tell.party]:
            if device == tell.but or tell.only not in (None, device):
                continue
            key = (tell.party, device)
            if tell.rev is not None:
                assert not self.ends[key], "nothing comes after the end"
                self.revs[key].append(tell.rev)
            if isinstance(tell.event, CallEnded):
                self.ends[key] += 1

    # -- what happens

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        """Time passes without a timer: whatever was due fires late, together."""
        self.now_ms += ms
        self.fire_due()

    @rule()
    def wait_for_the_deadline(self) -> None:
        due_ms = deadline(self.call)
        if due_ms is not None:
            self.now_ms = max(self.now_ms, due_ms)
            self.fire_due()

    @rule()
    def fire_early(self) -> None:
        self.fire_due()
        before = self.call
        self.apply(inputs.TimerFired())
        assert self.call == before

    @rule(device=devices)
    def rang(self, device: int) -> None:
        self.give(inputs.Rang(DEVICES[Party.CALLEE][device]))

    @rule(device=st.one_of(st.none(), devices))
    def accepted(self, device: int | None) -> None:
        name = None if device is None else DEVICES[Party.CALLEE][device]
        self.give(inputs.Accepted(name))

    @rule(party=parties, device=devices)
    def connected(self, party: Party, device: int) -> None:
        if self.give(inputs.MediaConnected(party, DEVICES[party][device])):
            self.flow(True)

    @rule(party=parties, device=devices, why=st.sampled_from(["ice", "app"]))
    def lost(self, party: Party, device: int, why: Literal["ice", "app"]) -> None:
        self.give(inputs.MediaLost(party, DEVICES[party][device], why))

    @rule(kind=st.sampled_from(["connected", "rtp", "end"]))
    def hook(self, kind: Literal["connected", "rtp", "end"]) -> None:
        if self.give(inputs.MediaHook(kind)):
            self.flow(kind != "end")

    @rule(on=st.booleans())
    def flow(self, on: bool) -> None:
        """What the network really carries, both ways."""
        if self.flowing_since_ms is not None:
            self.flowed_ms += self.now_ms - self.flowing_since_ms
        self.flowing_since_ms = self.now_ms if on else None

    def carried_ms(self) -> int:
        since = self.flowing_since_ms
        return self.flowed_ms + (0 if since is None else self.now_ms - since)

    @rule(party=parties, loss=st.sampled_from([0.0, 0.0, 0.5]))
    def report(self, party: Party, loss: float) -> None:
        """Honest counters: 10 bytes for each millisecond of media, over the whole call."""
        device = leg_of(self.call, party).device
        if device is not None:
            carried = 10 * self.carried_ms()
            self.give(inputs.MediaStats(party, device, carried, 20.0, loss, 1.0))

    @rule(party=parties, device=devices, video=st.booleans())
    def media_state(self, party: Party, device: int, video: bool) -> None:
        self.give(inputs.MediaState(party, DEVICES[party][device], True, video, False))

    @rule(party=parties, device=devices)
    def take(self, party: Party, device: int) -> None:
        self.give(inputs.Took(party, DEVICES[party][device]))

    @rule(party=parties, device=devices, lost=st.booleans())
    def socket(self, party: Party, device: int, lost: bool) -> None:
        name = DEVICES[party][device]
        given: inputs.Input = inputs.SocketBack(party, name)
        if lost:
            given = inputs.SocketLost(party, name)
        self.give(given)

    @rule(
        party=parties,
        device=devices,
        kind=st.sampled_from(["offer", "answer", "candidates", "end"]),
        ahead=st.sampled_from([0, 1, 1, 2, -1]),
    )
    def signal(
        self,
        party: Party,
        device: int,
        kind: Literal["offer", "answer", "candidates", "end"],
        ahead: int,
    ) -> None:
        gen = max(1, self.call.talk.gen + ahead)
        self.give(inputs.Signalled(party, DEVICES[party][device], kind, gen, b'{"x":1234}'))
        talk = self.call.talk
        assert len(talk.early) <= LIMITS.buffered_signals_max
        assert talk.early_bytes == sum(len(one.data) for one in talk.early)
        assert talk.early_bytes <= LIMITS.buffered_bytes_max

    @rule(top_up=st.sampled_from([1, 60, 500]))
    def funded(self, top_up: int) -> None:
        self.purse.wallet_minor += top_up
        self.give(inputs.Funded())

    @rule()
    def spent_elsewhere(self) -> None:
        """What is not held may go at any time."""
        self.purse.wallet_minor = self.purse.hold_minor

    @precondition(lambda self: self.purse.waiting)
    @rule(twice=st.booleans())
    def ledger_writes(self, twice: bool) -> None:
        self.purse.write(twice=twice)

    @precondition(lambda self: self.purse.answers)
    @rule(fate=st.sampled_from(["comes", "comes", "comes", "comes twice", "is lost"]))
    def ledger_answer(self, fate: str) -> None:
        answer = self.purse.answers.popleft()
        if fate != "is lost":
            self.give(answer)
        if fate == "comes twice":
            self.give(answer)

    @rule()
    def ledger_catches_up(self) -> None:
        self.purse.write_all()
        while self.purse.answers:
            self.give(self.purse.answers.popleft())

    # Ends are rare, or no call would live long enough to be interesting.
    @rule(party=parties, dice=st.integers(0, 9))
    def hung_up(self, party: Party, dice: int) -> None:
        if dice == 0:
            self.give(inputs.HungUp(party))

    @rule(dice=st.integers(0, 19))
    def stopped(self, dice: int) -> None:
        if dice == 0:
            self.give(inputs.Stopped(By.ADMIN))
        elif dice == 1:
            self.give(inputs.Rejected("busy", "later"))

    # -- what must be true

    @invariant()
    def revs_have_no_gap_and_no_repeat(self) -> None:
        for party in Party:
            # The caller has the first revision as the answer to the request.
            first = 1 if party is Party.CALLEE else 2
            for device in DEVICES[party]:
                revs = self.revs[party, device]
                assert revs == list(range(first, first + len(revs)))

    @invariant()
    def the_deadline_is_ahead(self) -> None:
        due_ms = deadline(self.call)
        if self.call.state is State.ENDED:
            assert self.call.told == (due_ms is None)
        else:
            assert due_ms is not None

    @invariant()
    def billed_time_is_never_beyond_real_time(self) -> None:
        connected_ms = self.call.connected_ms
        if connected_ms is not None:
            assert self.purse.billable_ms <= self.now_ms - connected_ms + 1

    def teardown(self) -> None:
        if not hasattr(self, "purse"):
            return
        self.run_to_the_end()
        call, purse = self.call, self.purse
        assert call.told
        for party in Party:
            for device in DEVICES[party]:
                assert self.ends[party, device] == 1
                assert self.revs[party, device][-1] == call.rev
        if not any(isinstance(asked, Settle) for asked in purse.waiting):
            assert purse.settlement is not None
        purse.write_all()
        for answer in purse.answers:
            self.apply(answer)
        purse.answers.clear()
        self.check_the_books()

    def run_to_the_end(self) -> None:
        """Nothing more is said: the call must end by itself, within the sum of its timers."""
        timers_ms = (
            LIMITS.reach_ms
            + LIMITS.ring_ms
            + LIMITS.connect_ms
            + LIMITS.duration_max_ms
            + LIMITS.grace_ms
            + LIMITS.settle_wait_ms
        )
        until_ms = self.now_ms + timers_ms
        self.fire_due()
        for _ in range(5_000):
            due_ms = deadline(self.call)
            if due_ms is None:
                break
            assert due_ms <= until_ms
            self.now_ms = due_ms
            self.fire_due()
            self.purse.write_all()
            while self.purse.answers:
                self.give(self.purse.answers.popleft())
        assert self.call.state is State.ENDED

    def check_the_books(self) -> None:
        call, purse = self.call, self.purse
        assert purse.settlement is not None
        settlement, tariff = purse.settlement, call.meter.tariff
        assert purse.hold_minor == 0
        assert settlement.charged_minor == cost(tariff, settlement.billable_ms)
        assert settlement.earned_minor == share(tariff, settlement.charged_minor)
        if call.connected_ms is None:
            assert settlement.billable_ms == 0
        elif call.connect_on == "media":
            # Each interruption is noticed one window late, and a gap is bridged by half of it.
            window_ms = 2 * LIMITS.evidence_ms + LIMITS.grace_ms
            slack_ms = (self.interruptions + 1) * window_ms
            assert settlement.billable_ms <= self.carried_ms() + slack_ms


OneCall.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=False
)
TestOneCall = OneCall.TestCase
