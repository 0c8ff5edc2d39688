"""What is told of a call, and that the same event has one id."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from rest.operators import webhook_events
from rest.operators.webhook_events import EVENT_TYPES, last_news, news_of, trial_news
from signalling.codes import State
from signalling.core import meter as metering
from signalling.core.model import Call
from storage.webhook_deliveries import News
from tests.rest.notifications.test_texts import ended, talked
from tests.server.test_call_watch import START_MS, call

__all__ = ["call"]
PARTIES = {"callerId": str(UUID(int=1)), "calleeId": str(UUID(int=2))}


def body(news: News) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(news.body)
    assert (decoded["id"], decoded["type"]) == (str(news.event_id), news.type)
    return decoded


def connected(call: Call) -> Call:
    meter = metering.run(call.meter, START_MS + 5_000)
    return replace(
        call, state=State.CONNECTED, connected_ms=START_MS + 5_000, meter=meter, rev=call.rev + 3
    )


def test_the_request_of_a_call(call: Call) -> None:
    told = body(news_of("call.requested", call, START_MS))
    assert told["timestamp"] == "2027-01-15T08:00:00Z"
    assert told["data"] == PARTIES | {
        "callId": str(call.id),
        "rev": call.rev,
        "kind": "audio",
        "currency": "PTS",
        "createdAt": "2027-01-15T08:00:00Z",
        "pricePerMinute": 100,
    }


def test_the_moment_of_connection(call: Call) -> None:
    told = body(news_of("call.connected", connected(call), START_MS + 5_000))
    assert told["data"]["connectedAt"] == "2027-01-15T08:00:05Z"
    assert told["data"]["rev"] == call.rev + 3


def test_the_end_of_the_money(call: Call) -> None:
    data = body(news_of("call.low_balance", connected(call), START_MS + 6_000))["data"]
    assert (data["charged"], data["balance"]) == (0, 500)
    assert data["endsAt"] == "2027-01-15T08:05:05Z"


def test_nothing_else_is_told_of_a_live_call(call: Call) -> None:
    with pytest.raises(AssertionError):
        news_of("call.ended", call, START_MS)


def test_the_end_and_the_books_of_a_call_have_one_revision() -> None:
    over = talked(charged_minor=240, earned_minor=168, units=2, rev=9)
    first, second = last_news(over)
    assert (first.type, second.type) == ("call.ended", "call.settled")
    end, books = body(first)["data"], body(second)["data"]
    assert end["rev"] == books["rev"] == 9
    assert (end["reason"], end["by"], end["talkMs"]) == ("hangup", "caller", 200_000)
    assert (books["charged"], books["earned"], books["platform"]) == (240, 168, 72)
    assert (books["units"], books["currency"]) == (2, "PTS")


def test_a_call_that_could_not_ring_has_no_books() -> None:
    [only] = last_news(ended(rang=False, rev=0))
    assert only.type == "call.ended"
    assert body(only)["data"]["rev"] == 0


def test_the_same_event_has_the_same_id_and_no_other_has_it(call: Call) -> None:
    one, later = connected(call), replace(connected(call), rev=call.rev + 4)
    news = [
        news_of("call.requested", call, START_MS),
        news_of("call.connected", one, START_MS),
        news_of("call.low_balance", one, START_MS),
        news_of("call.low_balance", later, START_MS),
        *last_news(talked()),
    ]
    assert len({each.event_id for each in news}) == len(news)
    assert news_of("call.connected", one, START_MS + 1).event_id == news[1].event_id


def test_names_and_notes_of_people_are_not_told(call: Call) -> None:
    noted = replace(connected(call), note="private words")
    for news in (
        *(news_of(kind, noted, START_MS) for kind in EVENT_TYPES[:3]),
        *last_news(talked()),
    ):
        assert not any(word in news.body for word in ("Ann", "Kai", "Mia", "private"))


def test_a_test_event_names_its_endpoint() -> None:
    news = trial_news(UUID(int=5), UUID(int=6), START_MS)
    assert body(news)["data"] == {"endpointId": str(UUID(int=6))}
    assert (news.event_id, news.type) == (UUID(int=5), webhook_events.TEST_EVENT)
