from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from rest.calls.history_bodies import BillingView, Receipt
from rest.calls.receipt import billing_of, events_of, money, receipt_of, tariff_text
from rest.calls.words import moment, view_of_row
from signalling.core.tariff import Tariff, minute, second
from storage.calls import CallRow, UnitRow
from tests.rest.calls.test_words import ANN, CONNECTED, ENDED, KAI, START_MS

POSTINGS = [UnitRow(1, 120, 120, START_MS), UnitRow(2, 120, 240, START_MS + 60_000)]
REFUNDED = msgspec.structs.replace(ENDED, refunded_minor=240, refunded_ms=START_MS + 90_000)


def billing(row: CallRow, reader: object = ANN.user_id) -> BillingView:
    user_id = KAI.user_id if reader == KAI.user_id else ANN.user_id
    return billing_of(row, view_of_row(row, user_id, START_MS), POSTINGS)


def receipt(row: CallRow, reader: object = ANN.user_id, exponent: int = 0) -> Receipt:
    user_id = KAI.user_id if reader == KAI.user_id else ANN.user_id
    return receipt_of(row, view_of_row(row, user_id, START_MS), exponent=exponent)


def test_billing_counts_minutes_from_zero() -> None:
    found = billing(ENDED)

    assert [(unit.minute, unit.charged_points) for unit in found.billing_units] == [
        (0, 120),
        (1, 120),
    ]
    assert (found.units, found.total_charged, found.billed_seconds) == (2, 240, 120)
    assert (found.talk_seconds, found.refunded) == (71, 0)
    assert found.settled


def test_what_was_earned_is_told_to_the_callee_only() -> None:
    assert billing(ENDED).earned is UNSET
    assert billing(ENDED, KAI.user_id).earned == 168
    assert (receipt(ENDED).earned, receipt(ENDED).platform_share) == (UNSET, UNSET)
    for_kai = receipt(ENDED, KAI.user_id)
    assert (for_kai.earned, for_kai.platform_share) == (168, 72)


def test_seconds_are_billed_as_seconds() -> None:
    row = msgspec.structs.replace(
        CONNECTED, tariff=msgspec.json.encode(second(10)), billable_ms=30_500
    )

    found = billing(row)

    assert (found.units, found.billed_seconds, found.settled) == (31, 31, False)


def test_a_receipt_says_who_when_how_long_and_how_much() -> None:
    found = receipt(ENDED)

    assert (found.caller.name, found.callee.name) == ("Ann", "Kai")
    assert (found.started_at, found.ended_at) == (
        moment(START_MS + 5_001),
        moment(START_MS + 75_002),
    )
    assert (found.talk_seconds, found.billed_seconds, found.billed_units) == (71, 120, 2)
    assert (found.total, found.refunds, found.paid, found.settled) == (240, [], 240, True)
    assert found.tariff_text == "120 PTS per minute, each started minute counts"


def test_a_refund_is_on_the_receipt_and_in_the_timeline() -> None:
    found = receipt(REFUNDED)

    assert [(each.amount, each.at) for each in found.refunds] == [(240, moment(START_MS + 90_000))]
    assert (found.total, found.paid) == (240, 0)
    assert billing(REFUNDED).refunded == 240


def test_the_timeline_is_in_the_order_of_causes() -> None:
    # The database's clock stamped the postings long before the node's said anything.
    postings = [UnitRow(1, 120, 120, 1_000), UnitRow(2, 120, 240, 61_000)]

    events = events_of(view_of_row(REFUNDED, ANN.user_id, START_MS), REFUNDED, postings)

    assert [each.type for each in events] == [
        "created",
        "ringing",
        "accepted",
        "connected",
        "charged",
        "charged",
        "ended",
        "refunded",
    ]
    assert [(each.amount, each.total) for each in events[4:6]] == [(120, 120), (120, 240)]
    assert (events[6].reason, events[6].by) == (ENDED.reason, ENDED.ended_by)
    assert events[7].amount == 240


def test_a_timeline_has_only_what_happened() -> None:
    row = msgspec.structs.replace(
        CONNECTED, state="requested", ringing_ms=None, accepted_ms=None, connected_ms=None
    )
    events = events_of(view_of_row(row, ANN.user_id, START_MS), row, [])
    assert [each.type for each in events] == ["created"]


@pytest.mark.parametrize(
    ("tariff", "text"),
    [
        (second(10), "10 PTS per minute, each started second counts"),
        (
            minute(1_250, currency="EUR"),
            "1,250 EUR per minute, each started minute counts",
        ),
        (
            minute(100, first_ms=180_000, free_ms=30_000, connect_fee_minor=50),
            "100 PTS per minute, the first 3 minutes whole, then each started minute, "
            "the first 30 seconds free, 50 PTS for connecting",
        ),
        (
            second(10, per_ms=1_500, minimum_minor=5, cap_minor=500),
            "10 PTS per 1500 milliseconds, each started second counts, at least 5 PTS, "
            "at most 500 PTS",
        ),
    ],
)
def test_a_tariff_is_said_in_a_sentence(tariff: Tariff, text: str) -> None:
    assert tariff_text(tariff, 0) == text


def test_amounts_have_the_decimals_of_their_currency() -> None:
    assert [money(1_234_567, exponent) for exponent in (0, 2, 3)] == [
        "1,234,567",
        "12,345.67",
        "1,234.567",
    ]
    assert receipt(ENDED, exponent=2).tariff_text.startswith("1.20 PTS per minute")
