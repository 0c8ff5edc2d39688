"""Shapes of the overview over all nodes. Amounts are minor units, times ISO 8601."""

from datetime import datetime
from typing import ClassVar, Literal

from rest.http.body import Query
from signalling.events import Shape


class LiveCalls(Shape, frozen=True):
    """Live calls by state; `total` is their sum."""

    requested: int = 0
    ringing: int = 0
    accepted: int = 0
    connected: int = 0
    reconnecting: int = 0
    total: int = 0


class Overview(Shape, frozen=True):
    """All nodes together. Of other nodes than the one that answers, `sockets` and `usersOnline` are
    up to 10 s old, as is what is per minute of all; a user on two nodes counts twice. `callsToday`
    and the like are of calls that began since midnight, UTC, and up to 10 s old. `jobsFailed` were
    given up; `webhooksFailing` deliveries failed and are tried again."""

    now: datetime
    currency: str
    live_calls: LiveCalls
    ringing: int
    sockets: int
    users_online: int
    requests_per_minute: int
    errors_per_minute: int
    calls_last_minute: int
    charged_last_minute: int
    charged_today: int
    calls_today: int
    answered_today: int
    jobs_failed: int
    webhooks_failing: int
    nodes_alive: int
    nodes: list[str]


class RatesQuery(Query, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"minutes": "INVALID_FILTER"}

    minutes: Literal[15, 60, 360, 1440] = 60


class Rates(Shape, frozen=True):
    """Series of `stepS` seconds each, the step that is under way left out; `at` is where each
    begins. What was counted (`requested`, `connected`, `ended`, `charged`, `requests`, `errors`) is
    the sum over a step; `live`, `ringing`, `sockets` and `users` are means. Null: no node wrote."""

    step_s: int
    currency: str
    at: list[datetime]
    requested: list[int | None]
    connected: list[int | None]
    ended: list[int | None]
    charged: list[int | None]
    requests: list[int | None]
    errors: list[int | None]
    live: list[int | None]
    ringing: list[int | None]
    sockets: list[int | None]
    users: list[int | None]
