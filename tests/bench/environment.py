"""Where figures come from: the commit, the machine, and the versions of what was measured."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec

from server.postgres_binaries import EmbeddedError, find_programs, server_user, server_version
from tests.bench.children import ROOT

MEASURED = ("aiohttp", "uvloop", "asyncpg", "msgspec", "redis")
COMMAND_MAX_S = 20


class Machine(msgspec.Struct, frozen=True):
    """`cores` are those this process may use."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str


def machine() -> Machine:
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Machine(_cpu(), len(os.sched_getaffinity(0)), memory_bytes, kernel)


def _cpu() -> str:
    """The model's name; ARM has none in /proc."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.machine()


def python() -> str:
    """Implementation, version, build and compiler."""
    return f"{platform.python_implementation()} {' '.join(sys.version.split())}"


def versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in MEASURED}
    try:
        user = server_user(Path("/nonexistent"))
        found["PostgreSQL"] = server_version(find_programs(user), user)
    except EmbeddedError:
        pass
    return found


def commit(root: Path = ROOT) -> str:
    """The commit of the tree at `root`, `-dirty` when it has changes; "" without git."""
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return ""
    return f"{head}-dirty" if _git(root, "status", "--porcelain") else head


def _git(root: Path, *command: str) -> str:
    try:
        said = subprocess.run(
            ["git", "-C", root, *command],
            capture_output=True,
            text=True,
            check=True,
            timeout=COMMAND_MAX_S,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
