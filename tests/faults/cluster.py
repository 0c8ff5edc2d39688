"""Nodes as real processes on one database, behind one proxy. None of them outlives the run."""

import asyncio
import contextlib
import os
import re
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from tests.faults.postgres import Database
from tests.faults.proxy import Address, Proxy

ROOT = Path(__file__).parents[2]
READY_S = 60.0
STOP_S = 60.0
EVIDENCE_MS = 3_000
# Short timers, so that what must end ends while we look; limits of one address off, as all clients
# come from here.
SETTINGS = {
    "TALKTIME_ARGON2_PROFILE": "test",
    "TALKTIME_LOG_FORMAT": "json",
    "TALKTIME_SOCKETS_PER_ADDRESS_MAX": "100000",
    "TALKTIME_CALLS_PER_HOUR_MAX": "1000000",
    "TALKTIME_COOLDOWN_CALLS": "1000000",
    "TALKTIME_CALL_REQUEST_BURST": "1000000",
    "TALKTIME_ADDRESS_BURST": "0",
    "TALKTIME_USER_BURST": "0",
    "TALKTIME_BEAT_MS": "250",
    "TALKTIME_LEASE_MS": "3000",
    "TALKTIME_PING_CALL_MS": "1000",
    "TALKTIME_DEAD_CALL_MS": "4000",
    "TALKTIME_PING_IDLE_MS": "1000",
    "TALKTIME_DEAD_IDLE_MS": "6000",
    "TALKTIME_REACH_MS": "5000",
    "TALKTIME_RING_MS": "6000",
    "TALKTIME_CALLER_GONE_MS": "4000",
    "TALKTIME_CONNECT_MS": "6000",
    "TALKTIME_STATS_MS": "500",
    "TALKTIME_EVIDENCE_MS": str(EVIDENCE_MS),
    "TALKTIME_GRACE_MS": "8000",
    "TALKTIME_GRACE_BUDGET_MS": "20000",
}
# The longest a call can be on its way to an end, by these timers, and some time for a slow machine.
CALL_MAX_S = 60.0


class Node:
    """One `serve` process, which can be started again under its name and port."""

    def __init__(self, name: str, directory: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.host = settings.get("TALKTIME_HOST", "127.0.0.1")
        self.port = _free_port()
        self.log = directory / f"{name}.log"
        self.paused = False
        self.prefix: Sequence[str] = ()
        # When it died or was frozen, by the monotonic clock: others may take its calls from then on
        # without having been given them.
        self.deaths: list[float] = []
        self._kept_limits: dict[int, tuple[int, int]] = {}
        self.settings = {
            **SETTINGS,
            **settings,
            "TALKTIME_NODE_NAME": name,
            "TALKTIME_DATA_DIR": str(directory / name),
            "FAULTS_BLOCK_FILE": str(directory / f"{name}.block"),
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def address(self) -> Address:
        return self.host, self.port

    @property
    def rss_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found.group(1)) * 1024 if found else 0

    async def start(self, **more: str) -> None:
        """Start, and wait until it says where it listens.

        Raises:
            RuntimeError: it ended instead, with what it said.
        """
        with self.log.open("ab") as log:
            self._process = process = await asyncio.create_subprocess_exec(
                *self.prefix,
                *(sys.executable, "-m", "tests.faults.node", "serve", "--dev"),
                *("--port", str(self.port)),
                cwd=ROOT,
                env={**os.environ, **self.settings, **more},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.paused = False
        assert process.stdout is not None
        seen = b""
        async with asyncio.timeout(READY_S):
            while line := await process.stdout.readline():
                seen += line
                if re.search(rb"REST +http://", line):
                    return
        await process.wait()
        raise RuntimeError(f"{self.name} did not start: {seen.decode()}{self.log_tail()}")

    def signal(self, number: int) -> None:
        if self.running and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def kill(self) -> None:
        self.deaths.append(time.monotonic())
        self.signal(signal.SIGKILL)
        await self.ended()

    async def terminate(self) -> int:
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self, within_s: float = STOP_S) -> int:
        """Wait for the end; the exit code."""
        assert self._process is not None
        async with asyncio.timeout(within_s):
            code = await self._process.wait()
        if code:
            self.deaths.append(time.monotonic())
        return code

    def pause(self) -> None:
        self.deaths.append(time.monotonic())
        self.paused = True
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.paused = False
        self.signal(signal.SIGCONT)

    def block(self, seconds: float) -> None:
        """Have its event loop stand still."""
        Path(self.settings["FAULTS_BLOCK_FILE"]).write_text(str(seconds))
        self.signal(signal.SIGUSR1)

    def raise_once(self) -> None:
        """Have its next command fail by a mistake of our own."""
        self.signal(signal.SIGUSR2)

    def limit(self, kind: int, soft: int) -> None:
        """Set a resource limit of the running process, until `unlimit`."""
        before = resource.prlimit(self.pid, kind)
        self._kept_limits.setdefault(kind, before)
        resource.prlimit(self.pid, kind, (soft, before[1]))

    def unlimit(self) -> None:
        kept, self._kept_limits = self._kept_limits, {}
        for kind, limits in kept.items():
            if self.running:
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(self.pid, kind, limits)

    @property
    def cpu_s(self) -> float:
        """Processor time it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def virtual_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmSize:\s+(\d+) kB", status)
        return int(found.group(1)) * 1024 if found else 0

    @property
    def files(self) -> int:
        """Its open descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def logged(self, text: str) -> int:
        """How many lines of its log contain this."""
        return sum(text in line for line in self.log.read_text(errors="replace").splitlines())

    def log_tail(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def close(self) -> None:
        if self.running:
            self.resume()
            await self.kill()


class Cluster:
    """`proxy` is the one address that clients know; it leads to the nodes that run, in turn."""

    def __init__(self, directory: Path, database: Database, dice: Random) -> None:
        self.directory = directory
        self.database = database
        self.dice = dice
        self.secret = secrets.token_urlsafe(32)
        self.nodes: list[Node] = []
        self.proxy = Proxy(self._pick, dice)
        self._turn = 0

    def add(self, **settings: str) -> Node:
        """One more node, not started yet."""
        name = f"node{len(self.nodes) + 1}"
        given = {
            "DATABASE_URL": self.database.dsn,
            "TALKTIME_JWT_SECRET": self.secret,
            **settings,
        }
        node = Node(name, self.directory, given)
        self.nodes.append(node)
        return node

    @property
    def deaths(self) -> list[float]:
        return [at_s for node in self.nodes for at_s in node.deaths]

    def _pick(self) -> Address | None:
        up = [node for node in self.nodes if node.running]
        if not up:
            return None
        self._turn += 1
        return up[self._turn % len(up)].address

    async def close(self) -> None:
        await self.proxy.close()
        for node in self.nodes:
            await node.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
