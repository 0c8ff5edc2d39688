"""Pages of other origins: only those named, for every route, errors included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.running import Running, development, running

APP = "https://app.example.org"
OTHER = "https://evil.example.org"


async def preflight(
    there: Running, path: str, *, origin: str, method: str, headers: str = "authorization"
) -> tuple[int, dict[str, str]]:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    async with there.site.http.options(f"{there.site.url}{path}", headers=asked) as answer:
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}


async def test_a_named_origin_may_use_every_method_of_a_path(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path, cors_origins=APP)) as there:
        for path, method in [
            ("/payments", "GET"),
            ("/payments", "POST"),
            ("/user/profile", "PUT"),
            ("/user/block/0192f1a0-0000-7000-8000-000000000000", "DELETE"),
            ("/calls/0192f1a0-0000-7000-8000-000000000000/end", "PATCH"),
        ]:
            status, headers = await preflight(
                there, path, origin=APP, method=method, headers="authorization,idempotency-key"
            )
            assert status == 200, (path, method)
            assert headers["access-control-allow-origin"] == APP
            assert headers["access-control-allow-methods"] == method
            assert headers["access-control-max-age"] == "600"
            assert "access-control-allow-credentials" not in headers
            assert headers["vary"] == "Origin"


@pytest.mark.parametrize("origins", ["", APP])
async def test_any_other_origin_may_not(dsn: str, tmp_path: Path, origins: str) -> None:
    async with running(dsn, development(tmp_path, cors_origins=origins)) as there:
        status, headers = await preflight(there, "/payments", origin=OTHER, method="GET")
        assert status in (403, 405)
        assert "access-control-allow-origin" not in headers
        url = f"{there.site.url}/otomo/list"
        async with there.site.http.get(url, headers={"Origin": OTHER}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_errors_can_be_read_too(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path, cors_origins=APP)) as there:
        url = f"{there.site.url}/wallet/balance"
        async with there.site.http.get(url, headers={"Origin": APP}) as answer:
            assert answer.status == 401
            assert answer.headers["Access-Control-Allow-Origin"] == APP
            shown = answer.headers["Access-Control-Expose-Headers"]
        assert "Retry-After" in shown
        assert "X-Request-Id" in shown


async def test_what_is_for_operators_is_shared_with_nobody(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path, cors_origins=APP)) as there:
        url = f"{there.site.url}/metrics"
        async with there.site.http.get(url, headers={"Origin": APP}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
