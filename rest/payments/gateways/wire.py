"""The line to somebody else's server: a deadline, a size, no redirects, a rest after failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import aiohttp

from rest.payments.gateways.port import GatewayDown

# A route waits for 8 s: long enough for two of these.
TRY_S = 3.5
ANSWER_BYTES_MAX = 1_048_576
# After so many failures in a row nobody else is kept waiting; one in `REST_S` tries for all.
FAILURES_MAX = 5
REST_S = 10.0

Answer = tuple[bytes, int, Mapping[str, str]]


class Line:
    """`clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0
        self._session: aiohttp.ClientSession | None = None

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: bytes | str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """Body, status and headers of the answer, whatever its status.

        Raises:
            GatewayDown: no whole answer came in time, it was too large, or the line rests.
        """
        if self._failures >= FAILURES_MAX:
            if self._clock() < self._rests_until:
                raise GatewayDown("it has failed too often just now")
            self._rests_until = self._clock() + REST_S
        try:
            answer = await self._exchange(method, url, headers=headers, data=data, params=params)
        # Its class says enough; its text may hold a URL or what was sent.
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as fault:
            self._failed()
            raise GatewayDown(type(fault).__name__) from None
        if answer[1] >= 500:
            self._failed()
        else:
            self._failures = 0
        return answer

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: bytes | str | None,
        params: Mapping[str, str] | None,
    ) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TRY_S), cookie_jar=aiohttp.DummyCookieJar()
            )
        async with self._session.request(
            method, url, headers=headers, data=data, params=params, allow_redirects=False
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise ValueError("the answer is too large")
            return bytes(body), answer.status, answer.headers

    def _failed(self) -> None:
        self._failures += 1
        self._rests_until = self._clock() + REST_S
