"""Peers that are compiled here: the floor in C, and uWebSockets of a directory of its sources."""

import re
import shutil
from pathlib import Path

from tests.bench.children import finished

HERE = Path(__file__).parent
BUILD_MAX_S = 60.0
VERSION_MAX_S = 20.0
_C = ("cc", "-O2", "-std=c11", "-D_GNU_SOURCE")
# Neither TLS nor compression: nothing of it is used here, and neither library need be there.
_WITHOUT = ("-DLIBUS_NO_SSL", "-DUWS_NO_ZLIB")
_CPP = ("c++", "-O2", "-std=c++20", "-w", *_WITHOUT)
# Where uWebSockets' repository has its headers, and its submodule uSockets what it runs on.
_HEADERS, _SOCKETS = "src/App.h", "uSockets/src"


class Unavailable(Exception):
    """Why a peer cannot be measured here, in one line."""


async def build_floor(home: Path) -> Path:
    """The program in `home`, a directory; built once for all runs.

    Raises:
        Unavailable: there is no compiler, or it fails.
    """
    program = home / "floor"
    if not program.exists():
        await _compile(home, *_C, "-o", program, HERE / "floor.c")
    return program


async def build_uwebsockets(home: Path, sources: Path | None) -> Path:
    """The same of `sources`: what `git clone --recursive` makes of uWebSockets' repository.

    Raises:
        Unavailable: they are not given or not whole, there is no compiler, or it fails.
    """
    if sources is None:
        raise Unavailable("no package has it; name its sources by --uwebsockets DIR")
    sockets = sources / _SOCKETS
    for needed in (sources / _HEADERS, sockets / "libusockets.h"):
        if not needed.is_file():
            raise Unavailable(f"{needed} was not found")
    program = home / "uws"
    if not program.exists():
        parts = [*sorted(sockets.glob("*.c")), sockets / "eventing" / "epoll_kqueue.c"]
        await _compile(home, *_C, "-w", *_WITHOUT, "-I", sockets, "-c", *parts)
        include = ("-I", sockets, "-I", sources / "src")
        made = [home / f"{part.stem}.o" for part in parts]
        await _compile(home, *_CPP, *include, "-o", program, HERE / "uws.cpp", *made)
    return program


async def compiler_version() -> str:
    """As `cc` tells its name and number; "" without one."""
    if shutil.which("cc") is None:
        return ""
    _, said = await finished("cc", "--version", max_s=VERSION_MAX_S)
    return said.partition("\n")[0].strip()


async def _compile(home: Path, compiler: str, *words: str | Path) -> None:
    if shutil.which(compiler) is None:
        raise Unavailable(f"{compiler} was not found")
    try:
        code, said = await finished(compiler, *words, cwd=home, max_s=BUILD_MAX_S)
    except TimeoutError:
        raise Unavailable(f"{compiler} took longer than {BUILD_MAX_S:.0f} s") from None
    if code:
        wrong = re.search(r"error: .*", said)
        raise Unavailable(f"{compiler}: {wrong.group() if wrong else said.strip()[-200:]}")
