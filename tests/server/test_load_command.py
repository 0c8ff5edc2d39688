"""`talktime load` as one runs it: options, files, exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli import app
from tests.served import served
from tests.server.test_cli import TRACEBACK, talktime

QUICK = {"TALKTIME_ARGON2_PROFILE": "test"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--url", "https://talk.example.org"), "--allow-remote"),
        (("--scenario", "talking=1"), "no scenario 'talking'"),
        (("--think", "2s-1s"), "before it begins"),
        (("--ladder", "5"), "no ladder"),
        (("--mode", "video"), "signalling or media"),
        (("--mode", "media", "--scenario", "glare"), "With media"),
        (("--reject", "0.9", "--cancel", "0.2"), "at most 1"),
        (("--make-users", "10"), "--crew"),
        (("--crew", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(arguments: tuple[str, ...], why: str) -> None:
    said = CliRunner().invoke(app, ["load", *arguments])
    assert said.exit_code == 1
    assert why in said.stderr
    assert TRACEBACK not in said.stderr


async def test_where_no_server_answers_that_is_said(tmp_path: Path, dsn: str) -> None:
    said = await talktime(
        tmp_path, "load", "--url", "http://127.0.0.1:9", "--pairs", "1", DATABASE_URL=dsn
    )
    assert said.code == 1
    assert "No server answers at http://127.0.0.1:9: nobody was let in" in said.err
    assert TRACEBACK not in said.err


async def test_users_are_made_once_and_load_from_a_file_by_two_processes(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = tmp_path / "crew.json"
    out = tmp_path / "load.json"
    async with served(dsn, tmp_path, monkeypatch) as url:
        made = await talktime(
            tmp_path, "load", "--make-users", "8", "--crew", str(crew), DATABASE_URL=dsn, **QUICK
        )
        assert (made.code, made.err) == (0, "")
        said = await talktime(
            tmp_path,
            *("load", "--url", url, "--crew", str(crew), "--calls", "4", "--workers", "2"),
            *("--scenario", "answered=3,rejected=1", "--json", str(out)),
            *("--threshold", "ring.p99<60s", "--threshold", "ring.max<0.001ms"),
        )
    assert said.code == 99, said.err
    assert said.out.index("✓ ring.p99<60s") < said.out.index("✗ ring.max<0.001ms")
    report = json.loads(out.read_text())
    assert (report["done"], report["failed"], report["workers"]) == (4, 0, 2)
    assert report["violations"] == []


async def test_the_older_words_still_work(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(dsn, tmp_path, monkeypatch) as url:
        said = await talktime(
            tmp_path,
            *("load", "--url", url, "--pairs", "3", "--calls", "3", "--reject", "1"),
            DATABASE_URL=dsn,
            **QUICK,
        )
    assert said.code == 0, said.err
    assert "calls 3 of 3" in said.out
    assert "rejected" in said.out
