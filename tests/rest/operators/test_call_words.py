"""Calls in the operators' words: the node's word before the row's, and the row's without it."""

from __future__ import annotations

from uuid import UUID

import msgspec
from msgspec.structs import replace

from rest.operators.call_words import call_detail, call_view, moment
from signalling.calls.oversight import LiveCall, LiveLeg, LiveMeter
from signalling.codes import State
from signalling.core.tariff import minute
from storage.calls import CallRow, Person, UnitRow
from storage.operator_calls import Owned

AT_MS = 1_800_000_000_000
ROW = CallRow(
    call_id=UUID(int=1),
    caller=Person(UUID(int=2), "Ann", None),
    callee=Person(UUID(int=3), "Kai", None),
    kind="audio",
    connect_on="media",
    state="accepted",
    reason=None,
    ended_by=None,
    caller_device="phone",
    callee_device=None,
    request_id=None,
    note="hush",
    tariff=msgspec.json.encode(minute(100)),
    created_ms=AT_MS,
    ringing_ms=AT_MS + 1_000,
    accepted_ms=AT_MS + 2_000,
    connected_ms=None,
    ended_ms=None,
    talk_ms=0,
    billable_ms=0,
    units=0,
    charged_minor=0,
    earned_minor=0,
    hold_minor=100,
)
LEG = LiveLeg(
    device="phone", here=True, media=True, quality="good", relay=None, audio=True, video=False,
    hold=False,
)  # fmt: skip
LIVE = LiveCall(
    id=ROW.call_id,
    claim=0,
    state=State.CONNECTED,
    ringing_at=AT_MS + 1_000,
    accepted_at=AT_MS + 2_000,
    connected_at=AT_MS + 3_000,
    ended_at=None,
    caller=LEG,
    callee=replace(LEG, device="tab", quality="poor"),
    meter=LiveMeter(
        running=True, billable_ms=61_001, units=2, charged=200, held=100, balance=300,
        funded_until=AT_MS + 183_000,
    ),
    journal=None,
)  # fmt: skip
OWNED = Owned(ROW, "main", 4, 1)


def test_the_node_knows_better_than_the_row() -> None:
    view = call_view(OWNED, LIVE, AT_MS + 64_001)
    assert (view.state, view.connected_at) == (State.CONNECTED, moment(AT_MS + 3_000))
    assert (view.charged, view.units, view.talk_seconds, view.elapsed_seconds) == (200, 2, 62, 61)
    assert view.quality is not None
    assert (view.quality.caller, view.quality.callee) == ("good", "poor")


def test_without_its_node_the_row_is_all_there_is() -> None:
    call = call_detail(OWNED, None, [], AT_MS + 5_500)
    assert (call.state, call.elapsed_seconds, call.quality) == (State.ACCEPTED, 5, None)
    assert (call.legs.caller.device, call.legs.callee.device) == ("phone", None)
    assert call.legs.caller.here is None
    assert call.meter is not None
    assert (call.meter.running, call.meter.held, call.meter.balance) == (False, 100, None)
    assert call.owners == 2


def test_what_has_ended_has_no_meter_and_no_quality() -> None:
    row = replace(
        ROW, state="ended", reason="hangup", ended_by="caller", ended_ms=AT_MS + 9_000,
        talk_ms=4_001, units=1, charged_minor=100, earned_minor=70, refunded_minor=100,
        refunded_ms=AT_MS + 20_000,
    )  # fmt: skip
    postings = [UnitRow(1, 100, 100, AT_MS + 3_000)]
    call = call_detail(replace(OWNED, row=row), LIVE, postings, AT_MS + 30_000)
    assert (call.state, call.quality, call.meter, call.elapsed_seconds) == (
        State.ENDED,
        None,
        None,
        None,
    )
    assert (call.talk_seconds, call.charged, call.earned, call.refunded) == (5, 100, 70, 100)
    assert call.refunded_at == moment(AT_MS + 20_000)
    assert [(each.n, each.amount) for each in call.billing_units] == [(1, 100)]


def test_what_the_caller_wrote_is_not_shown() -> None:
    call = call_detail(OWNED, LIVE, [], AT_MS)
    assert b"hush" not in msgspec.json.encode(call)


def test_one_that_could_not_ring_had_no_owner() -> None:
    assert call_detail(Owned(ROW), None, [], AT_MS).owners == 0
