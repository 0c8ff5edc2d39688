"""A PostgreSQL of our own that can be hurt: crashed, stopped, frozen, crowded, filled up."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from random import Random

import asyncpg

from server.embedded import EmbeddedPostgres
from server.postgres_binaries import find_programs, server_user
from server.postmaster import read_postmaster

READY_S = 60.0
BALLAST = "ballast"
# The wallets in which most has happened.
HOT = """
select id from account where owner is not null order by version desc limit 8
"""


class Database:
    """A durable cluster in `directory`; with `tmpfs_mb` that is a small disk of its own (root)."""

    def __init__(self, directory: Path, *, tmpfs_mb: int = 0) -> None:
        self.directory = directory
        self._tmpfs_mb = tmpfs_mb
        self._embedded = EmbeddedPostgres(directory, durable=True, exclusive=False)
        self._crowders: list[asyncpg.Connection[asyncpg.Record]] = []
        self._frozen: list[int] = []
        self.dsn = ""

    async def start(self) -> None:
        if self._tmpfs_mb:
            options = f"size={self._tmpfs_mb}m,mode=0711"
            command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.directory)]
            await asyncio.to_thread(subprocess.run, command, check=True)
        self.dsn = await asyncio.to_thread(self._embedded.start)

    async def close(self) -> None:
        self.thaw()
        await self.leave()
        if self._tmpfs_mb:
            self.free()
        await asyncio.to_thread(self._embedded.stop)
        if self._tmpfs_mb:
            await asyncio.to_thread(subprocess.run, ["umount", str(self.directory)], check=False)

    @property
    def cluster(self) -> Path:
        return self._embedded.status().cluster

    async def control(self, *words: str) -> int:
        """`pg_ctl words` on the cluster; its exit code."""
        user = server_user(self.cluster)
        command = [str(find_programs(user) / "pg_ctl"), *words, "-D", str(self.cluster)]
        command += ["-l", str(self.cluster.parent / "log" / "server.log")]
        done = await asyncio.to_thread(user.run, command)
        return done.returncode

    async def crash_and_restart(self) -> None:
        """As after a power cut: no checkpoint, recovery at the start."""
        await self.control("restart", "-m", "immediate", "-w", "-s")

    async def stop(self) -> None:
        await self.control("stop", "-m", "fast", "-w", "-s")

    async def start_again(self) -> None:
        """After `stop` or a crash, with the settings and the socket of before."""
        code = await self.control("start", "-w", "-s", "-o", self._options())
        if code:
            raise RuntimeError(f"PostgreSQL did not start again: {self.log_tail()}")

    def _options(self) -> str:
        """Those of before; the directory of the socket is made again if it is gone."""
        sockets = Path(self.dsn.partition("host=")[2].partition("&")[0])
        if not sockets.exists():
            user = server_user(self.cluster)
            sockets.mkdir(mode=0o700)
            os.chown(sockets, user.uid, user.gid)
        words = (self.cluster / "postmaster.opts").read_text().strip()
        return _without_data_dir(words.partition(" ")[2])

    async def running(self) -> bool:
        return await self.control("status") == 0

    def processes(self) -> list[int]:
        """The postmaster first, then its children."""
        found = read_postmaster(self.cluster)
        if found is None:
            return []
        children = Path(f"/proc/{found.pid}/task/{found.pid}/children").read_text().split()
        return [found.pid, *map(int, children)]

    def freeze(self) -> None:
        self._frozen = self.processes()
        for pid in self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        frozen, self._frozen = self._frozen, []
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def backends(self) -> list[int]:
        """The connections of the servers under test."""
        conn = await asyncpg.connect(self.dsn)
        try:
            rows = await conn.fetch(
                """
                select pid from pg_stat_activity
                 where backend_type = 'client backend' and application_name like 'talktime%'
                """
            )
        finally:
            await conn.close()
        return [row[0] for row in rows]

    async def kill_backend(self, pid: int) -> None:
        """kill -9: the whole cluster recovers from it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await self.ready()

    async def crowd_out(self) -> int:
        """Take every connection there is, and cut those of the servers; how many are ours now."""
        self._crowders.append(await asyncpg.connect(self.dsn))
        while True:
            with contextlib.suppress(asyncpg.PostgresError, OSError):
                while True:
                    self._crowders.append(await asyncpg.connect(self.dsn))
            # They come back at once, as far as there is room; so often until there is none.
            if not await self._cut():
                return len(self._crowders)

    async def _cut(self) -> int:
        conn = self._crowders[0]
        rows = await conn.fetch(
            """
            select pid, pg_terminate_backend(pid) from pg_stat_activity
             where backend_type = 'client backend' and application_name like 'talktime%'
               and application_name <> 'talktime claim'
            """
        )
        return len(rows)

    async def leave(self) -> None:
        crowders, self._crowders = self._crowders, []
        for conn in crowders:
            conn.terminate()

    async def lock(self, table: str, seconds: float) -> None:
        """What a careless migration does."""
        conn = await asyncpg.connect(self.dsn)
        try:
            async with conn.transaction():
                await conn.execute(f"lock table {table} in access exclusive mode")
                await asyncio.sleep(seconds)
        finally:
            await conn.close()

    async def cross(self, dice: Random, seconds: float) -> None:
        """Two who lock two wallets each, in orders that cross: with each other and with others."""
        until_s = time.monotonic() + seconds
        await asyncio.gather(*(self._cross(dice, back, until_s) for back in (False, True)))

    async def _cross(self, dice: Random, back: bool, until_s: float) -> None:
        conn = await asyncpg.connect(self.dsn)
        try:
            rows = await conn.fetch(HOT)
            ids = [row[0] for row in rows]
            while time.monotonic() < until_s:
                with contextlib.suppress(asyncpg.DeadlockDetectedError):
                    async with conn.transaction():
                        for account in sorted(dice.sample(ids, 4), reverse=back):
                            await conn.execute(
                                "select from account where id = $1 for update", account
                            )
                            await asyncio.sleep(0.02)
        finally:
            await conn.close()

    async def deadlocks(self) -> int:
        """How many there have been so far."""
        conn = await asyncpg.connect(self.dsn)
        try:
            found: int = await conn.fetchval("select sum(deadlocks) from pg_stat_database")
        finally:
            await conn.close()
        return found

    def fill(self) -> None:
        """Leave no byte on the small disk."""
        with (self.directory / BALLAST).open("ab") as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(1 << 16))
                ballast.flush()

    def free(self) -> None:
        (self.directory / BALLAST).unlink(missing_ok=True)

    async def ready(self) -> None:
        """Wait until it takes connections."""
        give_up_s = time.monotonic() + READY_S
        while True:
            try:
                async with asyncio.timeout(5):
                    conn = await asyncpg.connect(self.dsn)
                await conn.close()
                return
            except (OSError, TimeoutError, asyncpg.PostgresError):
                if time.monotonic() > give_up_s:
                    raise RuntimeError(f"no PostgreSQL: {self.log_tail()}") from None
                await asyncio.sleep(0.05)

    def log_tail(self) -> str:
        log = self.cluster.parent / "log" / "server.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-8:])


def _without_data_dir(options: str) -> str:
    """The options of postmaster.opts as `pg_ctl -o` takes them: it adds the directory itself."""
    words = options.split('" "')
    words = [word.strip('"') for word in words]
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word == "-D":
            skip = not skip
            continue
        kept.append(f'"{word}"' if word else '""')
    return " ".join(kept)
