"""The host of one call: order of inputs, its one timer, and calls whose rules are broken."""

import asyncio
from uuid import UUID

import pytest

from signalling.calls import host as module
from signalling.calls.host import AGAIN_MS, Accounts, Cause, Host
from signalling.codes import By, Code, Party, Reason, Refused, State
from signalling.core import inputs
from signalling.core.call import step
from signalling.core.effects import Closed, Effect, Settle, Tell
from signalling.core.model import Call
from signalling.events import CallAccepted
from tests.signalling.calls.hosting import ANN, KAI, LIMITS, Notes
from tests.signalling.harness import START_MS, FakeTime


def settled() -> inputs.Settled:
    return inputs.Settled(charged_minor=0, earned_minor=0, billable_ms=0, available_minor=0)


def reason(host: Host) -> Reason | None:
    return host.call.reason


def test_there_is_one_timer_and_it_is_armed_for_the_deadline(host: Host, time: FakeTime) -> None:
    assert time.armed == [START_MS + LIMITS.reach_ms]


def test_a_later_deadline_keeps_the_timer_which_then_fires_early(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    host.feed(inputs.Rang("tab"))
    assert host.call.expires_ms == START_MS + LIMITS.ring_ms
    assert time.armed == [START_MS + LIMITS.reach_ms], "not armed anew"
    told = len(notes.effects)
    assert time.fire_next(START_MS + LIMITS.ring_ms)
    assert (host.call.state, len(notes.effects)) == (State.RINGING, told), "early: nothing happens"
    assert time.armed == [START_MS + LIMITS.ring_ms]
    assert time.fire_next(START_MS + LIMITS.ring_ms)
    assert reason(host) is Reason.NO_ANSWER


def test_an_earlier_deadline_replaces_the_timer(host: Host, time: FakeTime) -> None:
    host.feed(inputs.SocketLost(Party.CALLER, "phone"))
    assert time.armed == [START_MS + LIMITS.caller_gone_ms]


def test_time_that_has_passed_is_counted_before_what_came_after_it(
    host: Host, time: FakeTime
) -> None:
    host.feed(inputs.Rang("tab"))
    time.now_ms = START_MS + LIMITS.ring_ms  # the loop was late: no timer has fired yet
    host.feed(inputs.Accepted("tab"))
    assert reason(host) is Reason.NO_ANSWER
    assert host.call.accepted_ms is None


def test_one_millisecond_before_its_deadline_an_input_still_counts(
    host: Host, time: FakeTime
) -> None:
    host.feed(inputs.Rang("tab"))
    time.now_ms = START_MS + LIMITS.ring_ms - 1
    host.feed(inputs.Accepted("tab"))
    assert host.call.state is State.ACCEPTED


def test_a_refused_input_changes_nothing_and_the_timer_stays(host: Host, time: FakeTime) -> None:
    before, armed = host.call, time.armed
    with pytest.raises(Refused):
        host.feed(inputs.MediaConnected(Party.CALLER, "phone"))
    assert host.call is before
    assert time.armed == armed


def test_a_leg_that_has_media_is_told_to_the_watcher_once_it_is_taken(
    host: Host, notes: Notes
) -> None:
    with pytest.raises(Refused):
        host.feed(inputs.MediaConnected(Party.CALLER, "phone", True, 300))
    host.feed(inputs.Accepted("tab"))
    host.feed(inputs.MediaConnected(Party.CALLER, "phone", True, 300))
    assert notes.watcher.media == [(True, 300)]
    assert host.call.caller.relay is True


def test_an_input_that_comes_while_another_is_worked_off_waits_its_turn(
    host: Host, notes: Notes
) -> None:
    seen: list[State] = []

    def answer_at_once(host: Host, effect: Effect) -> None:
        if isinstance(effect, Tell) and isinstance(effect.event, CallAccepted) and not seen:
            seen.append(host.call.state)
            host.feed(inputs.HungUp(Party.CALLEE), Cause(KAI, "tab", "c2"))
            seen.append(host.call.state)

    notes.on = answer_at_once
    host.feed(inputs.Accepted("tab"), Cause(KAI, "tab", "c1"))
    assert seen == [State.ACCEPTED, State.ACCEPTED], "not in the middle of the effects"
    assert reason(host) is Reason.HANGUP
    last_accepted = max(
        number
        for number, effect in enumerate(notes.effects)
        if isinstance(effect, Tell) and isinstance(effect.event, CallAccepted)
    )
    settles = [n for n, effect in enumerate(notes.effects) if isinstance(effect, Settle)]
    assert settles[0] > last_accepted
    cause = notes.causes[settles[0]]
    assert cause is not None
    assert cause.id == "c2"


def test_a_waiting_input_that_is_refused_is_dropped(host: Host, notes: Notes) -> None:
    def report_too_early(host: Host, effect: Effect) -> None:
        notes.on = lambda host, effect: None
        host.feed(inputs.MediaStats(Party.CALLER, "phone", 1, 0, 0, 0))

    notes.on = report_too_early
    host.feed(inputs.Rang("tab"))
    assert host.call.state is State.RINGING


def test_a_deadline_that_does_not_move_ends_the_call(
    host: Host, time: FakeTime, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(call: Call, given: inputs.Input, now_ms: int) -> tuple[Call, list[Effect]]:
        return (call, []) if isinstance(given, inputs.TimerFired) else step(call, given, now_ms)

    monkeypatch.setattr("signalling.calls.host.step", stuck)
    assert time.fire_next(START_MS + LIMITS.reach_ms)
    assert (reason(host), host.call.by) == (Reason.SERVER_ERROR, By.SERVER)
    assert len(notes.of(Settle)) == 1


def test_a_timer_whose_work_fails_ends_the_call_instead_of_coming_back_for_ever(
    host: Host, time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(call: Call, given: inputs.Input, now_ms: int) -> tuple[Call, list[Effect]]:
        if isinstance(given, inputs.TimerFired):
            raise RuntimeError("a rule is broken")
        return step(call, given, now_ms)

    monkeypatch.setattr("signalling.calls.host.step", broken)
    assert time.fire_next(START_MS + LIMITS.reach_ms)
    assert reason(host) is Reason.SERVER_ERROR
    assert time.armed == [START_MS + LIMITS.reach_ms + LIMITS.settle_wait_ms]


def test_when_the_books_are_closed_no_timer_is_left(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    host.feed(inputs.HungUp(Party.CALLER))
    assert time.armed == [START_MS + LIMITS.settle_wait_ms]
    host.feed(settled())
    assert time.armed == []
    assert len(notes.of(Closed)) == 1


async def test_the_end_can_be_waited_for_by_many(host: Host) -> None:
    waiting = [asyncio.ensure_future(host.final()) for _ in range(2)]
    host.feed(inputs.HungUp(Party.CALLER))
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    host.feed(settled())
    assert (await waiting[1]).settled
    assert await host.final() == await waiting[1]
    assert waiting[0].cancelled(), "one who gives up does not take the others along"


async def test_without_the_books_the_end_is_told_after_two_seconds(
    host: Host, time: FakeTime
) -> None:
    waiting = asyncio.ensure_future(host.final())
    host.feed(inputs.HungUp(Party.CALLER))
    assert time.fire_next(START_MS + LIMITS.settle_wait_ms)
    assert not (await waiting).settled


def test_a_party_is_told_from_a_stranger(host: Host) -> None:
    assert (host.party(ANN), host.party(KAI)) == (Party.CALLER, Party.CALLEE)
    assert (host.user(Party.CALLER), host.users()) == (ANN, (ANN, KAI))
    with pytest.raises(Refused) as caught:
        host.party(UUID(int=9))
    assert caught.value.code is Code.NOT_YOUR_CALL


def test_who_watches_hears_of_each_change_of_state_and_of_nothing_else(
    host: Host, notes: Notes
) -> None:
    host.feed(inputs.Rang("desk"))
    host.feed(inputs.Rang("tablet"))
    host.feed(inputs.HungUp(Party.CALLER))
    host.feed(settled())
    assert notes.watcher.moves == [
        (None, State.REQUESTED),
        (State.REQUESTED, State.RINGING),
        (State.RINGING, State.ENDED),
        (State.ENDED, State.ENDED),  # The books are closed.
    ]


def test_a_node_that_has_been_asleep_acts_only_after_a_proof(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    host.feed(inputs.Rang("tab"))
    told = len(notes.effects)
    notes.sure = False
    with pytest.raises(Refused) as caught:
        host.feed(inputs.Accepted("tab"))
    assert caught.value.code is Code.UNAVAILABLE
    assert caught.value.retry_after_ms
    time.now_ms = START_MS + LIMITS.ring_ms
    for _ in range(3):
        assert time.fire_next(time.now_ms + AGAIN_MS), "it is asked again and again"
    assert (host.call.state, len(notes.effects)) == (State.RINGING, told)
    notes.sure = True
    assert time.fire_next(time.now_ms + AGAIN_MS)
    assert reason(host) is Reason.NO_ANSWER
    assert len(time.armed) == 1


def test_what_comes_for_a_node_that_is_not_sure_is_kept_in_order(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    host.feed(inputs.Rang("tab"))
    notes.sure = False
    host.take(inputs.Rang("tab"))  # Dropped in the end: it does not fit any more.
    host.take(inputs.HungUp(Party.CALLER))
    host.take(settled())
    assert host.call.state is State.RINGING
    assert len(time.armed) == 1
    notes.sure = True
    assert time.fire_next(time.now_ms + AGAIN_MS)
    assert reason(host) is Reason.CANCELLED
    assert host.call.final is not None
    assert host.call.final.settled


def test_what_was_kept_comes_before_the_next_command(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    notes.sure = False
    host.take(inputs.HungUp(Party.CALLER))
    notes.sure = True
    host.feed(inputs.Stopped(By.SERVER))
    assert reason(host) is Reason.CANCELLED


def test_no_more_is_kept_than_an_inbox_holds(
    host: Host, time: FakeTime, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INBOX_MAX", 1)
    notes.sure = False
    host.take(inputs.Rang("tab"))
    host.take(inputs.HungUp(Party.CALLER))
    notes.sure = True
    assert time.fire_next(time.now_ms + AGAIN_MS)
    assert host.call.state is State.RINGING


def test_an_abandoned_call_does_and_says_nothing_any_more(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    before, told = host.call, len(notes.effects)
    host.abandon()
    host.feed(inputs.Rang("tab"))
    host.feed(inputs.HungUp(Party.CALLER))
    host.feed(settled())
    host.take(settled())
    assert (host.call, len(notes.effects)) == (before, told)
    assert time.armed == []
    assert not time.fire_next(START_MS + LIMITS.reach_ms)


def test_a_closed_call_still_hears_from_the_books_but_no_time_passes(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    host.feed(inputs.HungUp(Party.CALLER))
    host.close()
    time.now_ms += LIMITS.settle_wait_ms + 5_000
    assert notes.of(Closed) == []
    host.feed(settled())
    assert host.call.final is not None
    assert host.call.final.settled
    assert time.armed == []


def test_a_call_that_goes_on_carries_out_what_its_new_owner_must_do(
    host: Host, time: FakeTime, notes: Notes
) -> None:
    other = Host(host.call, Accounts(1, 2, 3), notes, time, time.later, claim=1)
    told = len(notes.effects)
    other.go_on([])
    assert (len(notes.effects), other.claim) == (told, 1)
    assert len(time.armed) == 2, "its timer is armed"
