from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from server import embedded
from server.embedded import EmbeddedError, EmbeddedPostgres

# A process that uses the server, says its DSN, and leaves when its input ends.
USER = """
import sys
from pathlib import Path
from server.embedded import EmbeddedPostgres
used = EmbeddedPostgres(Path(sys.argv[1]), durable=False, exclusive=sys.argv[2] == "serve")
print(used.start(), flush=True)
sys.stdin.read()
used.stop()
"""


@pytest.fixture
def data_dir(scratch: Path) -> Iterator[Path]:
    """A data directory that the database's user can reach; no server is left on it."""
    path = Path(tempfile.mkdtemp(dir=scratch))
    path.chmod(0o711)
    yield path
    left = EmbeddedPostgres(path, durable=False, exclusive=False)
    if left.status().running:
        left.start()
        left.stop()
        assert not left.status().running


def another(data_dir: Path, role: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir), role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(embedded.__file__).parent.parent,
    )


def said_dsn(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)
    assert process.returncode == 0


def ask(dsn: str, query: str) -> object:
    async def run() -> object:
        conn = await asyncpg.connect(dsn)
        try:
            return await conn.fetchval(query)
        finally:
            await conn.close()

    return asyncio.run(run())


def test_data_is_there_again_after_a_stop_and_a_start(data_dir: Path) -> None:
    said: list[str] = []
    first = EmbeddedPostgres(data_dir, durable=False, say=said.append)
    dsn = first.start()
    ask(dsn, "create table kept as select 7 as n")
    sockets = first.status().dsn
    assert sockets == dsn
    first.stop()
    assert not first.status().running

    second = EmbeddedPostgres(data_dir, durable=False, say=said.append)
    assert ask(second.start(), "select n from kept") == 7
    assert second.status().version is not None
    second.stop()
    assert said == ["preparing the database (first start only)…"]


def test_user_data_is_written_durably_and_nothing_listens_on_the_network(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    dsn = server.start()
    try:
        for name, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "max_connections": "100",
            "shared_buffers": "128MB",
        }.items():
            assert ask(dsn, f"select current_setting('{name}')") == value
        sockets = Path(str(ask(dsn, "show unix_socket_directories")))
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert sockets.stat().st_uid != 0
        assert len(str(sockets)) < 80
    finally:
        server.stop()
    assert not sockets.exists()


def test_two_data_directories_run_side_by_side(data_dir: Path) -> None:
    one = EmbeddedPostgres(data_dir / "one", durable=False)
    two = EmbeddedPostgres(data_dir / "two", durable=False)
    dsns = {one.start(), two.start()}
    assert len({ask(dsn, "select system_identifier from pg_control_system()") for dsn in dsns}) == 2
    one.stop()
    assert two.status().running
    two.stop()
    assert not two.status().running


def test_the_server_lives_until_its_last_user_leaves(data_dir: Path) -> None:
    serving = EmbeddedPostgres(data_dir, durable=False)
    dsn = serving.start()
    attached = another(data_dir, "attach")
    assert said_dsn(attached) == dsn
    serving.stop()
    assert ask(dsn, "select 1") == 1
    leave(attached)
    assert not serving.status().running


def test_an_attached_user_leaving_first_stops_nothing(data_dir: Path) -> None:
    serving = another(data_dir, "serve")
    dsn = said_dsn(serving)
    attached = EmbeddedPostgres(data_dir, durable=False, exclusive=False)
    assert attached.start() == dsn
    attached.stop()
    assert ask(dsn, "select 1") == 1
    leave(serving)
    assert not attached.status().running


def test_a_second_server_on_the_same_data_is_refused_and_harms_nothing(data_dir: Path) -> None:
    serving = another(data_dir, "serve")
    dsn = said_dsn(serving)
    with pytest.raises(EmbeddedError, match=f"process {serving.pid}"):
        EmbeddedPostgres(data_dir, durable=False).start()
    assert ask(dsn, "select 1") == 1
    leave(serving)


def test_a_server_that_survived_our_kill_is_used_again(data_dir: Path) -> None:
    killed = another(data_dir, "serve")
    dsn = said_dsn(killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    assert ask(dsn, "select 1") == 1
    again = EmbeddedPostgres(data_dir, durable=False)
    assert again.start() == dsn
    again.stop()
    assert not again.status().running


def test_what_was_committed_survives_the_kill_of_the_server_itself(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    dsn = server.start()
    pid = server.status().pid
    assert pid is not None
    ask(dsn, "create table kept as select 7 as n")
    os.kill(pid, signal.SIGKILL)
    server.stop()
    try:
        assert ask(server.start(), "select n from kept") == 7
    finally:
        server.stop()


def test_a_server_without_its_socket_is_started_anew(data_dir: Path) -> None:
    killed = another(data_dir, "serve")
    sockets = Path(said_dsn(killed).split("host=")[1].split("&")[0])
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    shutil.rmtree(sockets)
    again = EmbeddedPostgres(data_dir, durable=False)
    assert ask(again.start(), "select 1") == 1
    again.stop()


def test_a_first_start_cut_off_in_the_middle_is_begun_again(data_dir: Path) -> None:
    half = data_dir / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    for directory in (data_dir, data_dir / "postgres"):
        directory.chmod(0o711)
    server = EmbeddedPostgres(data_dir, durable=False)
    assert ask(server.start(), "select 1") == 1
    server.stop()


@pytest.mark.parametrize("major", ["17.6", "19.1"])
def test_data_of_another_major_version_is_refused_untouched(data_dir: Path, major: str) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    server.start()
    server.stop()
    (data_dir / "postgres" / "version").write_text(f"{major}\n")
    with pytest.raises(EmbeddedError, match=f"made by PostgreSQL {major}"):
        server.start()
    assert (data_dir / "postgres" / "version").read_text() == f"{major}\n"


def test_a_start_that_fails_says_why_and_can_be_tried_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(data_dir, durable=False)
    with monkeypatch.context() as patch:
        patch.setitem(embedded.SETTINGS, "shared_buffers", "nonsense")
        with pytest.raises(EmbeddedError, match="shared_buffers"):
            server.start()
    assert ask(server.start(), "select 1") == 1
    server.stop()


def test_data_that_root_cannot_hand_on_is_kept_where_the_server_can_go(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root in a private directory; for others the directory is theirs, and nothing moves."""
    shared = data_dir / "shared"
    monkeypatch.setattr(embedded, "SHARED_DIR", shared)
    private = data_dir / "private"
    private.mkdir(mode=0o700)
    said: list[str] = []
    server = EmbeddedPostgres(private / "data", durable=False, say=said.append)
    ask(server.start(), "create table kept as select 7 as n")
    server.stop()
    assert private.stat().st_mode & 0o777 == 0o700
    pointer = private / "data" / "postgres" / "location"
    assert pointer.exists() == (os.geteuid() == 0)
    again = EmbeddedPostgres(private / "data", durable=False)
    assert ask(again.start(), "select n from kept") == 7
    again.stop()
    if pointer.exists():
        assert any("is kept in" in line for line in said)
        shutil.rmtree(shared)
        with pytest.raises(EmbeddedError, match="holds no database"):
            again.start()
