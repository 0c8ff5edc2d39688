from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from server.postmaster import is_alive, read_postmaster, remove_sockets

READY = "71\n/data\n1700000000\n5432\n/tmp/talktime-x\n\n  123  4\nready   \n"


def test_the_pid_file_tells_process_socket_and_state(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(READY)
    found = read_postmaster(tmp_path)
    assert found is not None
    assert (found.pid, found.sockets, found.ready) == (71, Path("/tmp/talktime-x"), True)
    assert found.dsn == "postgresql://postgres@/postgres?host=/tmp/talktime-x&port=5432"


def test_a_server_that_is_still_starting_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(READY.replace("ready   ", "starting"))
    found = read_postmaster(tmp_path)
    assert found is not None
    assert not found.ready


def test_a_missing_or_half_written_file_says_nothing(tmp_path: Path) -> None:
    assert read_postmaster(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text("71\n/data\n")
    assert read_postmaster(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text("")
    assert read_postmaster(tmp_path) is None


def test_only_a_listening_socket_accepts(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(READY.replace("/tmp/talktime-x", str(tmp_path)))
    found = read_postmaster(tmp_path)
    assert found is not None
    assert not found.accepts()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / ".s.PGSQL.5432"))
        listener.listen()
        assert found.accepts()
    assert not found.accepts()


def test_a_stranger_with_the_same_number_is_not_the_server(tmp_path: Path) -> None:
    assert not is_alive(os.getpid(), tmp_path)
    wait = [sys.executable, "-c", "print(flush=True); input()", "-D", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(wait, stdin=pipe, stdout=pipe) as like_it:
        # The kernel shows the arguments of a new program a moment after it was started.
        assert like_it.stdout is not None
        assert like_it.stdout.readline() == b"\n"
        assert is_alive(like_it.pid, tmp_path)
        assert not is_alive(like_it.pid, tmp_path / "other")
        like_it.communicate(b"\n")
    assert not is_alive(like_it.pid, tmp_path)


def test_only_a_socket_directory_of_that_user_is_removed(tmp_path: Path) -> None:
    ours, other = tmp_path / "talktime-abc", tmp_path / "important"
    link = tmp_path / "talktime-link"
    ours.mkdir()
    other.mkdir()
    link.symlink_to(other)
    remove_sockets(ours, os.geteuid() + 1)
    assert ours.exists()
    for each in (ours, other, link, tmp_path / "talktime-gone"):
        remove_sockets(each, os.geteuid())
    assert not ours.exists()
    assert other.exists()
