"""What webhooks say of calls. Amounts are minor units, times ISO 8601 in UTC. Pure.

An event's id follows from what it tells, so the same event never gets another one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import UUID, uuid5

import msgspec

from signalling.core.meter import balance, ends_at_ms
from signalling.core.model import Call
from signalling.core.tariff import price_per_minute
from signalling.events import Shape
from storage.ended_calls import EndedCall
from storage.webhook_deliveries import News

REQUESTED = "call.requested"
CONNECTED = "call.connected"
LOW_BALANCE = "call.low_balance"
ENDED = "call.ended"
SETTLED = "call.settled"
EventType = Literal[
    "call.requested", "call.connected", "call.low_balance", "call.ended", "call.settled"
]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
# Sent when an operator asks for it, to whatever endpoint is named.
TEST_EVENT = "webhook.test"

_encode = msgspec.json.Encoder().encode
# Any fixed UUID: the ids of events are made of it and of what they tell.
_SPACE = UUID("5f3c1a52-8f0e-4d0c-9a53-6f6f1a1d7e10")


class CallNews(Shape, frozen=True):
    """What every event says. `rev` grows with the call; 0 is a call whose revisions nobody knows,
    because it never rang or its server was killed."""

    call_id: UUID
    rev: int
    kind: str
    caller_id: UUID
    callee_id: UUID
    currency: str
    created_at: datetime


class Requested(CallNews, frozen=True):
    price_per_minute: int


class Connected(CallNews, frozen=True):
    price_per_minute: int
    connected_at: datetime


class LowBalance(CallNews, frozen=True):
    """The money ends at `endsAt` if none comes; `balance` is what the caller has left."""

    charged: int
    balance: int
    ends_at: datetime | None


class Ended(CallNews, frozen=True):
    reason: str
    by: str
    accepted_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime
    talk_ms: int


class Settled(CallNews, frozen=True):
    """The books: `charged` is what the caller paid, `earned` the callee's part of it, `platform`
    the rest."""

    charged: int
    earned: int
    platform: int
    units: int
    talk_ms: int
    connected_at: datetime | None
    ended_at: datetime


class Envelope(Shape, frozen=True):
    id: UUID
    type: str
    timestamp: datetime
    data: Shape


class Ping(Shape, frozen=True):
    """The data of a test event."""

    endpoint_id: UUID


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _moment_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else moment(ms)


def news_of(kind: str, call: Call, now_ms: int) -> News:
    """A live call's news: requested, connected or low_balance."""
    tariff = call.meter.tariff
    shared: dict[str, Any] = {
        "call_id": call.id,
        "rev": call.rev,
        "kind": call.kind,
        "caller_id": call.caller.profile.user_id,
        "callee_id": call.callee.profile.user_id,
        "currency": tariff.currency,
        "created_at": moment(call.created_ms),
    }
    data: CallNews
    match kind:
        case "call.requested":
            data = Requested(**shared, price_per_minute=price_per_minute(tariff))
        case "call.connected":
            assert call.connected_ms is not None
            data = Connected(
                **shared,
                price_per_minute=price_per_minute(tariff),
                connected_at=moment(call.connected_ms),
            )
        case "call.low_balance":
            data = LowBalance(
                **shared,
                charged=call.meter.charged_minor,
                balance=balance(call.meter),
                ends_at=_moment_or_none(ends_at_ms(call.meter)),
            )
        case _:
            raise AssertionError(kind)
    return _news(kind, data, now_ms)


def last_news(call: EndedCall) -> list[News]:
    """The end of a call, and its books if it had any: a call that could not ring costs nothing."""
    shared: dict[str, Any] = {
        "call_id": call.call_id,
        "rev": call.rev,
        "kind": call.kind,
        "caller_id": call.caller_id,
        "callee_id": call.callee_id,
        "currency": call.currency,
        "created_at": moment(call.created_ms),
        "connected_at": _moment_or_none(call.connected_ms),
        "ended_at": moment(call.ended_ms),
        "talk_ms": call.talk_ms,
    }
    ended = Ended(
        **shared,
        reason=call.reason,
        by=call.ended_by,
        accepted_at=_moment_or_none(call.accepted_ms),
    )
    news = [_news(ENDED, ended, call.ended_ms)]
    if call.rang:
        settled = Settled(
            **shared,
            charged=call.charged_minor,
            earned=call.earned_minor,
            platform=call.charged_minor - call.earned_minor,
            units=call.units,
        )
        news.append(_news(SETTLED, settled, call.ended_ms))
    return news


def trial_news(event_id: UUID, endpoint_id: UUID, now_ms: int) -> News:
    """An event that tells nothing, to try an endpoint with."""
    body = Envelope(
        id=event_id, type=TEST_EVENT, timestamp=moment(now_ms), data=Ping(endpoint_id=endpoint_id)
    )
    return News(event_id, TEST_EVENT, None, _encode(body).decode())


def _news(kind: str, data: CallNews, at_ms: int) -> News:
    event_id = uuid5(_SPACE, f"{kind}:{data.call_id}:{data.rev}")
    body = Envelope(id=event_id, type=kind, timestamp=moment(at_ms), data=data)
    return News(event_id, kind, data.call_id, _encode(body).decode())
