"""`talktime serve`: the database, the migrations, the server, and an orderly end."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

from server.app import Server
from server.config import Config
from server.embedded import EmbeddedPostgres
from server.runner import Runner
from server.screens_start import start_box
from storage.migrate import migrate

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0
SHUTDOWN_S = 3.0


class CannotListen(Exception):
    """The address is taken, or not ours."""


@contextlib.contextmanager
def database(config: Config, *, exclusive: bool, quiet: bool = False) -> Iterator[str]:
    """The DSN of the configured database, or of the embedded one while inside."""
    given = config.secret("database_url")
    if given:
        yield given
        return
    say = None if quiet else lambda line: print(line, file=sys.stderr, flush=True)
    embedded = EmbeddedPostgres(Path(config.data_dir), exclusive=exclusive, say=say)
    yield_from = embedded.start()
    try:
        yield yield_from
    finally:
        embedded.stop()


def new_event_loop(config: Config) -> asyncio.AbstractEventLoop:
    if config.loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


async def serve(config: Config, dsn: str) -> None:
    """Run until SIGINT or SIGTERM, or until the node is fenced."""
    applied = await migrate(dsn)
    if applied:
        log.info("database migrated", extra={"files": len(applied)})
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = Server(config, dsn)
    server.stop_now = stop.set  # type: ignore[method-assign]  # the one hook of the runner
    app = await server.start()
    runner = Runner(app, keep_alive_s=KEEP_ALIVE_S, shutdown_s=SHUTDOWN_S)
    await runner.setup()
    site = web.TCPSite(
        runner,
        config.host,
        config.port,
        backlog=4_096,
        reuse_port=True if config.reuse_port else None,
    )
    try:
        await listen(site, config)
        if config.own_port:
            await listen(web.TCPSite(runner, "127.0.0.1", config.own_port), config)
        host, port = runner.addresses[0][:2]
        if not server.base_url:
            shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
            server.base_url = f"http://{shown}:{port}"
        if not config.quiet:
            print(start_box(server), flush=True)
        tell_ready(config)
        await stop.wait()
        if not config.quiet:
            print("\ndraining: calls are handed over, devices are told to come back", flush=True)
        await server.drain()
    finally:
        await runner.cleanup()
        await server.stop()


async def listen(site: web.TCPSite, config: Config) -> None:
    try:
        await site.start()
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {site.name}: {why}") from error


def tell_ready(config: Config) -> None:
    """Tell whoever started this process that it takes connections."""
    if config.ready_fd >= 0:
        with contextlib.suppress(OSError):
            os.write(config.ready_fd, b"1")
            os.close(config.ready_fd)


def run(config: Config) -> None:
    """Blocking; returns when the server has stopped and left nothing behind."""
    with (
        database(config, exclusive=True) as dsn,
        asyncio.Runner(loop_factory=lambda: new_event_loop(config)) as runner,
    ):
        runner.run(serve(config, dsn))
