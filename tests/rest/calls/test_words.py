from datetime import UTC, datetime

import msgspec
import pytest

from rest.calls.words import (
    moment,
    shown_reason,
    socket_url,
    status_of,
    view_of_row,
)
from signalling.codes import By, Party, Reason, State
from signalling.core.tariff import minute
from storage.calls import CallRow, Person
from storage.ids import new_id

ANN = Person(new_id(), "Ann", None)
KAI = Person(new_id(), "Kai", "https://talk.example/kai.png")
START_MS = 1_800_000_000_000

CONNECTED = CallRow(
    call_id=new_id(),
    caller=ANN,
    callee=KAI,
    kind="audio",
    connect_on="answer",
    state="connected",
    reason=None,
    ended_by=None,
    caller_device="rest",
    callee_device=None,
    request_id=None,
    note=None,
    tariff=msgspec.json.encode(minute(120)),
    created_ms=START_MS,
    ringing_ms=START_MS + 1,
    accepted_ms=START_MS + 5_000,
    connected_ms=START_MS + 5_001,
    ended_ms=None,
    talk_ms=0,
    billable_ms=60_001,
    units=0,
    charged_minor=240,
    earned_minor=168,
    hold_minor=120,
)
ENDED = msgspec.structs.replace(
    CONNECTED,
    state="ended",
    reason="hangup",
    ended_by="callee",
    ended_ms=START_MS + 75_002,
    talk_ms=70_001,
    billable_ms=70_001,
    units=2,
    hold_minor=0,
)


def test_every_end_has_a_word_for_people() -> None:
    words = {"user_end", "otomo_end", "no_point", "network_lost", "timeout", "system_error"}

    assert {shown_reason(reason, By.SERVER) for reason in Reason} <= words
    assert {shown_reason(reason, by) for reason in Reason for by in By} == words
    assert shown_reason(None, None) is None


@pytest.mark.parametrize(
    ("by", "word"), [(By.CALLER, "user_end"), (By.CALLEE, "otomo_end"), (By.ADMIN, "user_end")]
)
def test_a_hang_up_names_the_side(by: By, word: str) -> None:
    assert shown_reason(Reason.HANGUP, by) == word


@pytest.mark.parametrize(
    ("state", "reason", "connected", "status"),
    [
        (State.REQUESTED, None, False, "initiated"),
        (State.RINGING, None, False, "ringing"),
        (State.ACCEPTED, None, False, "answered"),
        (State.CONNECTED, None, True, "answered"),
        (State.RECONNECTING, None, True, "answered"),
        (State.ENDED, Reason.HANGUP, True, "completed"),
        (State.ENDED, Reason.BALANCE_EXHAUSTED, True, "completed"),
        (State.ENDED, Reason.SERVER_ERROR, True, "completed"),
        (State.ENDED, Reason.CANCELLED, False, "cancelled"),
        (State.ENDED, Reason.HANGUP, False, "cancelled"),
        (State.ENDED, Reason.DECLINED, False, "failed"),
        (State.ENDED, Reason.BUSY, False, "failed"),
        (State.ENDED, Reason.NO_ANSWER, False, "failed"),
        (State.ENDED, Reason.CONNECT_FAILED, False, "failed"),
    ],
)
def test_a_status_is_one_of_six(
    state: State, reason: Reason | None, connected: bool, status: str
) -> None:
    assert status_of(state, reason, connected=connected) == status


@pytest.mark.parametrize("at_ms", [0, 1, 999, START_MS + 1, 253_402_300_799_999])
def test_a_moment_keeps_its_millisecond(at_ms: int) -> None:
    found = moment(at_ms)

    assert found.tzinfo is UTC
    assert (found - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 == at_ms


def test_each_side_sees_the_other() -> None:
    for_ann = view_of_row(ENDED, ANN.user_id, START_MS)
    for_kai = view_of_row(ENDED, KAI.user_id, START_MS)

    assert (for_ann.role, for_ann.with_user.name) == (Party.CALLER, "Kai")
    assert (for_kai.role, for_kai.with_user.name) == (Party.CALLEE, "Ann")
    assert for_ann.with_user.avatar == KAI.avatar_url


def test_an_ended_call_tells_time_and_money_as_settled() -> None:
    view = view_of_row(ENDED, ANN.user_id, START_MS + 999_999)

    assert (view.status, view.shown_reason) == ("completed", "otomo_end")
    assert view.duration_seconds == 71
    assert (view.billed_units, view.billed_points, view.cost) == (2, 240, 240)
    assert view.started_at == moment(START_MS + 5_001)
    assert (view.currency, view.price_per_minute) == ("PTS", 120)


def test_a_live_call_counts_on() -> None:
    view = view_of_row(CONNECTED, ANN.user_id, START_MS + 66_001)

    assert (view.status, view.duration_seconds) == ("answered", 61)
    assert view.billed_units == 2
    assert view.ended_at is None


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws"),
        ("https://talk.example.org", "wss://talk.example.org/ws"),
        ("https://example.org/http/", "wss://example.org/http/ws"),
    ],
)
def test_the_socket_is_beside_the_routes(base_url: str, url: str) -> None:
    assert socket_url(base_url) == url
