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
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from server.config import Config, child_environment
from server.config_rules import EMBEDDED_POOL_MAX
from server.embedded_valkey import EmbeddedValkey
from server.screens_start import shown_url, start_box
from server.worker import Worker
from storage.migrate import migrate

# A worker's connections beside its pool, and the least a pool may have.
BESIDE_POOL = 4
POOL_MIN = 4
NAME_MAX = 63
PORT_MAX = 65_535


class WorkersError(Exception):
    """The workers cannot run; the message says why and what to do."""


class Workers:
    """`say` is told a line of each thing that a person wants to know; `greet`, when all take
    connections, how many calls they went on with."""

    def __init__(
        self, workers: Sequence[Worker], say: Callable[[str], None], greet: Callable[[int], None]
    ) -> None:
        self._workers = workers
        self._say = say
        self._greet = greet
        self._stop = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        self._keepers: dict[Worker, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until SIGTERM or SIGINT, and until all workers have ended then; a second SIGINT kills
        those that are left.

        Raises:
            WorkersError: one did not start at all. The others have ended.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._replace_soon)
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        starting = asyncio.create_task(self._start(), name="starting")
        try:
            await asyncio.wait([stop, starting], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await stop
            self._say("draining: the workers let go of their calls and sockets")
        finally:
            self._stop.set()
            pending = [stop, starting, *self._keepers.values()]
            if self._replacing is not None:
                pending.append(self._replacing)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            await asyncio.gather(*[worker.end() for worker in self._workers])
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def _start(self) -> None:
        # The first alone: it may have accounts to make, and says what is wrong with all.
        await self._start_one(self._workers[0])
        await asyncio.gather(*[self._start_one(worker) for worker in self._workers[1:]])
        for worker in self._workers:
            self._keep(worker)
        self._greet(sum(worker.recovered for worker in self._workers))
        self._say(f"{len(self._workers)} workers are ready; SIGHUP replaces them one by one")

    async def _start_one(self, worker: Worker) -> None:
        if not await worker.start():
            raise WorkersError(f"worker {worker.name} did not start; it has said why above")

    def _interrupted(self) -> None:
        if self._stop.is_set():
            self._say("killing the workers that are left")
            for worker in self._workers:
                worker.kill()
        self._stop.set()

    def _keep(self, worker: Worker) -> None:
        self._keepers[worker] = asyncio.create_task(worker.keep(), name=f"keeper of {worker.name}")

    def _replace_soon(self) -> None:
        """Not while they start, stop, or are being replaced already."""
        idle = self._replacing is None or self._replacing.done()
        if idle and len(self._keepers) == len(self._workers) and not self._stop.is_set():
            self._replacing = asyncio.create_task(self._replace(), name="replacing")

    async def _replace(self) -> None:
        """Each leaves its calls to the others, and is there again before the next one goes."""
        for worker in self._workers:
            keeper = self._keepers[worker]
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await worker.end()
            ready = await worker.start()
            self._keep(worker)
            if not ready:
                self._say(f"{worker.name} does not start again; the others are left as they are")
                return
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


def check(config: Config, count: int, own_port: int) -> None:
    """What `count` workers need of the settings. `own_port` 0: they have no own ones.

    Raises:
        WorkersError: they do not get it.
    """
    if config.port == 0:
        raise WorkersError(
            "TALKTIME_PORT=0 gives each worker another port: name one for all of them"
        )
    if not config.is_dev and config.redis_url is None:
        raise WorkersError(
            "several workers need a Redis or Valkey: set REDIS_URL. "
            "The embedded one is for development"
        )
    if own_port and own_port + count - 1 > PORT_MAX:
        raise WorkersError(f"--own-ports {own_port} leaves no port for the last of {count} workers")
    if own_port and own_port <= config.port < own_port + count:
        raise WorkersError(
            f"--own-ports {own_port} gives a worker the port of all, {config.port}: choose others"
        )
    if len(worker_name(config, count)) > NAME_MAX:
        raise WorkersError(
            f"TALKTIME_NODE_NAME is too long: with the worker's number it has {NAME_MAX} at most"
        )
    if config.database_url is None and pool_max(config, count) < POOL_MIN:
        raise WorkersError(
            f"the embedded PostgreSQL has too few connections for {count} workers: "
            "start fewer, or set DATABASE_URL"
        )


def check_port(host: str, port: int) -> None:
    """With SO_REUSEPORT a worker would share the port with whoever has it, and say nothing.

    Raises:
        WorkersError: another program listens there.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        raise WorkersError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def worker_name(config: Config, number: int) -> str:
    return f"{config.node_name}-{number}"


def pool_max(config: Config, count: int) -> int:
    """Of each worker: the embedded database has few connections, which they share."""
    if config.database_url is not None:
        return config.db_pool_max
    return min(config.db_pool_max, EMBEDDED_POOL_MAX // count - BESIDE_POOL)


def make_workers(
    config: Config, count: int, *, dsn: str, redis_url: str, own_port: int
) -> list[Worker]:
    """`own_port` is where the first is spoken to alone, by this host; the others have the next.
    0: they have none."""
    # -P: where we were started there may be another folder `server`.
    command = [sys.executable, "-P", "-m", "server", "serve"]
    workers = []
    for at in range(count):
        name = worker_name(config, at + 1)
        given = {
            "DATABASE_URL": dsn,
            "REDIS_URL": redis_url,
            "TALKTIME_MODE": config.mode,
            "TALKTIME_NODE_NAME": name,
            "TALKTIME_PORT": str(config.port),
            "TALKTIME_REUSE_PORT": "true",
            "TALKTIME_OWN_PORT": str(own_port + at if own_port else 0),
            "TALKTIME_DB_POOL_MAX": str(pool_max(config, count)),
            "TALKTIME_QUIET": "true",
            # Modules are found as this process has found them.
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        workers.append(Worker(name, command, child_environment(given)))
    return workers


def run_workers(config: Config, count: int) -> None:
    """Blocking; returns when all have stopped.

    Raises:
        WorkersError: they cannot run, or one did not start.
        ValkeyError: there is no Redis.
    """
    from server.run import database

    check(config, count, config.own_port)
    check_port(config.host, config.port)

    def say(line: str) -> None:
        print(line, flush=True)

    def greet(recovered: int) -> None:
        url = config.public_url or shown_url(config.host, config.port)
        say(start_box(config, url=url, version=version("talktime"), recovered=recovered))

    with database(config, exclusive=True) as dsn, redis(config) as redis_url:
        workers = make_workers(
            config, count, dsn=dsn, redis_url=redis_url, own_port=config.own_port
        )

        async def run() -> None:
            await migrate(dsn)
            await Workers(workers, say, greet).run()

        asyncio.run(run())
