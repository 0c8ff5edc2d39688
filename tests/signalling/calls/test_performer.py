"""Effects carried out: events to devices, pushes, and works for the ledger with its answers."""

from collections.abc import Callable
from uuid import UUID

import pytest

from signalling.calls.host import Accounts, Cause, Host
from signalling.calls.performer import CallPerformer
from signalling.codes import Code, Party, Reason, Refused, State
from signalling.core import effects as made
from signalling.core import inputs
from signalling.core.call import open_call
from signalling.core.tariff import minute
from signalling.events import Draining, Profile
from signalling.limits import CallLimits
from signalling.nodes.memory import Space
from signalling.push import Wake
from storage import works
from storage.errors import Conflict
from tests.signalling.harness import START_MS, TURN, FakeTime
from tests.signalling.nodes.test_fanout import Link, Site

ANN, KAI, CALL = UUID(int=1), UUID(int=2), UUID(int=3)
CAUSE = Cause(ANN, "phone", "c1")
EVENT = Draining(retry_ms=1)


class Books:
    """The ledger's queue, answered by the test."""

    def __init__(self) -> None:
        self.works: list[works.Work] = []
        self.done: list[Callable[[works.Outcome], None]] = []

    def put(self, work: works.Work, done: Callable[[works.Outcome], None]) -> None:
        self.works.append(work)
        self.done.append(done)


class Pusher:
    def __init__(self) -> None:
        self.enabled = True
        self.wakes: list[Wake] = []

    def wake(self, wake: Wake) -> None:
        self.wakes.append(wake)


class Rig:
    def __init__(self, payee: int | None = 2) -> None:
        self.time, self.books, self.push = FakeTime(), Books(), Pusher()
        self.site, self.closed = Site(Space(), "main"), list[Host]()
        self.performer = CallPerformer(
            self.site.fanout, self.books, self.push, TURN, closed=self.closed.append
        )
        call, _ = open_call(
            call_id=CALL,
            kind="video",
            connect_on="media",
            caller=Profile(user_id=ANN, name="Ann"),
            callee=Profile(user_id=KAI, name="Kai"),
            device="phone",
            has_socket=True,
            tariff=minute(100),
            held_minor=100,
            available_minor=400,
            limits=CallLimits(),
            note=None,
            created_ms=self.time(),
            now_ms=self.time(),
        )
        self.host = Host(call, Accounts(1, payee, 3), self.performer, self.time, self.time.later)

    def perform(self, *effects: made.Effect, cause: Cause | None = None) -> None:
        self.performer.perform(self.host, list(effects), cause, self.time())

    def connect(self) -> None:
        """Both legs talk; the first minute is asked for."""
        self.host.feed(inputs.Accepted("tab"))
        self.host.feed(inputs.MediaConnected(Party.CALLER, "phone"))
        self.host.feed(inputs.MediaConnected(Party.CALLEE, "tab"))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def res_of(links: list[Link]) -> list[list[object]]:
    return [link.res for link in links]


def test_an_event_goes_to_the_chosen_devices_and_names_its_cause_to_the_causer(rig: Rig) -> None:
    links = [rig.site.link(ANN, "phone"), rig.site.link(ANN, "tab"), rig.site.link(KAI, "phone")]
    rig.perform(made.Tell(Party.CALLER, EVENT, 4), cause=CAUSE)
    rig.perform(made.Tell(Party.CALLEE, EVENT, 4), cause=CAUSE)
    assert res_of(links) == [["c1"], [None], [None]]
    frame = links[0].frames[0]
    assert (frame["call"], frame["rev"], frame["ts"]) == (str(CALL), 4, START_MS)
    rig.perform(made.Tell(Party.CALLER, EVENT, only="tab"))
    rig.perform(made.Tell(Party.CALLER, EVENT, but="tab"))
    assert [len(link.frames) for link in links] == [2, 2, 1]
    assert "rev" not in links[0].frames[1]


def test_signalling_goes_to_one_device_as_it_came(rig: Rig) -> None:
    links = [rig.site.link(KAI, "phone"), rig.site.link(KAI, "tab")]
    rig.perform(made.Relay(Party.CALLEE, "tab", b'{"kind":"end","gen":1,"from":"caller"}'))
    assert links[0].frames == []
    assert links[1].frames[0]["data"] == {"kind": "end", "gen": 1, "from": "caller"}


def test_fresh_credentials_go_to_the_leg_alone(rig: Rig) -> None:
    links = [rig.site.link(ANN, "phone"), rig.site.link(ANN, "tab")]
    rig.perform(made.PushIce(Party.CALLER, "phone"))
    assert links[1].frames == []
    assert links[0].frames[0]["type"] == "ice_servers"
    assert str(ANN) in links[0].frames[0]["data"]["iceServers"][1]["username"]


def test_a_callee_without_a_socket_is_woken(rig: Rig) -> None:
    rig.perform(made.WakeCallee())
    [wake] = rig.push.wakes
    assert (wake.user_id, wake.call_id, wake.caller_name, wake.kind) == (KAI, CALL, "Ann", "video")
    assert wake.expires_at == START_MS + CallLimits().reach_ms


def test_a_wake_names_the_devices_that_ring_already(rig: Rig) -> None:
    rig.site.link(KAI, "tab")
    rig.perform(made.WakeCallee())
    assert [wake.connected for wake in rig.push.wakes] == [{"tab"}]


def test_without_a_way_to_push_nobody_is_woken(rig: Rig) -> None:
    rig.push.enabled = False
    rig.perform(made.WakeCallee())
    assert rig.push.wakes == []


def test_a_note_is_written_down_for_nobody(rig: Rig) -> None:
    rig.perform(made.Note(State.ACCEPTED, 5, 6, "tab"))
    assert rig.books.works == [
        works.Note(call_id=CALL, state="accepted", ringing_ms=5, accepted_ms=6, callee_device="tab")
    ]
    rig.books.done[0](works.Noted())


def test_who_takes_a_leg_is_written_down(rig: Rig) -> None:
    rig.perform(made.NoteLegs("watch", None))
    work = works.NoteLegs(call_id=CALL, caller_device="watch", callee_device=None)
    assert rig.books.works == [work]


def test_a_charge_names_the_accounts_of_the_call_and_its_answer_comes_back(rig: Rig) -> None:
    rig.connect()
    charge = rig.books.works[-1]
    assert isinstance(charge, works.Charge)
    assert (charge.payer, charge.payee, charge.platform) == (1, 2, 3)
    assert (charge.target_minor, charge.earned_minor, charge.cover_minor) == (100, 70, 200)
    assert (charge.billable_ms, charge.asof_ms, charge.running) == (1, START_MS + 1, True)
    assert (charge.connected_ms, charge.state, charge.units) == (START_MS, "connected", 1)
    rig.books.done[-1](works.Charged(100, 70, 100, 300))
    meter = rig.host.call.meter
    assert (meter.charged_minor, meter.cover_minor, meter.available_minor) == (100, 200, 300)


@pytest.mark.parametrize(
    "outcome",
    [works.Charged(0, 0, 100, 400, refused=True), works.Failed(Conflict("cannot be written"))],
)
def test_a_charge_that_is_not_taken_ends_the_call(rig: Rig, outcome: works.Outcome) -> None:
    rig.connect()
    rig.books.done[-1](outcome)
    assert rig.host.call.reason is Reason.SERVER_ERROR
    assert isinstance(rig.books.works[-1], works.Settle)


def test_without_a_payee_nothing_is_earned() -> None:
    rig = Rig(payee=None)
    rig.connect()
    charge = rig.books.works[-1]
    assert isinstance(charge, works.Charge)
    assert (charge.payee, charge.earned_minor, charge.target_minor) == (None, 0, 100)
    rig.host.feed(inputs.HungUp(Party.CALLER))
    settle = rig.books.works[-1]
    assert isinstance(settle, works.Settle)
    assert (settle.payee, settle.earned_minor) == (None, 0)


def test_a_settlement_carries_the_whole_call_and_its_answer_closes_it(rig: Rig) -> None:
    rig.host.feed(inputs.Rang("tab"))
    rig.connect()
    rig.time.now_ms += 10_000
    rig.host.feed(inputs.HungUp(Party.CALLEE))
    settle = rig.books.works[-1]
    assert isinstance(settle, works.Settle)
    assert (settle.target_minor, settle.earned_minor, settle.billable_ms) == (100, 70, 10_000)
    assert (settle.reason, settle.ended_by, settle.ended_ms) == (
        "hangup",
        "callee",
        START_MS + 10_000,
    )
    assert (settle.ringing_ms, settle.accepted_ms, settle.connected_ms) == (START_MS,) * 3
    assert (settle.callee_device, settle.units, settle.talk_ms) == ("tab", 1, 10_000)
    assert rig.closed == []
    rig.books.done[-1](works.Settled(True, 100, 70, 10_000, 1, 400))
    assert rig.closed == [rig.host]
    final = rig.host.call.final
    assert final is not None
    assert (final.total, final.settled) == (100, True)


def test_a_settlement_that_fails_is_told_as_unsettled_and_the_call_let_go(rig: Rig) -> None:
    rig.host.feed(inputs.HungUp(Party.CALLER))
    rig.books.done[-1](works.Failed(Conflict("cannot be written")))
    assert rig.closed == [rig.host]
    final = rig.host.call.final
    assert final is not None
    assert not final.settled
    with pytest.raises(Refused) as caught:
        rig.host.party(UUID(int=9))
    assert caught.value.code is Code.NOT_YOUR_CALL
