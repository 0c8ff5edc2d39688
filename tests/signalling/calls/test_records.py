"""Stored calls as the wire shows them."""

from uuid import UUID

import msgspec
import pytest

from signalling.calls.records import final_of, profile, read_tariff, recent_of, snapshot_of
from signalling.codes import By, Party, Reason, State
from signalling.core.tariff import minute, second
from storage.calls import CallRow, Person

ANN = Person(UUID(int=1), "Ann", "https://example.org/a.png")
KAI = Person(UUID(int=2), "Kai", None)
ROW = CallRow(
    call_id=UUID(int=3),
    caller=ANN,
    callee=KAI,
    kind="video",
    connect_on="media",
    state="ended",
    reason="hangup",
    ended_by="callee",
    caller_device="phone",
    callee_device="tab",
    request_id="r1",
    note="Hi",
    tariff=msgspec.json.encode(second(60)),
    created_ms=1_000,
    ringing_ms=2_000,
    accepted_ms=9_999,
    connected_ms=10_000,
    ended_ms=20_000,
    talk_ms=9_001,
    billable_ms=9_001,
    units=10,
    charged_minor=10,
    earned_minor=7,
    hold_minor=0,
)


def test_the_end_of_a_stored_call_counts_as_people_do() -> None:
    final = final_of(ROW)
    assert (final.ring_seconds, final.talk_seconds, final.billed_seconds) == (7, 10, 10)
    assert (final.units, final.total, final.settled) == (10, 10, True)


@pytest.mark.parametrize(
    ("ringing_ms", "accepted_ms", "ended_ms", "expected"),
    [(None, None, 5_000, 0), (2_000, None, 32_000, 30), (2_000, 1_000, 3_000, 0)],
)
def test_ringing_ends_with_the_answer_or_the_call(
    ringing_ms: int | None, accepted_ms: int | None, ended_ms: int, expected: int
) -> None:
    row = msgspec.structs.replace(
        ROW, ringing_ms=ringing_ms, accepted_ms=accepted_ms, ended_ms=ended_ms
    )
    assert final_of(row).ring_seconds == expected


def test_a_call_nobody_talked_in_billed_nothing() -> None:
    row = msgspec.structs.replace(
        ROW, tariff=msgspec.json.encode(minute(60)), talk_ms=0, billable_ms=0, units=0
    )
    assert (final_of(row).billed_seconds, final_of(row).talk_seconds) == (0, 0)


@pytest.mark.parametrize(("party", "peer"), [(Party.CALLER, KAI), (Party.CALLEE, ANN)])
def test_each_side_sees_the_other(party: Party, peer: Person) -> None:
    recent = recent_of(ROW, party)
    assert (recent.role, recent.peer) == (party, profile(peer))
    assert (recent.reason, recent.by, recent.ended_at) == (Reason.HANGUP, By.CALLEE, 20_000)


def test_a_stored_call_is_a_snapshot_of_an_ended_call() -> None:
    view = snapshot_of(ROW, Party.CALLER, "phone")
    assert (view.state, view.reason, view.by, view.rev) == (
        State.ENDED,
        Reason.HANGUP,
        By.CALLEE,
        0,
    )
    assert (view.you, view.peer, view.note, view.final) == (
        "active",
        profile(KAI),
        "Hi",
        final_of(ROW),
    )
    assert (view.legs.caller.device, view.legs.callee.device) == ("phone", "tab")
    assert snapshot_of(ROW, Party.CALLER, "tab").you == "elsewhere"


def test_a_stored_tariff_is_the_one_that_was_agreed() -> None:
    assert read_tariff(ROW.tariff) == second(60)
