"""`talktime serve --dev --workers 2` as a process of its own, and its workers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp

from server.worker import readable
from tests.end_to_end.driver import ROOT, WAIT_S

START_S = 90.0
READY = "2 workers are ready; SIGHUP replaces them one by one"


class Crew:
    """`lines` is all that was printed; `log` what went to standard error."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, own: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        # Where each worker is spoken to alone.
        self.own = [f"http://127.0.0.1:{own + at}" for at in range(2)]
        self.log = log
        self.lines: list[str] = []
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def worker(self, number: int) -> int:
        """The process of a worker, by its name."""
        name = f"TALKTIME_NODE_NAME=main-{number}".encode()
        (pid,) = [
            pid for pid in self.children() if name in Path(f"/proc/{pid}/environ").read_bytes()
        ]
        return pid

    async def said(self, line: str) -> None:
        """Read on until this is printed."""
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            while not self.lines or self.lines[-1] != line:
                raw = await self._process.stdout.readline()
                assert raw, "\n".join(self.lines) + self.log.read_text()
                self.lines.append(raw.decode().rstrip("\n"))

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(WAIT_S):
            return await self._process.wait()

    async def until_ready(self, at: int) -> None:
        """Until the worker on this own port takes calls again."""
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as http:
            while not await _is_ready(http, self.own[at]):  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        """However it stands: end it, and whatever of it would be left."""
        if self._process.returncode is None:
            self.send(signal.SIGINT)
            self.send(signal.SIGINT)
            await self.ended()


async def _is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def gone(pid: int) -> None:
    """Until a process that is not our child has ended, whoever buries it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        async with asyncio.timeout(WAIT_S):
            await readable(descriptor)
    finally:
        os.close(descriptor)


def free_ports() -> tuple[int, int]:
    """One for all, and the first of two in a row."""
    while True:
        with socket.socket() as shared, socket.socket() as first, socket.socket() as second:
            shared.bind(("127.0.0.1", 0))
            first.bind(("127.0.0.1", 0))
            own: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", own + 1))
            except OSError:
                continue
            port: int = shared.getsockname()[1]
            return port, own


async def start_crew(data_dir: Path, **settings: str) -> Crew:
    """Started, and ready."""
    port, own = free_ports()
    log = data_dir / "server.log"
    clean = {name: text for name, text in os.environ.items() if not name.startswith("TALKTIME_")}
    environment = {
        **clean,
        "TALKTIME_DATA_DIR": str(data_dir),
        "TALKTIME_ARGON2_PROFILE": "test",
        **settings,
    }
    command = [sys.executable, "-m", "server", "serve", "--dev", "--workers", "2"]
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(*command, "--port", str(port), "--own-ports", str(own)),
            cwd=ROOT,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    crew = Crew(process, port, own, log)
    await crew.said(READY)
    return crew
