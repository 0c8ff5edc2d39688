"""What people are told after a call, and in which words. Pure.

The types are the contract: an app in another language says it in its own words.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from signalling.codes import By, Reason
from storage.ended_calls import EndedCall
from storage.notifications import Category, Notice

MISSED_CALL = "MISSED_CALL"
CALL_SUMMARY = "CALL_SUMMARY"
BALANCE_EXHAUSTED = "BALANCE_EXHAUSTED"
ANNOUNCEMENT = "ANNOUNCEMENT"

# Ends of a call that its callee did not come to.
MISSED = frozenset(
    {Reason.NO_ANSWER, Reason.UNREACHABLE, Reason.CANCELLED, Reason.BUSY, Reason.UNAVAILABLE}
)


def after_call(call: EndedCall, money: Callable[[int], str]) -> list[Notice]:
    """What the two users of an ended call are told; `money` spells an amount of minor units."""
    caller, callee = call.caller_id, call.callee_id
    told = []
    if was_missed(call):
        text = f"You missed a call from {call.caller_name}."
        told.append(_notice(call, callee, MISSED_CALL, "incoming_call", text))
    if call.connected:
        talked = duration(call.talk_ms)
        cost = f": {money(call.charged_minor)}" if call.charged_minor else ""
        text = f"You talked {talked} with {call.callee_name}{cost}."
        told.append(_notice(call, caller, CALL_SUMMARY, "call_summary", text))
        gain = f" and earned {money(call.earned_minor)}" if call.earned_minor else ""
        text = f"You talked {talked} with {call.caller_name}{gain}."
        told.append(_notice(call, callee, CALL_SUMMARY, "call_summary", text))
    if call.reason == Reason.BALANCE_EXHAUSTED:
        text = f"Your balance is used up, so the call with {call.callee_name} has ended."
        told.append(_notice(call, caller, BALANCE_EXHAUSTED, "wallet_alert", text))
    return told


def was_missed(call: EndedCall) -> bool:
    """Nobody answered, and nobody turned it down either.

    Busy or unavailable by the callee's own hand is no news to them; found so by the server it is.
    """
    by_hand = call.rang and call.ended_by == By.CALLEE
    return not call.answered and call.reason in MISSED and not by_hand


def duration(talk_ms: int) -> str:
    """Started seconds in hours, minutes and seconds, without what is zero: `1 h 20 s`."""
    minutes, seconds = divmod(-(-talk_ms // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{count} {unit}"
        for count, unit in ((hours, "h"), (minutes, "min"), (seconds, "s"))
        if count
    ]
    return " ".join(parts) or "0 s"


def _notice(call: EndedCall, user_id: UUID, type: str, category: Category, message: str) -> Notice:
    return Notice(
        user_id=user_id,
        type=type,
        message=message,
        source=f"call:{call.call_id}:{type.lower()}",
        category=category,
        related_type="call",
        related_id=call.call_id,
    )
