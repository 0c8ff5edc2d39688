"""`talktime serve --workers N`: N server processes of one machine behind one port.

Each is a node like any other; they share the port by SO_REUSEPORT, the database, and Redis. This
process only starts them, starts one again that has died, and passes signals on: SIGTERM and SIGINT
end them all, SIGHUP replaces them one by one, so that their calls go from one to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from server.config import Config, child_environment
from server.embedded_valkey import EmbeddedValkey
from server.parent import die_with_parent
from storage.migrate import migrate

WORKERS_MAX = 64
READY_S = 60.0
# Longer than a worker takes to hand its calls over and to let its sockets go.
END_S = 45.0
PAUSE_S = 0.5
PAUSE_MAX_S = 10.0
LONG_LIFE_S = 30.0

_log = structlog.stdlib.get_logger(__name__)


class Worker:
    """One place among the workers, and the process that has it now.

    `environment` is the process's, but for the number of the pipe it says it is ready on.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = command
        self._environment = dict(environment)
        self._process: Process | None = None
        self._short_lives = 0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start a process, and wait until it takes connections, or has ended."""
        reader, writer = os.pipe()
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
        try:
            async with asyncio.timeout(READY_S):
                await readable(reader)
        except TimeoutError:
            _log.error("worker_not_ready", node=self.name)
        finally:
            os.close(reader)
        self._environment["TALKTIME_QUIET"] = "true"  # What it says at a start is said once.

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            assert self._process is not None, "started before"
            began_s = loop.time()
            code = await self._process.wait()
            self._short_lives += 1
            if loop.time() - began_s > LONG_LIFE_S:
                self._short_lives = 0
            if code != 0:
                _log.error("worker_died", node=self.name, code=code)
                await asyncio.sleep(min(PAUSE_MAX_S, PAUSE_S * 2**self._short_lives))
            await self.start()

    async def end(self) -> None:
        """Let it hand over what it has and go; kill it if it does not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            _log.error("worker_killed", node=self.name)
            process.kill()
            await process.wait()


async def readable(reader: int) -> None:
    """Until there is something to read from a pipe, or its other end is closed."""
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(reader, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(reader)


class Workers:
    """`say` is told a line of each thing that a person wants to know."""

    def __init__(self, workers: Sequence[Worker], say: Callable[[str], None]) -> None:
        self._workers = workers
        self._say = say
        self._stop = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        self._keepers: dict[Worker, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until SIGTERM or SIGINT, and until all workers have ended then."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._replace_soon)
        for worker in self._workers:
            # One after the other: the first may have accounts to make.
            await worker.start()
            self._keep(worker)
        self._say(f"{len(self._workers)} workers are ready; SIGHUP replaces them one by one")
        await self._stop.wait()
        self._say("draining: the workers let go of their calls and sockets")
        pending = [*self._keepers.values()]
        if self._replacing is not None:
            pending.append(self._replacing)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await asyncio.gather(*[worker.end() for worker in self._workers])

    def _keep(self, worker: Worker) -> None:
        self._keepers[worker] = asyncio.create_task(worker.keep(), name=f"keeper of {worker.name}")

    def _replace_soon(self) -> None:
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace(), name="replacing")

    async def _replace(self) -> None:
        """Each leaves its calls to the others, and is there again before the next one goes."""
        for worker in self._workers:
            keeper = self._keepers[worker]
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await worker.end()
            await worker.start()
            self._keep(worker)
            self._say(f"{worker.name} was replaced")


@contextlib.contextmanager
def redis(config: Config) -> Iterator[str]:
    """The URL of the configured Redis, or of an embedded one while inside.

    Raises:
        ValkeyError: none is configured, and none is installed.
    """
    given = config.secret("redis_url")
    if given:
        yield given
        return
    embedded = EmbeddedValkey()
    try:
        yield embedded.start()
    finally:
        embedded.stop()


def make_workers(
    config: Config, count: int, *, dsn: str, redis_url: str, own_port: int | None
) -> list[Worker]:
    """`own_port` is where the first is spoken to alone, by this host; the others have the next."""
    command = [sys.executable, "-m", "server", "serve"]
    workers = []
    for number in range(count):
        name = f"{config.node_name}-{number + 1}"
        given = {
            "DATABASE_URL": dsn,
            "REDIS_URL": redis_url,
            "TALKTIME_MODE": config.mode,
            "TALKTIME_NODE_NAME": name,
            "TALKTIME_PORT": str(config.port),
            "TALKTIME_REUSE_PORT": "true",
            "TALKTIME_QUIET": "true" if number else "false",
        }
        if own_port is not None:
            given["TALKTIME_OWN_PORT"] = str(own_port + number)
        workers.append(Worker(name, command, child_environment(given)))
    return workers


def run_workers(config: Config, count: int, *, own_port: int | None) -> None:
    """Blocking; returns when all have stopped.

    Raises:
        ValkeyError: there is no Redis.
    """
    from server.run import database

    with database(config, exclusive=True) as dsn, redis(config) as redis_url:

        async def run() -> None:
            await migrate(dsn)
            workers = make_workers(config, count, dsn=dsn, redis_url=redis_url, own_port=own_port)
            await Workers(workers, lambda line: print(line, flush=True)).run()

        asyncio.run(run())
