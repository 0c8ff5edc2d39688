"""What an operator can mend is a sentence; what we must mend keeps its traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from server.saying import fail, load_tool, plainly
from storage.errors import Unavailable


def test_a_failure_is_said_on_stderr_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        fail("It rains.")
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == "It rains.\n"


def test_a_database_that_is_away_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), plainly():
        raise Unavailable("it does not answer")
    assert "check DATABASE_URL" in capsys.readouterr().err


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), plainly():
        raise ZeroDivisionError
    with pytest.raises(typer.Exit), plainly():
        raise typer.Exit(3)


def test_a_tool_does_not_make_an_empty_database_by_a_typo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TALKTIME_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(typer.Exit):
        load_tool()
    assert "nowhere" in capsys.readouterr().err
    assert load_tool(makes=True).data_dir == tmp_path / "nowhere"
