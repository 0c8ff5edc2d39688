"""The demo against a whole server in this process: two real peers, real money."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console

from server.demo import demo
from tests.served import served


@pytest.fixture
async def url(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with served(dsn, tmp_path, monkeypatch) as base:
        yield base


async def test_the_demo_talks_charges_and_prints_the_receipt(url: str) -> None:
    out = io.StringIO()
    assert await demo(url, seconds=2, console=Console(file=out, width=200)) == 0
    text = out.getvalue()
    for part in ("ringing", "connected", "unit 1: 120 charged", "ended: hangup by caller"):
        assert part in text
    assert "provider earns 84 PTS, platform 36 PTS" in text
    assert "Mia: 1000 → 880 PTS, Kai: +84 PTS" in text


async def test_a_wallet_of_100_is_refused_at_a_price_of_120(url: str) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    assert await demo(url, seconds=2, price=120, balance=100, console=console) == 1
    assert "insufficient_funds" in out.getvalue()
    assert "required 120, available 100" in out.getvalue()


async def test_without_a_server_the_demo_fails_and_says_so() -> None:
    out = io.StringIO()
    assert await demo("http://127.0.0.1:9", console=Console(file=out, width=200)) == 1
    assert "No answer from http://127.0.0.1:9" in out.getvalue()
