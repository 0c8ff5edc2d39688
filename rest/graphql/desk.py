"""What the fields of the schema are answered from, and the limits they keep together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import strawberry

from rest.http.errors import Problem
from rest.http.pages import LIMIT_MAX, OFFSET_MAX
from storage.deadline import Deadline
from storage.pool import Connection, Pool

DEADLINE = Deadline(4.0)
# However much is asked at once: the pool is there for calls.
CONNECTIONS_MAX = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of this node, as Prometheus reads it; it may be no number."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Desk:
    """`ping` asks Redis and raises what `rest.http.errors` knows; `samples` reads the figures."""

    pool: Pool
    ping: Callable[[], Awaitable[str]]
    samples: Callable[[], Sequence[Sample]]
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS_MAX))

    @asynccontextmanager
    async def conn(self) -> AsyncIterator[Connection]:
        """A connection for one field.

        Raises:
            TimeoutError: the field took more than 4 s.
        """
        async with self.turns, DEADLINE(), self.pool.acquire() as conn:
            yield conn


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: by whom, of what."""

    desk: Desk
    admin: UUID
    request_id: str


Info = strawberry.Info[Asked, None]


def check_page(limit: int, offset: int) -> None:
    """
    Raises:
        Problem: 400 INVALID_LIMIT or INVALID_OFFSET, beyond the bounds of REST's lists.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise Problem(400, "INVALID_LIMIT", f"limit is from 1 to {LIMIT_MAX}.", {"field": "limit"})
    if not 0 <= offset <= OFFSET_MAX:
        raise Problem(
            400, "INVALID_OFFSET", f"offset is from 0 to {OFFSET_MAX}.", {"field": "offset"}
        )


def check_text(name: str, text: str, chars_max: int) -> None:
    """
    Raises:
        Problem: 400 INVALID_PAYLOAD, the text is empty, too long, or has a NUL in it.
    """
    if not 1 <= len(text) <= chars_max or "\0" in text:
        raise Problem(
            400,
            "INVALID_PAYLOAD",
            f"{name} has 1 to {chars_max} characters, none of them NUL.",
            {"field": name},
        )
