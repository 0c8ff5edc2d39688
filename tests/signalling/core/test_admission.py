from uuid import UUID

import pytest
from msgspec.structs import replace

from signalling.codes import Code, Reason, Refused
from signalling.core.admission import Asked, Price, admit, insufficient
from tests.signalling.core.calling import LIMITS, NOW

ASKED = Asked(
    named_by="data.toUserId",
    caller_id=UUID(int=1),
    callee_id=UUID(int=2),
    callee_active=True,
    blocked=False,
    availability="online",
    reachable=True,
    price=Price(tariff="minute", rate_minor=120, share_bps=7_000, currency="PTS"),
    price_max_minor=None,
    available_minor=120,
    failed_recently=0,
    failed_since_ms=None,
    calls_last_hour=0,
    limits=LIMITS,
    now_ms=NOW,
)


def refusal(**changed: object) -> Refused:
    with pytest.raises(Refused) as caught:
        admit(replace(ASKED, **changed))
    return caught.value


def test_the_first_unit_is_held_at_the_callees_price() -> None:
    admitted = admit(ASKED)
    assert admitted.refusal is None
    assert admitted.hold_minor == 120
    assert (admitted.tariff.name, admitted.tariff.rate_minor) == ("minute", 120)
    assert admitted.tariff.share_bps == 7_000


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"callee_id": UUID(int=1)}, Code.SELF_CALL),
        ({"callee_active": False}, Code.NOT_FOUND),
        ({"blocked": True}, Code.BLOCKED),
        ({"calls_last_hour": 30}, Code.RATE_LIMITED),
        ({"failed_recently": 3}, Code.COOLDOWN),
        ({"price_max_minor": 119}, Code.PRICE_CHANGED),
        ({"available_minor": 119}, Code.INSUFFICIENT_FUNDS),
    ],
)
def test_a_refusal_on_the_callers_side_makes_no_call(
    changed: dict[str, object], code: Code
) -> None:
    assert refusal(**changed).code is code


@pytest.mark.parametrize(
    "changed",
    [
        {"calls_last_hour": 29},
        {"failed_recently": 2},
        {"price_max_minor": 120},
        {"availability": None},
    ],
)
def test_just_within_the_limits_is_admitted(changed: dict[str, object]) -> None:
    assert admit(replace(ASKED, **changed)).refusal is None


@pytest.mark.parametrize(
    "changed", [{"availability": "offline"}, {"availability": "break"}, {"reachable": False}]
)
def test_a_callee_who_is_not_there_is_a_call_that_ends_at_once(changed: dict[str, object]) -> None:
    assert admit(replace(ASKED, **changed)).refusal is Reason.UNAVAILABLE


def test_a_refusal_of_money_says_how_much_is_missing() -> None:
    assert refusal(available_minor=7).details == {"required": 120, "available": 7}
    assert insufficient(3, 2).details == {"required": 3, "available": 2}


def test_a_changed_price_is_named() -> None:
    assert refusal(price_max_minor=1).details == {"pricePerMinute": 120}


def test_who_must_wait_is_told_how_long() -> None:
    assert refusal(calls_last_hour=30).retry_after_ms == 120_000
    cooling = refusal(failed_recently=3, failed_since_ms=NOW - 200_000)
    assert cooling.retry_after_ms == LIMITS.cooldown_ms - 200_000
    nearly_over = refusal(failed_recently=3, failed_since_ms=NOW - LIMITS.cooldown_ms)
    assert nearly_over.retry_after_ms == 1_000


def test_a_free_call_needs_no_money() -> None:
    free = replace(ASKED.price, rate_minor=0)
    assert admit(replace(ASKED, price=free, available_minor=0)).hold_minor == 0


def test_a_call_by_the_second_holds_a_minute() -> None:
    price = replace(ASKED.price, tariff="second", rate_minor=10)
    assert admit(replace(ASKED, price=price)).hold_minor == 10
