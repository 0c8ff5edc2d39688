"""A load run from the command's own side: accounts, tokens, calls, report."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from server.config import Config
from server.loading import Load, limited, load
from storage.pool import connect
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.served import served


def test_a_run_shaped_by_limits_is_told_apart() -> None:
    assert limited({"rate_limited": 2})
    assert not limited({"insufficient_funds": 1})


async def test_calls_between_accounts_of_its_own_are_run_and_reported(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    async with served(dsn, tmp_path, monkeypatch) as url:
        config = Config.load(dev=True)
        for _ in range(2):  # The second run uses the accounts of the first.
            wanted = Load(pairs=3, calls=3, json=tmp_path / "report.json")
            assert await load(config, dsn, url, wanted, Console(file=out)) == 0
        failing = Load(pairs=1, calls=1, thresholds=("call.max<0.001ms",))
        assert await load(config, dsn, url, failing, Console(file=out)) == 99
    said = out.getvalue()
    assert "calls 3 of 3" in said
    assert b'"completed": 3' in (tmp_path / "report.json").read_bytes()
    conn = await connect(dsn)
    made = await conn.fetchval("select count(*) from users where email like '%@load.talktime'")
    await conn.close()
    assert made == 6
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_server_that_takes_no_more_sockets_is_told_in_a_sentence(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKTIME_SOCKETS_PER_ADDRESS_MAX", "3")
    out = io.StringIO()
    async with served(dsn, tmp_path, monkeypatch) as url:
        wanted = Load(pairs=3, calls=3)
        assert await load(Config.load(dev=True), dsn, url, wanted, Console(file=out)) == 1
    assert "TALKTIME_SOCKETS_PER_ADDRESS_MAX" in out.getvalue()
