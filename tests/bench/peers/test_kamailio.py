"""Kamailio's configuration, and what is said where it is not there."""

from pathlib import Path

import pytest

from tests.bench.peers import kamailio
from tests.bench.peers.kamailio import INSTALL, config, database_of, missing


def test_rows_are_written_only_when_a_database_is_given() -> None:
    plain, kept = config(5060), config(5060, "postgres://postgres@/bench")
    assert "acc.so" not in plain
    assert "setflag" not in plain
    assert 'modparam("acc", "db_url", "postgres://postgres@/bench")' in kept
    assert "setflag(1)" in kept


def test_it_listens_on_loopback_with_one_worker() -> None:
    lines = config(5070).splitlines()
    assert [line for line in lines if line.startswith("listen=")] == ["listen=udp:127.0.0.1:5070"]
    assert {"children=1", "dns=no", "disable_tcp=yes"} <= set(lines)


def test_a_socket_of_postgresql_is_told_beside_the_url() -> None:
    url, settings = database_of("postgresql://postgres@/bench_1?host=/tmp/talktime-1&port=5432")
    assert url == "postgres://postgres@/bench_1"
    assert settings == {"PGHOST": "/tmp/talktime-1", "PGPORT": "5432"}


async def test_without_its_programs_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kamailio, "program", lambda _name: None)
    assert await missing(tmp_path) == f"kamailio and sipp not found: {INSTALL}"


async def test_a_module_that_is_missing_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "kamailio"
    fake.write_text("#!/bin/sh\necho 'ERROR: could not find module <db_postgres>'\nexit 255\n")
    fake.chmod(0o755)
    monkeypatch.setattr(kamailio, "program", lambda _name: str(fake))
    said = await missing(tmp_path)
    assert said == f"ERROR: could not find module <db_postgres>: {INSTALL}"
