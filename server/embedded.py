"""PostgreSQL from a wheel, run beside us, with its data in our data directory.

Connections come over a Unix socket only (`listen_addresses` is empty), in a directory of mode 0700
that the server's user owns. Whoever gets that far is that user or root and could read the files
anyway, so the server asks for no password (`trust`).

    data/postgres/          ours: locks, `version`, and `location` when the cluster is elsewhere
    data/postgres/data/     the cluster, owned by the server's user
    data/postgres/log/      the server's log
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from server.postgres_binaries import (
    SHARED_DIR,
    EmbeddedError,
    find_programs,
    server_user,
    server_version,
)
from server.postmaster import PORT, SOCKETS_PREFIX, dsn, is_alive, read_postmaster, remove_sockets

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedStatus"]

START_TIMEOUT_S = 300  # Recovery after a crash may have much to replay.
READY_TIMEOUT_S = 30.0
POLL_S = 0.1

SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "min_wal_size": "80MB",
    "log_checkpoints": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
}
# For tests: faster, and worth nothing after a power cut.
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    running: bool
    pid: int | None
    dsn: str | None
    version: str | None
    cluster: Path
    user: str


class EmbeddedPostgres:
    """One process's use of the server of one data directory.

    The server is started by the first user and stopped by the last one to leave, on whatever
    process that falls; one that survived a kill of ours is found and used again. `exclusive` is for
    `talktime serve`, of which there is one per data directory; other commands attach beside it.
    Blocking; not for the event loop's thread once it serves.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        exclusive: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._base = data_dir.resolve() / "postgres"
        self._durable = durable
        self._exclusive = exclusive
        self._say = say or (lambda _line: None)
        self._home: Path | None = None
        self._serving: int | None = None
        self._using: int | None = None

    def start(self) -> str:
        """Make sure that the server runs, and return its DSN.

        Raises:
            EmbeddedError: it cannot; or `exclusive` and another process has the data directory.
        """
        if self._using is not None:
            raise EmbeddedError("already started")
        try:
            home = self._find_home()
            if self._exclusive:
                self._serving = _take_exclusively(home / "serve.lock")
            with _locked(home / "change.lock"):
                found = self._running_dsn(home) or self._launch(home)
                self._using = _open_lock(home / "users.lock")
                fcntl.flock(self._using, fcntl.LOCK_SH)
        except OSError as error:
            self._release()
            raise EmbeddedError(
                f"cannot use {error.filename or self._base}: {error.strerror or error}"
            ) from error
        except BaseException:
            self._release()
            raise
        self._home = home
        return found

    def stop(self) -> None:
        """End our use; the last user shuts the server down. Does nothing when not started."""
        if self._using is None or self._home is None:
            return
        try:
            with _locked(self._home / "change.lock"):
                try:
                    fcntl.flock(self._using, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return  # Another process of ours still uses it.
                self._shut_down(self._home / "data")
        finally:
            self._release()

    def status(self) -> EmbeddedStatus:
        """What there is right now; starts nothing and takes no lock.

        Raises:
            EmbeddedError: the database belongs to somebody else.
        """
        home = self._located() or self._base
        cluster = home / "data"
        user = server_user(cluster)
        found = read_postmaster(cluster)
        running = found is not None and found.accepts()
        version = home / "version"
        return EmbeddedStatus(
            running=running,
            pid=found.pid if found and running else None,
            dsn=found.dsn if found and running else None,
            version=version.read_text().strip() if version.exists() else None,
            cluster=cluster,
            user=user.name,
        )

    def _release(self) -> None:
        for descriptor in (self._using, self._serving):
            if descriptor is not None:
                os.close(descriptor)
        self._using = self._serving = None

    def _located(self) -> Path | None:
        pointer = self._base / "location"
        return Path(pointer.read_text().strip()) if pointer.exists() else None

    def _find_home(self) -> Path:
        """The directory with the cluster in it, made if missing.

        That is `data/postgres`, unless root started us inside a private directory (such as /root):
        the server's user could not enter it, and opening the parents to the world is not ours to
        do. Then the cluster is under /var/lib/talktime, and `data/postgres/location` says where.
        """
        located = self._located()
        if located is not None:
            if not (located / "data").exists():
                raise EmbeddedError(
                    f"{self._base}/location names {located}, which holds no database: "
                    "bring it back, or remove that file to begin anew"
                )
            return located
        if not self._base.exists():
            _make_directory(self._base.parent)
            _make_directory(self._base)
        user = server_user(self._base / "data")
        if not user.switch or user.can_enter(self._base):
            return self._base
        with _locked(self._base / "place.lock"):
            return self._located() or self._settle_elsewhere(user.name)

    def _settle_elsewhere(self, user_name: str) -> Path:
        _make_directory(SHARED_DIR, 0o755)
        home = Path(tempfile.mkdtemp(dir=SHARED_DIR, prefix="postgres-"))
        home.chmod(0o711)
        self._create_cluster(home)
        (self._base / "location").write_text(f"{home}\n")
        self._say(f"the database is kept in {home}: user {user_name} may not enter {self._base}")
        return home

    def _running_dsn(self, home: Path) -> str | None:
        """The DSN of a server that already runs on this cluster.

        One that lost its socket (cleaned away from /tmp) is stopped, to be started again.
        """
        found = read_postmaster(home / "data")
        if found is None:
            return None
        give_up = time.monotonic() + READY_TIMEOUT_S
        while not (found.ready and found.accepts()):
            if not is_alive(found.pid, home / "data"):
                remove_sockets(found.sockets, server_user(home / "data").uid)
                return None
            if not found.sockets.exists() or time.monotonic() > give_up:
                self._shut_down(home / "data")
                return None
            time.sleep(POLL_S)
            found = read_postmaster(home / "data") or found
        return found.dsn

    def _launch(self, home: Path) -> str:
        self._create_cluster(home)
        cluster = home / "data"
        user = server_user(cluster)
        programs = find_programs(user)
        self._check_version(home, server_version(programs, user))
        # A socket's path may have about 100 characters, so it cannot be in the data directory; and
        # a random name cannot be taken by somebody else beforehand. postmaster.pid records it.
        sockets = Path(tempfile.mkdtemp(dir="/tmp", prefix=SOCKETS_PREFIX))
        os.chown(sockets, user.uid, user.gid)
        settings = SETTINGS if self._durable else SETTINGS | FORGETFUL
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        command: list[str | Path] = [
            *(programs / "pg_ctl", "start", "-w", "-s", "-t", str(START_TIMEOUT_S)),
            *("-D", cluster, "-l", home / "log" / "server.log"),
            *("-o", f"-k {sockets} -p {PORT} {options}"),
        ]
        give_up = time.monotonic() + READY_TIMEOUT_S
        done = user.run(command)
        # A killed server keeps its number and its memory until the system has cleared it away.
        while done.returncode != 0 and time.monotonic() < give_up and _is_leftover(cluster):
            time.sleep(POLL_S)
            done = user.run(command)
        if done.returncode != 0:
            shutil.rmtree(sockets, ignore_errors=True)
            raise EmbeddedError(
                f"PostgreSQL did not start: {done.stderr.strip()}\n{_tail(home / 'log/server.log')}"
            )
        return dsn(sockets)

    def _create_cluster(self, home: Path) -> None:
        cluster = home / "data"
        if cluster.exists():
            return
        self._say("preparing the database (first start only)…")
        user = server_user(cluster)
        programs = find_programs(user)
        version = server_version(programs, user)
        # Made under another name, so that a kill in the middle leaves no half of a cluster.
        fresh = home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        for directory in (fresh, home / "log"):
            directory.mkdir(mode=0o700, exist_ok=True)
            os.chown(directory, user.uid, user.gid)
        done = user.run(
            [
                *(programs / "initdb", "-D", fresh, "-U", "postgres", "-A", "trust", "-E", "UTF8"),
                *("--locale=C.UTF-8", "--no-instructions"),
                *([] if self._durable else ["--no-sync"]),
            ]
        )
        if done.returncode != 0:
            raise EmbeddedError(f"the database could not be prepared: {done.stderr.strip()}")
        (home / "version").write_text(f"{version}\n")
        fresh.rename(cluster)

    def _check_version(self, home: Path, ours: str) -> None:
        kept = home / "version"
        theirs = (kept if kept.exists() else home / "data" / "PG_VERSION").read_text().strip()
        if theirs.split(".")[0] != ours.split(".")[0]:
            raise EmbeddedError(
                f"the database in {home} was made by PostgreSQL {theirs}, and this is {ours}: "
                "dump it with the version of Talktime that made it, and load it into a new "
                "TALKTIME_DATA_DIR; nothing is upgraded silently"
            )
        if theirs != ours:
            kept.write_text(f"{ours}\n")

    def _shut_down(self, cluster: Path) -> None:
        found = read_postmaster(cluster)
        if found is None:
            return
        user = server_user(cluster)
        if is_alive(found.pid, cluster):
            stop = (find_programs(user) / "pg_ctl", "stop", "-m", "fast", "-w", "-s")
            done = user.run([*stop, "-t", str(START_TIMEOUT_S), "-D", cluster])
            # One that died under our hands has stopped too, if not in order.
            if done.returncode != 0 and is_alive(found.pid, cluster):
                raise EmbeddedError(f"PostgreSQL did not stop: {done.stderr.strip()}")
        remove_sockets(found.sockets, user.uid)


def _is_leftover(cluster: Path) -> bool:
    """True if postmaster.pid is that of a server which is no more."""
    found = read_postmaster(cluster)
    return found is not None and not is_alive(found.pid, cluster)


def _make_directory(directory: Path, mode: int = 0o711) -> None:
    """Make one that others may pass through, whatever the umask; leave an existing one alone."""
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(mode)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time looks, starts or stops."""
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take_exclusively(path: Path) -> int:
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode() or "unknown"
        os.close(descriptor)
        raise EmbeddedError(
            f"another Talktime server (process {holder}) already runs on {path.parent.parent}: "
            "stop it, or choose another TALKTIME_DATA_DIR"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _tail(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
