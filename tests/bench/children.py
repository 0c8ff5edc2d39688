"""Processes of a benchmark, and what /proc says about them (Linux)."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
READY_S = 90.0
STOP_S = 15.0
FAMILY_TRIES = 10
_TICKS = os.sysconf("SC_CLK_TCK")


class Child:
    """A process that has said where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    @property
    def user_s(self) -> float:
        return user_s(self.pid)

    @property
    def rss_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found.group(1)) * 1024 if found else 0


@contextlib.asynccontextmanager
async def child(
    *command: str,
    log: Path,
    settings: Mapping[str, str],
    pin: bool = False,
    program: Sequence[str] = (sys.executable, "-m"),
) -> AsyncIterator[Child]:
    """`python -m command` until it prints `http://host:port`; stopped, or killed, at the end.

    `pin` gives it the first core, which everything else then leaves alone.
    """
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(*program, *command),
            cwd=ROOT,
            env={**os.environ, **settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        host, port = await _address(process, log)
        if pin:
            os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(process.pid))})
        yield Child(process, host, port)
    finally:
        await stop(process)


async def finished(*command: str | Path, max_s: float, cwd: Path = ROOT) -> tuple[int, str]:
    """Run a program to its end: its exit code, and all it said. It is killed when we give up.

    Raises:
        TimeoutError: it took longer than `max_s`.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(max_s):
            said, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


async def _address(process: asyncio.subprocess.Process, log: Path) -> tuple[str, int]:
    assert process.stdout is not None
    seen = b""
    async with asyncio.timeout(READY_S):
        while line := await process.stdout.readline():
            seen += line
            found = re.search(rb"http://([\w.]+):(\d+)", line)
            if found:
                return found.group(1).decode(), int(found.group(2))
    raise RuntimeError(seen.decode() + await asyncio.to_thread(log.read_text))


async def stop(process: asyncio.subprocess.Process) -> None:
    """Interrupt it; kill it when it does not end by that."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await process.wait()


def cpu_s(pid: int) -> float:
    """User and system time of all threads so far; in steps of 10 ms."""
    return sum(_stat(pid)[1:3]) / _TICKS


def user_s(pid: int) -> float:
    """The part of `cpu_s` that was not spent in the kernel."""
    return _stat(pid)[1] / _TICKS


def family_cpu_s(parent: int) -> float:
    """CPU of a process, of its children, and of those that have ended."""
    for _ in range(FAMILY_TRIES):
        own, children = _stat(parent), 0
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    owner, user, system, *_ = _stat(int(entry))
                    if owner == parent:
                        children += user + system
        # A child that ended meanwhile is in neither sum, or would be in both.
        if _stat(parent)[3:] == own[3:]:
            break
    return (sum(own[1:]) + children) / _TICKS


def offspring(parent: int, word: str) -> list[int]:
    """The processes that it has started with this as a word of the command, or its program."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                words = Path(f"/proc/{entry}/cmdline").read_text().replace("\0", " ").split()
                program = Path(words[0]).name if words else ""
                if word in (*words, program) and _stat(int(entry))[0] == parent:
                    found.append(int(entry))
    return found


def _stat(pid: int) -> tuple[int, int, int, int, int]:
    """Parent, then ticks: user, system, and both of the children that were waited for."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), int(fields[11]), int(fields[12]), int(fields[13]), int(fields[14])
