"""One careful POST to a push service: a deadline, a small answer at most, and no redirects."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from server.push.port import Outcome, Said

DEADLINE_S = 5.0
ANSWER_BYTES_MAX = 65_536
RETRY_AFTER_MAX_S = 3_600.0


class NoAnswer(Exception):
    """None in time, one that is too large, or a redirect. Names neither address nor content."""


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def is_sent(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_busy(self) -> bool:
        return self.status in (408, 429) or self.status >= 500

    def busy(self) -> Said:
        return Said(Outcome.BUSY, f"status {self.status}", self.retry_after_s)


class Wire:
    """Keeps connections between pushes; `close` it at the end."""

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        socket_factory: Callable[[Any], Any] | None = None,
    ) -> None:
        """`socket_factory` may refuse addresses, see `server.push.addresses`."""
        self._deadline_s = deadline_s
        self._socket_factory = socket_factory
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """
        Raises:
            NoAnswer: see there.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=self._socket_factory),
                timeout=aiohttp.ClientTimeout(total=self._deadline_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                # What is not unpacked cannot be larger than what came.
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        try:
            # As it stands: a push service's address is not ours to spell.
            async with self._session.post(
                URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
            ) as answer:
                raw = bytearray()
                async for chunk in answer.content.iter_any():
                    raw += chunk
                    if len(raw) > ANSWER_BYTES_MAX:
                        raise NoAnswer("the answer is too large")
                status, after = answer.status, retry_after_s(answer.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
            # Its text may quote where it was sent to.
            raise NoAnswer(f"no answer: {type(fault).__name__}") from None
        if 300 <= status < 400:
            raise NoAnswer("the answer is a redirect")
        return Answer(status, bytes(raw), after)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def retry_after_s(value: str | None, now_s: Callable[[], float] = time.time) -> float | None:
    """Seconds from now, out of a header that has seconds or a date; None if it makes no sense."""
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return min(float(value), RETRY_AFTER_MAX_S)
    try:
        at_s = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, at_s - now_s()), RETRY_AFTER_MAX_S)
