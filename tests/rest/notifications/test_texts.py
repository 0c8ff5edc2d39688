from __future__ import annotations

from typing import Any

import pytest

from rest.notifications.texts import after_call, duration
from signalling.codes import Reason
from storage.ended_calls import EndedCall
from storage.ids import new_id

MIA, KAI = new_id(), new_id()


def ended(**changes: Any) -> EndedCall:
    """A call of Mia's to Kai, who was not there."""
    given: dict[str, Any] = {
        "call_id": new_id(),
        "caller_id": MIA,
        "caller_name": "Mia",
        "callee_id": KAI,
        "callee_name": "Kai",
        "reason": "no_answer",
        "ended_by": "server",
        "rang": True,
        "answered": False,
        "connected": False,
        "talk_ms": 0,
        "charged_minor": 0,
        "earned_minor": 0,
        "rev": 3,
        "kind": "audio",
        "currency": "PTS",
        "units": 0,
        "created_ms": 1_000,
        "accepted_ms": None,
        "connected_ms": None,
        "ended_ms": 31_000,
    }
    return EndedCall(**given | changes)


def talked(**changes: Any) -> EndedCall:
    given = {"reason": "hangup", "ended_by": "caller", "answered": True, "connected": True}
    return ended(**given | {"talk_ms": 200_000} | changes)


def told(call: EndedCall) -> list[tuple[str, str, str | None, str]]:
    """Whom, of which type, under which toggle, in which words."""
    names = {MIA: "Mia", KAI: "Kai"}
    return [
        (names[each.user_id], each.type, each.category, each.message)
        for each in after_call(call, lambda amount: f"{amount} PTS")
    ]


MISSED = [("Kai", "MISSED_CALL", "incoming_call", "You missed a call from Mia.")]


@pytest.mark.parametrize(
    ("reason", "by", "rang"),
    [
        ("no_answer", "server", True),
        ("unreachable", "server", True),
        ("cancelled", "caller", True),
        ("busy", "callee", False),
        ("unavailable", "callee", False),
    ],
)
def test_a_call_that_nobody_came_to_was_missed(reason: str, by: str, rang: bool) -> None:
    assert told(ended(reason=reason, ended_by=by, rang=rang)) == MISSED


@pytest.mark.parametrize("reason", ["declined", "busy", "unavailable"])
def test_a_call_turned_down_by_hand_was_not_missed(reason: str) -> None:
    assert told(ended(reason=reason, ended_by="callee", rang=True)) == []


@pytest.mark.parametrize("reason", ["connect_failed", "hangup", "admin", "server_error"])
def test_an_answered_call_that_never_connected_says_nothing(reason: str) -> None:
    assert told(ended(reason=reason, answered=True)) == []


def test_both_are_told_what_a_call_came_to() -> None:
    assert told(talked(charged_minor=480, earned_minor=336)) == [
        ("Mia", "CALL_SUMMARY", "call_summary", "You talked 3 min 20 s with Kai: 480 PTS."),
        ("Kai", "CALL_SUMMARY", "call_summary",
         "You talked 3 min 20 s with Mia and earned 336 PTS."),
    ]  # fmt: skip


def test_a_call_that_cost_nothing_names_no_amount() -> None:
    assert [text for *_, text in told(talked())] == [
        "You talked 3 min 20 s with Kai.",
        "You talked 3 min 20 s with Mia.",
    ]


def test_the_payer_hears_that_the_money_ended_the_call() -> None:
    call = talked(reason="balance_exhausted", ended_by="server", charged_minor=480)
    assert told(call)[2:] == [
        ("Mia", "BALANCE_EXHAUSTED", "wallet_alert",
         "Your balance is used up, so the call with Kai has ended."),
    ]  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_each_notice_has_a_source_of_its_own_and_names_the_call(reason: Reason) -> None:
    call = talked(reason=reason.value)
    notices = after_call(call, str)
    assert len({(each.user_id, each.source) for each in notices}) == len(notices) >= 2
    assert {(each.related_type, each.related_id) for each in notices} == {("call", call.call_id)}


@pytest.mark.parametrize(
    ("talk_ms", "text"),
    [
        (0, "0 s"),
        (1, "1 s"),
        (59_000, "59 s"),
        (59_001, "1 min"),
        (200_000, "3 min 20 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h 5 s"),
        (14_400_000 - 1_000, "3 h 59 min 59 s"),
    ],
)
def test_a_duration_counts_started_seconds(talk_ms: int, text: str) -> None:
    assert duration(talk_ms) == text
