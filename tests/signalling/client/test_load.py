"""Load runs against a whole server in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalling.client.load import Login, Mix, Pair, run_load
from signalling.client.rest import Api
from tests.served import served


@pytest.fixture
async def url(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with served(dsn, tmp_path, monkeypatch) as base:
        yield base


async def demo_pairs(url: str) -> list[Pair]:
    pairs = []
    for caller, callee in (("mia", "kai"), ("noah", "lea")):
        async with Api(url) as customer, Api(url) as provider:
            first = await customer.login(f"{caller}@demo.talktime", "talktime-demo")
            second = await provider.login(f"{callee}@demo.talktime", "talktime-demo")
            pairs.append(Pair(Login(first.id, customer.token), Login(second.id, provider.token)))
    return pairs


async def test_every_call_of_a_run_is_completed_and_each_phase_measured(url: str) -> None:
    pairs = await demo_pairs(url)
    report = await run_load(url, pairs, calls=4, thresholds=["relay.p99<10s"])
    assert (report.completed, report.failed, report.errors) == (4, 0, {})
    assert report.exit_code == 0
    counts = {name: phase.count for name, phase in report.phases.items()}
    assert counts == {
        "connect": 4,
        "request": 4,
        "ring": 4,
        "ringing": 4,
        "accept": 4,
        "relay": 80,
        "connected": 4,
        "tick": 4,
        "end": 4,
        "call": 4,
    }


async def test_a_mix_of_rejected_and_cancelled_calls_completes_too(url: str) -> None:
    pairs = await demo_pairs(url)
    for mix in (Mix(0, 1, 0), Mix(0, 0, 1)):
        report = await run_load(url, pairs, calls=2, mix=mix, concurrency=1)
        assert (report.completed, report.errors) == (2, {})
        assert "tick" not in report.phases


async def test_a_refused_call_is_counted_by_its_code(url: str) -> None:
    [first, second] = await demo_pairs(url)
    own = Pair(first.caller, Login(first.caller.user_id, second.callee.token))
    report = await run_load(url, [own], calls=1)
    assert (report.completed, report.failed) == (0, 1)
    assert report.errors["self_call"] >= 1
    assert report.exit_code == 1


async def test_a_run_without_pairs_or_with_a_wrong_threshold_does_not_begin() -> None:
    with pytest.raises(ValueError, match="pair"):
        await run_load("http://127.0.0.1:9", [], calls=1)
    with pytest.raises(ValueError, match="threshold"):
        await run_load("http://127.0.0.1:9", [], calls=1, thresholds=["fast"])
