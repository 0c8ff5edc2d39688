"""The application as a whole: what is around every route."""

from __future__ import annotations

from pathlib import Path

from server.web_app import SOCKET_PATHS
from tests.server.running import development, running


async def test_an_upgrade_costs_nothing_of_an_address_s_requests(dsn: str, tmp_path: Path) -> None:
    """Sockets have limits of their own: a storm of returning phones must get through."""
    async with running(dsn, development(tmp_path, address_burst=2, address_per_s=1)) as there:
        for path in SOCKET_PATHS * 3:
            async with there.site.http.ws_connect(there.site.url + path) as socket:
                assert not socket.closed


async def test_every_answer_carries_the_headers_that_protect_it(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        for path in ("/health", "/wallet/balance", "/nowhere", "/api-docs", "/openapi.json"):
            async with there.site.http.get(there.site.url + path) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff", path
                assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["Server"] == "talktime"
