"""One careful POST to a company's API: a deadline, a small answer at most, and no redirects."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from rest.auth.sms.port import SmsDown

DEADLINE_S = 8.0
ANSWER_BYTES_MAX = 65_536


class Wire:
    """Keeps connections between messages; `close` it at the end."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            SmsDown: no answer in time, one that is too large, or a redirect.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._deadline_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                # What is not unpacked cannot be larger than what came.
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                raw = bytearray()
                async for chunk in answer.content.iter_any():
                    raw += chunk
                    if len(raw) > ANSWER_BYTES_MAX:
                        raise SmsDown("the answer is too large")
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            # Its text may quote what was sent.
            raise SmsDown(f"no answer: {type(fault).__name__}") from None
        if 300 <= status < 400:
            raise SmsDown("the answer is a redirect")
        return status, bytes(raw)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
