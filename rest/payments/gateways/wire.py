"""One careful request to somebody else's server: a deadline, a size, and no redirects."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from rest.payments.gateways.port import GatewayDown

# A route waits for 8 s: long enough for two of these.
TRY_S = 3.5
ANSWER_BYTES_MAX = 1_048_576


def make_session() -> aiohttp.ClientSession:
    """Neither proxies, cookies nor credentials come from the machine's surroundings."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TRY_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    data: bytes | str | None = None,
    params: Mapping[str, str] | None = None,
) -> tuple[bytes, int, Mapping[str, str]]:
    """Body, status and headers of the answer, whatever its status.

    Raises:
        GatewayDown: no whole answer came in time, or it was too large.
    """
    try:
        async with session.request(
            method, url, headers=headers, data=data, params=params, allow_redirects=False
        ) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise GatewayDown("the answer is too large")
            return bytes(body), answer.status, answer.headers
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as fault:
        # Its class says enough; its text may hold a URL or what was sent.
        raise GatewayDown(type(fault).__name__) from None
