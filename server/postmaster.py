"""A running PostgreSQL as seen from outside: its pid file, its socket, its process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

PORT = 5432  # Names the socket file; nothing listens on the network.
SOCKETS_PREFIX = "talktime-"


def dsn(sockets: Path) -> str:
    return f"postgresql://postgres@/postgres?host={sockets}&port={PORT}"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What postmaster.pid says; the process may be long gone. `ready`: past start and recovery."""

    pid: int
    sockets: Path
    ready: bool

    @property
    def dsn(self) -> str:
        return dsn(self.sockets)

    def accepts(self) -> bool:
        """True if something answers on the socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.sockets / f".s.PGSQL.{PORT}"))
            except OSError:
                return False
        return True


def read_postmaster(cluster: Path) -> Postmaster | None:
    """Read `cluster`'s postmaster.pid; None if there is none, or it is not fully written yet.

    Line 1 is the process, line 5 the directory of its socket, line 8 its state.
    """
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 5 or not lines[0].strip().isdigit():
        return None
    ready = len(lines) >= 8 and lines[7].strip() == "ready"
    return Postmaster(int(lines[0]), Path(lines[4].strip()), ready)


def is_alive(pid: int, cluster: Path) -> bool:
    """True if `pid` is the server of `cluster`, and not a stranger that got its number later."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return os.fsencode(cluster) in command
    except OSError:
        if Path("/proc/self").exists():
            return False
    listed = subprocess.run(  # No /proc: macOS and the BSDs.
        ["ps", "-p", str(pid), "-o", "command="], check=False, capture_output=True, text=True
    )
    return str(cluster) in listed.stdout


def remove_sockets(sockets: Path, uid: int) -> None:
    """Remove a socket directory of user `uid`; what does not look like one is left alone."""
    looks_ours = sockets.name.startswith(SOCKETS_PREFIX) and not sockets.is_symlink()
    if looks_ours and sockets.is_dir() and sockets.stat().st_uid == uid:
        shutil.rmtree(sockets, ignore_errors=True)
