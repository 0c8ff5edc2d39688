"""Forward-only migrations: numbered .sql files, each applied once, in order, and never edited.

The tables of the job queue are its library's own business; they are brought up to date last.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from storage import jobs
from storage.pool import Connection

FOLDER = Path(__file__).parent / "migrations"
NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
NO_TRANSACTION = "-- no-transaction"

# Any fixed number will do; it only has to differ from other advisory locks in the database.
LOCK_KEY = 0x54414C4B_54494D45

TABLE = """
create table if not exists schema_migration (
    number     integer primary key check (number > 0),
    name       text not null unique,
    sha256     bytea not null check (octet_length(sha256) = 32),
    applied_at timestamptz not null default clock_timestamp()
)
"""


class MigrationError(Exception):
    """The files and the database do not fit together; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str
    sha256: bytes

    @property
    def in_transaction(self) -> bool:
        """False when the file begins with `-- no-transaction`.

        Such a file holds one statement (`create index concurrently` ...): the server wraps
        several that arrive together into a transaction of its own.
        """
        return not self.sql.lstrip().startswith(NO_TRANSACTION)


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of `folder` in order.

    Raises:
        MigrationError: a name is not `0001_words.sql`, or the numbers do not run 1, 2, 3...
    """
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: a migration is named like 0001_words.sql")
        data = path.read_bytes()
        found.append(
            Migration(int(match[1]), path.stem, data.decode(), hashlib.sha256(data).digest())
        )
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationError(
                f"{migration.name}: number {expected:04d} was expected here; "
                "numbers start at 0001 and have neither gaps nor doubles"
            )
    return found


async def migrate(target: str | Connection, *, folder: Path = FOLDER) -> list[str]:
    """Bring a database up to date and return the names of what was applied.

    `target` is a DSN or an idle connection (not inside a transaction). Safe to run from many
    processes at once: they queue for an advisory lock, and the late ones find nothing to do.

    Raises:
        MigrationError: see `read_migrations`; or an applied file was changed or is missing, or the
            database is newer than these files, or a file failed (it left nothing behind, unless it
            is marked `-- no-transaction`).
    """
    migrations = read_migrations(folder)
    if not isinstance(target, str):
        return await _migrate_locked(target, migrations)
    # No statement timeout here: building an index may take its time.
    conn = await asyncpg.connect(
        target, timeout=10, server_settings={"application_name": "talktime migrate"}
    )
    try:
        return await _migrate_locked(conn, migrations)
    finally:
        await conn.close()


async def _migrate_locked(conn: Connection, migrations: list[Migration]) -> list[str]:
    if conn.is_in_transaction():
        raise MigrationError("migrate needs a connection that is not inside a transaction")
    await conn.execute("select pg_advisory_lock($1)", LOCK_KEY)
    try:
        await conn.execute(TABLE)
        pending = await _pending(conn, migrations)
        for migration in pending:
            await _apply(conn, migration)
        await jobs.prepare(conn)
        return [migration.name for migration in pending]
    finally:
        # A lost connection has given the lock back by itself.
        if not conn.is_closed():
            await conn.execute("select pg_advisory_unlock($1)", LOCK_KEY)


async def _pending(conn: Connection, migrations: list[Migration]) -> list[Migration]:
    rows = await conn.fetch("select number, name, sha256 from schema_migration order by number")
    by_number = {migration.number: migration for migration in migrations}
    for position, row in enumerate(rows, start=1):
        if row["number"] != position:
            raise MigrationError(
                f"the database has {row['name']} but not number {position:04d}: "
                "its list of migrations was tampered with"
            )
        migration = by_number.get(row["number"])
        if migration is None:
            raise MigrationError(
                f"the database has {row['name']}, which this version does not know: "
                "it was migrated by a newer version; start that one"
            )
        if migration.name != row["name"]:
            raise MigrationError(
                f"{migration.name} is {row['name']} in the database: "
                "applied files are never renamed or replaced"
            )
        if migration.sha256 != row["sha256"]:
            raise MigrationError(
                f"{migration.name} was changed after it was applied: "
                "restore the file and put the change into a new one"
            )
    return migrations[len(rows) :]


async def _apply(conn: Connection, migration: Migration) -> None:
    try:
        if migration.in_transaction:
            async with conn.transaction():
                await conn.execute(migration.sql)
                await _record(conn, migration)
        else:
            await conn.execute(migration.sql)
            await _record(conn, migration)
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"{migration.name} failed: {error}{_place(error, migration)}"
        ) from error


def _place(error: asyncpg.PostgresError, migration: Migration) -> str:
    """Where in the file the server stopped, as far as it said so."""
    position = getattr(error, "position", None)
    if position is None:
        return ""
    line = migration.sql.count("\n", 0, int(position) - 1) + 1
    return f" (line {line})"


async def _record(conn: Connection, migration: Migration) -> None:
    await conn.execute(
        "insert into schema_migration (number, name, sha256) values ($1, $2, $3)",
        migration.number,
        migration.name,
        migration.sha256,
    )
