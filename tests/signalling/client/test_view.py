from typing import Any

from signalling.client.view import CallView

SNAPSHOT: dict[str, Any] = {
    "id": "c",
    "state": "connected",
    "rev": 4,
    "role": "caller",
    "peer": {"userId": "u", "name": "Kai"},
    "you": "active",
    "tariff": {"pricePerMinute": 120},
    "expiresAt": None,
    "connectedAt": 9,
    "meter": {"units": 1, "charged": 120, "fundedUntil": 99},
    "reason": None,
    "by": None,
}


def test_a_snapshot_fills_the_view() -> None:
    call = CallView("c", "caller")
    call.apply(SNAPSHOT)
    assert (call.state, call.units, call.total, call.funded_until) == ("connected", 1, 120, 99)
    assert call.live


def test_a_snapshot_older_than_the_events_changes_nothing() -> None:
    call = CallView("c", "caller", state="ended", rev=5)
    call.apply(SNAPSHOT)
    assert call.over


def test_the_winner_is_active_and_the_others_are_not_in_the_call() -> None:
    data = {"device": "d", "expiresAt": 1, "elsewhere": False}
    winner, loser = CallView("c", "callee", you="ringing"), CallView("c", "callee", you="ringing")
    winner.update("call_accepted", data)
    loser.update("call_accepted", {**data, "elsewhere": True})
    assert winner.live
    assert not loser.live


def test_an_unknown_event_changes_nothing() -> None:
    call = CallView("c", "caller")
    call.update("call_sparkled", {})
    assert call == CallView("c", "caller")


def test_another_device_can_take_the_call_while_its_leg_is_missing() -> None:
    call = CallView("c", "callee", you="elsewhere", state="connected")
    call.update("call_reconnecting", {"leg": "caller", "why": "socket", "expiresAt": 9})
    assert not call.can_take
    call.update("call_reconnecting", {"leg": "callee", "why": "socket", "expiresAt": 9})
    assert call.can_take
    call.update("call_connected", {"connectedAt": 1, "meter": {}})
    assert call.you == "elsewhere"
