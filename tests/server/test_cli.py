"""The commands as an operator runs them: real processes, their output and exit codes."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import pytest
from typer.testing import CliRunner

from server.cli import app
from server.people import make_user
from storage.pool import Pool
from tests.end_to_end.driver import ROOT
from tests.server.settings import STRONG

TRACEBACK = "Traceback"


@dataclass(frozen=True)
class Said:
    code: int | None
    out: str
    err: str


async def talktime(data_dir: Path, *arguments: str, stdin: str = "", **environment: str) -> Said:
    """Run `talktime ...` with no settings but those given."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TALKTIME_") and name not in ("DATABASE_URL", "REDIS_URL")
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", *arguments),
        cwd=ROOT,
        env={**clean, "TALKTIME_DATA_DIR": str(data_dir), **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate(stdin.encode())
    return Said(process.returncode, out.decode(), err.decode())


def other_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def test_without_a_command_the_commands_are_listed(tmp_path: Path) -> None:
    said = await talktime(tmp_path)
    for command in ("serve", "migrate", "ledger", "user", "config", "demo", "call", "answer"):
        assert command in said.out


@pytest.mark.parametrize("command", [("config", "check"), ("serve",)])
async def test_every_fault_of_the_settings_is_listed_and_no_value(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    said = await talktime(
        tmp_path,
        *command,
        TALKTIME_PORT="99999",
        TALKTIME_JWT_SECRET="hunter2",
        TALKTIME_RINGS="7",
        DATABASE_URL="mysql://hunter2@somewhere",
    )
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("The settings do not hold:\n")
    named = {line.split(":")[0].strip() for line in said.err.splitlines()[1:]}
    assert named == {
        "DATABASE_URL",
        "TALKTIME_JWT_SECRET",
        "TALKTIME_PORT",
        "TALKTIME_PUBLIC_URL",
        "TALKTIME_RINGS",
    }
    assert "hunter2" not in said.err
    assert TRACEBACK not in said.err


async def test_good_settings_are_confirmed(tmp_path: Path) -> None:
    said = await talktime(tmp_path, "config", "check", "--dev")
    assert (said.code, said.out, said.err) == (0, "the settings hold (dev)\n", "")


async def test_the_books_are_verified_and_a_planted_fault_is_exit_1(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    made = await talktime(
        tmp_path,
        *("user", "create", "ann@example.org", "--name", "Ann", "--grant", "500"),
        stdin="pass-word-1\n",
        DATABASE_URL=dsn,
        TALKTIME_ARGON2_PROFILE="test",
    )
    assert made.code == 0, made.err
    user_id = UUID(made.out.strip())
    assert await pool.fetchval("select name from users where id = $1", user_id) == "Ann"

    said = await talktime(tmp_path, "ledger", "verify", DATABASE_URL=dsn)
    assert said.code == 0, said.err
    assert "the books hold" in said.out

    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(
            "update account set posted = posted + 1 where owner = $1 and kind = 'call_credits'",
            user_id,
        )
    said = await talktime(tmp_path, "ledger", "verify", DATABASE_URL=dsn)
    assert said.code == 1
    assert "a balance is the sum of its transfers" in " ".join(said.out.split())
    assert TRACEBACK not in said.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("nobody", "--name", "Ann"), "This is no e-mail address."),
        (("ann@example.org", "--name", "Ann", "--price", "-1"), "Amounts are 0 to"),
    ],
)
async def test_what_is_wrong_with_an_account_is_said(
    tmp_path: Path, dsn: str, arguments: tuple[str, ...], why: str
) -> None:
    said = await talktime(
        tmp_path, "user", "create", *arguments, stdin="pass-word-1", DATABASE_URL=dsn
    )
    assert (said.code, said.out) == (1, "")
    assert why in said.err
    assert TRACEBACK not in said.err


async def test_an_account_is_suspended_and_restored(tmp_path: Path, dsn: str, pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        user_id = await make_user(conn, "Ann", "ann@example.org", "hash", "PTS")
    status = "select status from users where id = $1"
    said = await talktime(tmp_path, "user", "suspend", "Ann@Example.org", DATABASE_URL=dsn)
    assert (said.code, said.out) == (0, "suspended; sessions ended: 0\n"), said.err
    assert await pool.fetchval(status, user_id) == "suspended"
    said = await talktime(tmp_path, "user", "restore", "ann@example.org", DATABASE_URL=dsn)
    assert (said.code, said.out) == (0, "restored\n"), said.err
    assert await pool.fetchval(status, user_id) == "active"


@pytest.mark.parametrize("command", ["suspend", "restore"])
async def test_an_account_that_is_not_there_is_a_sentence(
    tmp_path: Path, dsn: str, command: str
) -> None:
    said = await talktime(tmp_path, "user", command, "nobody@example.org", DATABASE_URL=dsn)
    assert (said.code, said.out, said.err) == (1, "", "There is no such account.\n")


async def test_migrate_brings_an_empty_database_up_to_date_once(
    tmp_path: Path, postgres: str, pool: Pool
) -> None:
    name = f"empty_{os.getpid()}"
    await pool.execute(f"create database {name}")
    empty = other_database(postgres, name)
    try:
        early = await talktime(tmp_path, "ledger", "verify", DATABASE_URL=empty)
        assert (early.code, TRACEBACK in early.err) == (1, False), early.err
        assert "run `talktime migrate`" in early.err
        first = await talktime(tmp_path, "migrate", DATABASE_URL=empty)
        assert first.code == 0, first.err
        assert "applied 0001_people" in first.out
        again = await talktime(tmp_path, "migrate", DATABASE_URL=empty)
        assert (again.code, again.out) == (0, "nothing to do: the database is up to date\n")
    finally:
        await pool.execute(f"drop database {name} with (force)")


NOWHERE = "postgresql://talk:hunter2@127.0.0.1:1/talk"


@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--dev", "--port", "0"),
        ("migrate",),
        ("ledger", "verify"),
        ("user", "create", "ann@example.org", "--name", "Ann"),
        ("user", "suspend", "ann@example.org"),
        ("user", "restore", "ann@example.org"),
    ],
)
async def test_a_database_that_does_not_answer_is_a_sentence(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    said = await talktime(tmp_path, *command, stdin="pass-word-1", DATABASE_URL=NOWHERE)
    assert said.code == 1
    assert "no database: " in said.err
    assert "check DATABASE_URL" in said.err
    assert TRACEBACK not in said.err
    assert "hunter2" not in said.err


async def test_a_database_that_is_not_there_is_a_sentence(tmp_path: Path, dsn: str) -> None:
    said = await talktime(tmp_path, "migrate", DATABASE_URL=other_database(dsn, "nowhere"))
    assert said.code == 1
    assert 'database "nowhere" does not exist' in said.err
    assert TRACEBACK not in said.err


@pytest.mark.parametrize("command", ["demo", "call", "answer"])
def test_the_commands_of_the_client_say_what_they_take(command: str) -> None:
    said = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert said.exit_code == 0
    assert "--url" in said.output
    assert "--plain" in said.output


async def test_a_client_without_a_server_fails_with_a_sentence(tmp_path: Path) -> None:
    said = await talktime(tmp_path, "demo", "--plain", "--url", "http://127.0.0.1:1")
    assert said.code == 1
    assert "127.0.0.1:1" in said.out + said.err
    assert TRACEBACK not in said.out + said.err


@pytest.mark.parametrize(
    ("arguments", "settings", "why"),
    [
        (("--dev", "--port", "0"), {}, "TALKTIME_PORT=0"),
        (("--dev", "--port", "9101", "--own-ports", "9100"), {}, "choose others"),
        ((), {"TALKTIME_PUBLIC_URL": "https://talk.example"}, "set REDIS_URL"),
        (("--dev",), {"TALKTIME_PORT": "99999"}, "TALKTIME_PORT"),
    ],
)
async def test_several_workers_that_cannot_be_are_a_sentence_and_start_nothing(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], why: str
) -> None:
    secret = {"TALKTIME_JWT_SECRET": STRONG}
    said = await talktime(tmp_path, "serve", "--workers", "2", *arguments, **secret, **settings)
    assert (said.code, said.out) == (1, "")
    assert why in said.err
    assert TRACEBACK not in said.err
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(
    "arguments", [("--workers", "0"), ("--workers", "65"), ("--port", "-1"), ("--own-ports", "0")]
)
def test_numbers_out_of_range_are_refused(arguments: tuple[str, ...]) -> None:
    said = CliRunner().invoke(app, ["serve", *arguments], env={"COLUMNS": "200"})
    assert said.exit_code == 2
    assert arguments[0] in said.output
