"""A whole server in this process, and users for a load."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple, Unpack

import pytest

from server.config import Config
from server.loading import make_pairs
from signalling.client.load.collect import Collector
from signalling.client.load.device import Pair
from signalling.client.load.plan import Plan
from signalling.client.load.report import Point, Report
from signalling.client.load.run import Job, run_load
from signalling.core import tariff
from tests.served import served

# What would stop a load from one address.
LIMITS_OFF = {
    "TALKTIME_ADDRESS_BURST": "0",
    "TALKTIME_USER_BURST": "0",
    "TALKTIME_SOCKETS_PER_ADDRESS_MAX": "10000",
    "TALKTIME_CALL_REQUEST_BURST": "1000000",
    "TALKTIME_CALLS_PER_HOUR_MAX": "1000000",
    "TALKTIME_COOLDOWN_CALLS": "1000000",
    "TALKTIME_RING_MS": "300",
}


class Town(NamedTuple):
    """A server, and who lives there."""

    url: str
    dsn: str
    config: Config

    async def pairs(self, count: int, poor: int = 0) -> list[Pair]:
        return await make_pairs(self.config, self.dsn, count, poor)

    async def load(
        self,
        scenarios: dict[str, float],
        *,
        calls: int = 3,
        couples: int = 3,
        poor: int = 0,
        workers: int = 1,
        thresholds: tuple[str, ...] = (),
        show: Callable[[Point, Collector], None] = lambda _, __: None,
        stop: asyncio.Event | None = None,
        **plan: object,
    ) -> Report:
        wanted = Plan(scenarios=scenarios, calls=calls, **plan)  # type: ignore[arg-type]
        pairs = await self.pairs(couples, poor)
        job = Job(url=self.url, plan=wanted, pairs=pairs, workers=workers, thresholds=thresholds)
        return await run_load(job, show=show, stop=stop)


UNIT_MS = 1_500


def short_minute(
    rate_minor: int, *, share_bps: int = 7_000, currency: str = "PTS", **more: Unpack[tariff.Extras]
) -> tariff.Tariff:
    """As the stock tariff, but its minutes are short: money must run out within a test."""
    for name in ("per_ms", "first_ms", "next_ms", "tick_ms"):
        more.setdefault(name, UNIT_MS)  # type: ignore[misc]
    return _minute(rate_minor, share_bps=share_bps, currency=currency, **more)


_minute = tariff.minute


@pytest.fixture
def short_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tariff, "minute", short_minute)


@pytest.fixture
async def town(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    for name, value in LIMITS_OFF.items():
        monkeypatch.setenv(name, value)
    async with served(dsn, tmp_path, monkeypatch) as url:
        yield Town(url, dsn, Config.load(dev=True))
