from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from storage.migrate import FOLDER, MigrationError, migrate, read_migrations

FIRST = "create table fruit (name text primary key);\n"
SECOND = "insert into fruit values ('apple');\ninsert into fruit values ('pear');\n"


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    """A database without anything in it."""
    name = f"talktime_{uuid4().hex}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"create database {name}")
    yield urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text(FIRST)
    (tmp_path / "0002_second.sql").write_text(SECOND)
    return tmp_path


async def fetch(dsn: str, query: str) -> list[object]:
    conn = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await conn.fetch(query)]
    finally:
        await conn.close()


async def test_files_are_applied_once_and_in_order(empty: str, folder: Path) -> None:
    assert await migrate(empty, folder=folder) == ["0001_first", "0002_second"]
    assert await migrate(empty, folder=folder) == []
    assert await fetch(empty, "select name from fruit order by name") == ["apple", "pear"]


async def test_a_later_file_is_applied_on_top(empty: str, folder: Path) -> None:
    await migrate(empty, folder=folder)
    (folder / "0003_third.sql").write_text("insert into fruit values ('plum')")
    assert await migrate(empty, folder=folder) == ["0003_third"]


async def test_an_open_connection_serves_as_well_as_a_dsn(empty: str, folder: Path) -> None:
    conn = await asyncpg.connect(empty)
    assert await migrate(conn, folder=folder) == ["0001_first", "0002_second"]
    assert await conn.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0
    async with conn.transaction():
        with pytest.raises(MigrationError, match="not inside a transaction"):
            await migrate(conn, folder=folder)
    await conn.close()


async def test_starts_at_the_same_time_apply_each_file_once(empty: str, folder: Path) -> None:
    applied = await asyncio.gather(*(migrate(empty, folder=folder) for _ in range(5)))
    assert sorted(len(names) for names in applied) == [0, 0, 0, 0, 2]
    assert await fetch(empty, "select name from fruit order by name") == ["apple", "pear"]


async def test_a_file_that_fails_leaves_nothing_and_can_be_mended(empty: str, folder: Path) -> None:
    (folder / "0002_second.sql").write_text(SECOND + "insert into frut values ('fig');\n")
    with pytest.raises(MigrationError, match=r"0002_second failed: .*frut.* \(line 3\)"):
        await migrate(empty, folder=folder)
    assert await fetch(empty, "select name from fruit") == []
    assert await fetch(empty, "select name from schema_migration") == ["0001_first"]
    (folder / "0002_second.sql").write_text(SECOND)
    assert await migrate(empty, folder=folder) == ["0002_second"]


async def test_a_changed_file_is_refused_and_nothing_else_runs(empty: str, folder: Path) -> None:
    await migrate(empty, folder=folder)
    (folder / "0001_first.sql").write_text(FIRST + "-- better\n")
    (folder / "0003_third.sql").write_text("insert into fruit values ('plum')")
    with pytest.raises(MigrationError, match="0001_first was changed after it was applied"):
        await migrate(empty, folder=folder)
    assert await fetch(empty, "select name from fruit order by name") == ["apple", "pear"]


async def test_a_renamed_file_is_refused(empty: str, folder: Path) -> None:
    await migrate(empty, folder=folder)
    (folder / "0001_first.sql").rename(folder / "0001_other.sql")
    with pytest.raises(MigrationError, match="0001_other is 0001_first in the database"):
        await migrate(empty, folder=folder)


async def test_a_database_of_a_newer_version_is_refused(empty: str, folder: Path) -> None:
    await migrate(empty, folder=folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="newer version"):
        await migrate(empty, folder=folder)


async def test_a_marked_file_runs_outside_a_transaction(empty: str, folder: Path) -> None:
    statement = "create index concurrently fruit_upper on fruit (upper(name))"
    (folder / "0003_third.sql").write_text(statement)
    with pytest.raises(MigrationError, match="cannot run inside a transaction block"):
        await migrate(empty, folder=folder)
    (folder / "0003_third.sql").write_text(f"-- no-transaction\n{statement}")
    assert await migrate(empty, folder=folder) == ["0003_third"]
    valid = "select indisvalid from pg_index where indexrelid = 'fruit_upper'::regclass"
    assert await fetch(empty, valid) == [True]


def test_a_gap_a_double_and_a_strange_name_are_refused(folder: Path) -> None:
    (folder / "0004_fourth.sql").write_text("select 1")
    with pytest.raises(MigrationError, match="0004_fourth: number 0003 was expected"):
        read_migrations(folder)
    (folder / "0004_fourth.sql").rename(folder / "0002_twice.sql")
    with pytest.raises(MigrationError, match="0002_twice: number 0003 was expected"):
        read_migrations(folder)
    (folder / "0002_twice.sql").rename(folder / "3-third.sql")
    with pytest.raises(MigrationError, match=r"3-third\.sql: a migration is named like"):
        read_migrations(folder)


async def test_our_own_files_apply_to_an_empty_database(empty: str) -> None:
    expected = [migration.name for migration in read_migrations(FOLDER)]
    assert expected
    assert await migrate(empty) == expected
