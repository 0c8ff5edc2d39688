"""A server on its database: the migrations, its life, and an orderly end."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from server.app import Server
from server.config import Config
from server.runner import Runner
from server.screens_start import shown_url, start_box
from storage.migrate import migrate

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0
SHUTDOWN_S = 3.0
# For what is given up; 0 would be for ever.
CANCEL_S = 0.2


class CannotListen(Exception):
    """The address is taken, or not ours."""


def new_event_loop(config: Config) -> asyncio.AbstractEventLoop:
    if config.loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


async def serve(config: Config, dsn: str) -> None:
    """Run until SIGINT or SIGTERM, or until the node is fenced. A second SIGINT ends the drain."""
    applied = await migrate(dsn)
    if applied:
        log.info("database migrated", extra={"files": len(applied)})
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = Server(config, dsn)
    server.stop_now = stop.set  # type: ignore[method-assign]  # the one hook of the runner
    app = await server.start()
    runner = Runner(app, keep_alive_s=KEEP_ALIVE_S, shutdown_s=CANCEL_S)
    await runner.setup()
    try:
        site = await listen(runner, config.host, config.port, shared=config.reuse_port)
        if config.own_port:
            await listen(runner, "127.0.0.1", config.own_port)
        host, port = runner.addresses[0][:2]
        if not server.base_url:
            server.base_url = shown_url(host, port)
        if not config.quiet:
            box = start_box(
                config, url=server.base_url, version=server.version, recovered=server.recovered
            )
            print(box, flush=True)
        tell_ready(config, server.recovered)
        await stop.wait()
        if not config.quiet:
            print("\ndraining: calls are handed over, devices are told to come back", flush=True)
        if config.reuse_port:
            await runner.leave(site)
        if await unless(hurry, server.drain()):
            await unless(hurry, runner.finish(SHUTDOWN_S))
    finally:
        await runner.cleanup()
        await server.stop()


async def listen(runner: Runner, host: str, port: int, *, shared: bool = False) -> web.TCPSite:
    """
    Raises:
        CannotListen
    """
    reuse_port = True if shared else None
    site = web.TCPSite(runner, host, port, backlog=4_096, reuse_port=reuse_port)
    try:
        await site.start()
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {host}:{port}: {why}") from error
    return site


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Do something to its end; false if the event came first, and it was given up."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
            return True
        return False
    finally:
        for task in (doing, waiting):
            task.cancel()
        await asyncio.gather(doing, waiting, return_exceptions=True)


def tell_ready(config: Config, recovered: int) -> None:
    """Tell whoever started this process that it takes connections, and goes on with so many
    calls."""
    if config.ready_fd >= 0:
        with contextlib.suppress(OSError):
            os.write(config.ready_fd, b"%d" % recovered)
        with contextlib.suppress(OSError):
            os.close(config.ready_fd)
