"""A load run from the command's own side: accounts, tokens, calls, report."""

import io
import json
import stat
from pathlib import Path

import pytest
from rich.console import Console

from server.config import Config
from server.loading import (
    PRICE_MINOR,
    RICH_MINOR,
    Load,
    keep_crew,
    limited,
    load,
    make_pairs,
    poor_of,
    read_crew,
)
from signalling.client.load.device import Login, Pair
from signalling.client.load.plan import Plan
from storage.pool import connect
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.served import served

PAIR = Pair(Login("u1", "t1"), Login("u2", "t2"), poor=True)


def plan(calls: int = 3) -> Plan:
    return Plan(scenarios={"answered": 1}, calls=calls)


def test_a_run_shaped_by_limits_is_told_apart() -> None:
    assert limited({"request": {"rate_limited": 2}})
    assert limited({"connect": {"http_429": 1}})
    assert not limited({"request": {"insufficient_funds": 1}})


def test_some_callers_are_poor_where_money_must_run_out() -> None:
    assert poor_of(20, {"answered": 1}) == 0
    assert poor_of(20, {"answered": 9, "out-of-money": 1}) == 2
    assert poor_of(20, {"answered": 999, "out-of-money": 1}) == 1
    assert poor_of(3, {"out-of-money": 1}) == 3


async def test_users_are_kept_in_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "crew.json"
    await keep_crew(path, [PAIR, PAIR])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_crew(path) == [PAIR, PAIR]
    assert read_crew(path, 1) == [PAIR]
    with pytest.raises(ValueError, match="fewer"):
        read_crew(path, 3)
    path.write_text("{}")
    with pytest.raises(ValueError, match="no file of users"):
        read_crew(path)


async def test_calls_between_accounts_of_its_own_are_run_and_reported(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    console = Console(file=out)
    async with served(dsn, tmp_path, monkeypatch) as url:
        config = Config.load(dev=True)
        for _ in range(2):  # The second run uses the accounts of the first.
            pairs = await make_pairs(config, dsn, 4, poor=1)
            wanted = Load(
                url=url,
                plan=plan(),
                json=tmp_path / "load.json",
                csv=tmp_path / "load",
                html=tmp_path / "load.html",
            )
            assert await load(wanted, pairs, console) == 0
        failing = Load(url=url, plan=plan(1), thresholds=("call.max<0.001ms",))
        assert await load(failing, pairs, console) == 99
    assert [pair.poor for pair in pairs] == [False, False, False, True]
    assert "calls 3 of 3" in out.getvalue()
    assert json.loads((tmp_path / "load.json").read_bytes())["done"] == 3
    assert (tmp_path / "load_stats.csv").exists()
    assert "uPlot" in (tmp_path / "load.html").read_text()
    conn = await connect(dsn)
    made = await conn.fetch(
        """
        select u.email, a.posted from users u
          join account a on a.owner = u.id and a.kind = 'call_credits'
         where u.email like '%@load.talktime' order by u.email
        """
    )
    await conn.close()
    money = {row["email"].partition("@")[0]: row["posted"] for row in made}
    assert len(money) == 8
    assert money["load-poor-3"] == PRICE_MINOR
    # Filled up before each run, of which each took one unit of a caller at most.
    assert RICH_MINOR - 2 * PRICE_MINOR <= money["load-caller-0"] <= RICH_MINOR
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_server_that_takes_no_more_sockets_is_told_in_a_sentence(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKTIME_SOCKETS_PER_ADDRESS_MAX", "3")
    out = io.StringIO()
    async with served(dsn, tmp_path, monkeypatch) as url:
        pairs = await make_pairs(Config.load(dev=True), dsn, 3)
        assert await load(Load(url=url, plan=plan()), pairs, Console(file=out)) == 1
    assert "http_429" in out.getvalue()
    assert "TALKTIME_SOCKETS_PER_ADDRESS_MAX" in out.getvalue()
