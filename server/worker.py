"""One place among the workers of a host, and the server process that has it now."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence

import structlog

from server.parent import die_with_parent

READY_S = 60.0
# Longer than a worker takes to hand its calls over and to let its sockets go.
END_S = 45.0
GONE_S = 1.0
PAUSE_S = 0.5
PAUSE_MAX_S = 10.0
LONG_LIFE_S = 30.0
SAID_BYTES_MAX = 64

_log = structlog.stdlib.get_logger(__name__)


class Worker:
    """`environment` is the process's, but for the number of the pipe it says it is ready on.

    `recovered` is how many calls the process went on with when it started.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.recovered = 0
        self._command = command
        self._environment = environment
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def code(self) -> int | None:
        """How the process ended; None while it runs, and before the first."""
        return None if self._process is None else self._process.returncode

    async def start(self) -> bool:
        """Start a process, and wait until it takes connections.

        False when it has ended instead, or was ended because it took too long.
        """
        reader, writer = os.pipe()
        try:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env={**self._environment, "TALKTIME_READY_FD": str(writer)},
                    pass_fds=[writer],
                    start_new_session=True,  # Ctrl-C in our terminal is for us.
                    preexec_fn=die_with_parent(signal.SIGTERM),
                )
            finally:
                os.close(writer)
            async with asyncio.timeout(READY_S):
                await readable(reader)
            said = os.read(reader, SAID_BYTES_MAX)
        except TimeoutError:
            _log.error("worker_not_ready", node=self.name, after_s=READY_S)
            said = b""
        except OSError as error:  # The host has no room for another process.
            _log.error("worker_not_started", node=self.name, error=error.strerror)
            return False
        finally:
            os.close(reader)
        if said:
            self.recovered = int(said)
            return True
        if not await self._gone(GONE_S):
            await self.end()
        return False

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled; later and later if it does not last."""
        loop = asyncio.get_running_loop()
        ready, short_lives = True, 0
        while True:
            began_s = loop.time()
            if self._process is not None:
                await self._process.wait()
            lasted = ready and loop.time() - began_s > LONG_LIFE_S
            short_lives = 0 if lasted else short_lives + 1
            wait_s = pause_s(short_lives)
            _log.error("worker_ended", node=self.name, code=self.code, again_in_s=wait_s)
            await asyncio.sleep(wait_s)
            ready = await self.start()

    async def end(self) -> None:
        """Let it hand over what it has and go; kill it if it does not."""
        self._signal(signal.SIGTERM)
        if not await self._gone(END_S):
            _log.error("worker_killed", node=self.name, after_s=END_S)
            self.kill()
            await self._gone(END_S)

    def kill(self) -> None:
        """At once; its calls are taken over as those of any node that died."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Not by asyncio's way, which may take the exit code away from who waits for it.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    async def _gone(self, within_s: float) -> bool:
        if self._process is None:
            return True
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            return False
        return True


def pause_s(short_lives: int) -> float:
    """Before the next start, after so many lives in a row that did not last."""
    return min(PAUSE_MAX_S, PAUSE_S * 2.0 ** min(short_lives, 16))


async def readable(reader: int) -> None:
    """Until there is something to read from a pipe, or its other end is closed."""
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(reader, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(reader)
