"""One PostgreSQL for the whole run; a database, a pool or a rolled-back connection for a test."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from server.embedded import EmbeddedPostgres
from storage import pool as pools
from storage.migrate import migrate
from storage.pool import Connection, Pool
from tests.valkey import redis_url as redis_url
from tests.valkey import valkey as valkey

MEMORY = Path("/dev/shm")
MEMORY_WANTED_BYTES = 1 << 30
SCRATCH_PREFIX = "talktime-tests-"
TEMPLATE = "talktime_template"
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Tests with this mark need this program, of the Debian package of the mark's name.
PROGRAMS = {"coturn": "turnserver", "chromium": "chromium", "gcc": "cc"}


def _database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def _execute(dsn: str, *statements: str) -> None:
    conn = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await conn.execute(statement)
    finally:
        await conn.close()


def _scratch_parent() -> Path:
    """A place in memory where there is one of some size (containers often have 64 MB)."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK)
    if usable and shutil.disk_usage(MEMORY).free >= MEMORY_WANTED_BYTES:
        return MEMORY
    return Path(tempfile.gettempdir())


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sweep(parent: Path) -> None:
    """Stop and remove what runs that were killed have left behind."""
    for left in parent.glob(f"{SCRATCH_PREFIX}*"):
        pid = left.name.removeprefix(SCRATCH_PREFIX).split("-")[0]
        if left.stat().st_uid != os.geteuid() or not pid.isdigit() or _is_running(int(pid)):
            continue
        if (left / "postgres" / "data" / "postmaster.pid").exists():
            forgotten = EmbeddedPostgres(left, durable=False)
            forgotten.start()
            forgotten.stop()
        shutil.rmtree(left, ignore_errors=True)


def _missing() -> list[str]:
    """The marks whose program is not installed and not asked for by `.ci/run`, where they fail."""
    return [
        mark
        for mark, program in PROGRAMS.items()
        if not shutil.which(program) and os.environ.get(f"NEEDS_{mark.upper()}") != "1"
    ]


def pytest_make_parametrize_id(val: object) -> str | None:
    """A test has the same name in every process, also when its parameter names something new."""
    return UUID_TEXT.sub("{id}", val) if isinstance(val, str) and UUID_TEXT.search(val) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of a program that is not installed are left out, and said to be."""
    missing = _missing()
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in missing)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = _missing()
    if missing:
        terminalreporter.section("left out", yellow=True)
    for mark in missing:
        terminalreporter.line(
            f"Tests that need {mark}, which is not installed. To run them: "
            f"apt install {mark}, then make test ARGS='-m {mark}'"
        )


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory for the whole run that the database's user can enter, in memory if possible."""
    parent = _scratch_parent()
    _sweep(parent)
    path = Path(tempfile.mkdtemp(dir=parent, prefix=f"{SCRATCH_PREFIX}{os.getpid()}-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[str]:
    """The DSN of a running server, for administration; tests take `dsn`, `pool` or `conn`."""
    server = EmbeddedPostgres(scratch, durable=False)
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """The name of a migrated database that nobody is connected to."""

    async def prepare() -> None:
        await _execute(postgres, f"create database {TEMPLATE}")
        await migrate(_database(postgres, TEMPLATE))

    asyncio.run(prepare())
    return TEMPLATE


@pytest.fixture(scope="session")
def shared_dsn(postgres: str, template: str) -> str:
    """The migrated database in which every `conn` is rolled back."""
    create = f"create database talktime_shared template {template} strategy file_copy"
    asyncio.run(_execute(postgres, create))
    return _database(postgres, "talktime_shared")


@pytest.fixture
async def dsn(postgres: str, template: str) -> AsyncIterator[str]:
    """A fresh migrated database for one test."""
    name = f"talktime_{uuid4().hex}"
    await _execute(postgres, f"create database {name} template {template} strategy file_copy")
    yield _database(postgres, name)
    await _execute(postgres, f"drop database {name} with (force)")


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A pool on a fresh database: for tests that commit."""
    opened = await pools.create_pool(dsn, min_size=1, max_size=8, application_name="tests")
    yield opened
    await asyncio.wait_for(opened.close(), 10)


@pytest.fixture
async def conn(shared_dsn: str) -> AsyncIterator[Connection]:
    """A connection inside a transaction that is rolled back after the test."""
    connection = await pools.connect(shared_dsn, application_name="tests")
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()
