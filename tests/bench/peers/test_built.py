"""What is said where a peer cannot be built."""

import shutil
from pathlib import Path

import pytest

from tests.bench.peers import built
from tests.bench.peers.built import Unavailable, build_floor, build_uwebsockets


def compiler(directory: Path, name: str, script: str, patch: pytest.MonkeyPatch) -> None:
    """A program of this name that comes before the real one."""
    fake = directory / name
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    patch.setenv("PATH", str(directory), prepend=":")


def sources(directory: Path) -> Path:
    for name in ("src/App.h", "uSockets/src/libusockets.h", "uSockets/src/loop.c"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    return directory


async def test_without_a_compiler_there_is_no_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(Unavailable, match=r"^cc was not found$"):
        await build_floor(tmp_path)
    assert await built.compiler_version() == ""


async def test_the_first_error_of_a_compiler_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, "cc", "echo 'a.c:1: error: no'; echo 'more'; exit 1", monkeypatch)
    with pytest.raises(Unavailable, match=r"^cc: error: no$"):
        await build_floor(tmp_path)


async def test_a_compiler_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, "cc", "exec sleep 60", monkeypatch)
    monkeypatch.setattr(built, "BUILD_MAX_S", 0.05)
    with pytest.raises(Unavailable, match="took longer"):
        await build_floor(tmp_path)


async def test_uwebsockets_is_built_of_what_it_runs_on_and_of_our_relay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cc", "c++"):
        compiler(tmp_path, name, f'echo {name} "$@" >> told', monkeypatch)
    made = await build_uwebsockets(tmp_path, sources(tmp_path / "given"))
    c, cpp = (tmp_path / "told").read_text().splitlines()
    assert made == tmp_path / "uws"
    assert c.endswith("uSockets/src/loop.c " + str(_epoll(tmp_path)))
    assert "uws.cpp" in cpp
    assert cpp.endswith("loop.o " + str(tmp_path / "epoll_kqueue.o"))


def _epoll(directory: Path) -> Path:
    return directory / "given" / "uSockets" / "src" / "eventing" / "epoll_kqueue.c"


async def test_without_its_sources_it_is_said_how_to_give_them(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="--uwebsockets DIR"):
        await build_uwebsockets(tmp_path, None)


async def test_sources_without_their_submodule_are_not_whole(tmp_path: Path) -> None:
    given = sources(tmp_path / "given")
    (given / "uSockets/src/libusockets.h").unlink()
    with pytest.raises(Unavailable, match=r"libusockets\.h was not found"):
        await build_uwebsockets(tmp_path, given)
