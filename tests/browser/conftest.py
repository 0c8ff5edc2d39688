"""A whole server in development mode and people with browsers at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Unpack

import pytest

from signalling.core import admission, tariff, views
from storage import pool as pools
from storage.pool import Connection
from tests.browser.chromium import Visitors, visitors
from tests.served import served

# How long a unit of talk lasts in these tests: a minute is too long to wait for.
UNIT_MS = 2_000
_minute = tariff.minute


def _brief(
    rate_minor: int, *, share_bps: int = 7000, currency: str = "PTS", **more: Unpack[tariff.Extras]
) -> tariff.Tariff:
    for name in ("per_ms", "first_ms", "next_ms", "tick_ms"):
        more.setdefault(name, UNIT_MS)  # type: ignore[misc]
    return _minute(rate_minor, share_bps=share_bps, currency=currency, **more)


def brief_minutes(patch: pytest.MonkeyPatch) -> None:
    """Calls that are asked for from now on have minutes of `UNIT_MS`."""
    patch.setattr(tariff, "minute", _brief)
    # What such a minute costs is what the directory says.
    for module in (admission, views):
        patch.setattr(module, "price_per_minute", lambda each: each.rate_minor)


@pytest.fixture
async def people(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Visitors]:
    """Browsers at a server of its own with the demo accounts; minutes last `UNIT_MS`."""
    brief_minutes(monkeypatch)
    async with served(dsn, tmp_path, monkeypatch) as url, visitors(url) as there:
        yield there
        assert there.faults == []


@pytest.fixture
async def books(dsn: str) -> AsyncIterator[Connection]:
    """Into the server's database, past the server."""
    conn = await pools.connect(dsn, application_name="tests")
    yield conn
    await conn.close()
