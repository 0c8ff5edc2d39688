"""The application as a whole: what is around every route."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from server.web_app import SOCKET_PATHS
from tests.server.running import development, running


async def test_a_storm_of_phones_that_come_back_gets_through(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        for path in SOCKET_PATHS * 60:
            async with there.site.http.ws_connect(there.site.url + path) as socket:
                assert not socket.closed


async def test_an_upgrade_counts_as_a_request_of_its_address(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path, address_burst=2, address_per_s=1)) as there:
        for path in SOCKET_PATHS:
            async with there.site.http.ws_connect(there.site.url + path) as socket:
                assert not socket.closed
        for path in SOCKET_PATHS:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await there.site.http.ws_connect(there.site.url + path)
            assert caught.value.status == 429
            assert caught.value.headers is not None
            assert int(caught.value.headers["Retry-After"]) >= 1


async def test_without_a_limit_of_addresses_upgrades_have_none(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path, address_burst=2, address_per_s=0)) as there:
        for path in SOCKET_PATHS * 5:
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
